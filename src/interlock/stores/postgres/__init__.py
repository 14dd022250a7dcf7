"""The store on PostgreSQL: for more than one machine, behind the same ports as every other.

It offers no way around the journal: what it holds is written by appends, followers and owners of claims alone. The
driver is an extra of the installation, so that it is imported only when a name of it is used; without it that is the
error `postgres_missing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from interlock.stores.postgres.errors import POSTGRES_MISSING
from interlock.stores.postgres.settings import PostgresSettings

if TYPE_CHECKING:
    from interlock.stores.postgres.integrity import check_database
    from interlock.stores.postgres.open import PostgresStore, copy_target, open_postgres

__all__ = ["PostgresSettings", "PostgresStore", "check_database", "copy_target", "open_postgres"]

_HOMES = {"PostgresStore": "open", "check_database": "integrity", "copy_target": "open", "open_postgres": "open"}


def __getattr__(name: str) -> Any:
    """A name whose module needs the driver. Raises: `postgres_missing`."""
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(name)
    try:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    except ImportError as fault:
        if not (fault.name or "psycopg").startswith("psycopg"):
            raise
        raise POSTGRES_MISSING.error("a store on PostgreSQL needs the driver psycopg, which cannot be loaded") from None
