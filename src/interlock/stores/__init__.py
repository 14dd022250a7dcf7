"""Adapters of the journal's ports: memory, SQLite, and files for large artifacts. Nothing here decides anything."""
