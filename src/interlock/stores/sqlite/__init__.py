"""The store in an SQLite file: the default wherever one machine is enough.

It offers no way around the journal: what it holds is written by appends, followers and owners of claims
alone.
"""

from interlock.stores.sqlite.maintenance.backup import Backup, backup
from interlock.stores.sqlite.maintenance.integrity import check_integrity
from interlock.stores.sqlite.open import SqliteStore, open_sqlite
from interlock.stores.sqlite.settings import SqliteSettings

__all__ = ["Backup", "SqliteSettings", "SqliteStore", "backup", "check_integrity", "open_sqlite"]
