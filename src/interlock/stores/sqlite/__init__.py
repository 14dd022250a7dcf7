"""The store in an SQLite file: the default wherever one machine is enough.

It offers no way around the journal: what it holds is written by appends, followers and owners of claims
alone.
"""

from interlock.stores.sqlite.open import SqliteStore, open_sqlite
from interlock.stores.sqlite.settings import SqliteSettings

__all__ = ["SqliteSettings", "SqliteStore", "open_sqlite"]
