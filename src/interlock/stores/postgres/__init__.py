"""The store on PostgreSQL: for more than one machine, behind the same ports as every other.

It offers no way around the journal: what it holds is written by appends, followers and owners of claims alone.
"""

from interlock.stores.postgres.open import PostgresStore, open_postgres
from interlock.stores.postgres.settings import PostgresSettings

__all__ = ["PostgresSettings", "PostgresStore", "open_postgres"]
