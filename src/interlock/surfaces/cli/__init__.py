"""The command line: generated from the catalogue, with presentation and nothing else added.

Importing this package loads no library; `main` imports what the named verb needs.
"""
