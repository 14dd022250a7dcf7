"""The journal: the only source of truth, its ports, and the tables that are derived from it.

This package knows no database and no network; adapters of its ports live in `interlock.stores`.
"""
