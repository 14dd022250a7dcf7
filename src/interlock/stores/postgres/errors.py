"""Error codes of the store on PostgreSQL, and what the server's errors mean.

What it does: declares the codes and turns SQLSTATE into the store's errors. What it does not do: it raises nothing.

Rule: a message of the server is never passed on: it may repeat values, and so secrets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.extras import install_advice
from interlock.journal.errors import (
    APPEND_MALFORMED,
    DISK_FULL,
    STORE_BUSY,
    STORE_CORRUPT,
    STORE_UNWRITABLE,
)

if TYPE_CHECKING:
    import psycopg

POSTGRES_MISSING = ErrorCode(
    "postgres_missing",
    Category.UNAVAILABLE,
    install_advice("postgres"),
)
POSTGRES_URL_INVALID = ErrorCode(
    "postgres_url_invalid",
    Category.INVALID,
    "Name the store as postgresql://USER@HOST:PORT/DATABASE?schema=NAME; libpq's parameters may follow.",
)
POSTGRES_UNREACHABLE = ErrorCode(
    "postgres_unreachable",
    Category.UNAVAILABLE,
    "Check host, port and network, and that the server runs and takes connections; then try again.",
    retryable=True,
)
POSTGRES_REFUSED = ErrorCode(
    "postgres_refused",
    Category.REFUSED,
    "Check user, password, database and grants: docs/how-to/postgresql.md says what a role needs.",
)
POSTGRES_UNSAFE = ErrorCode(
    "postgres_unsafe",
    Category.REFUSED,
    "Set fsync and full_page_writes of the server to on, or accept the loss with unsafe_fsync_off.",
)

ERRORS = (POSTGRES_MISSING, POSTGRES_URL_INVALID, POSTGRES_UNREACHABLE, POSTGRES_REFUSED, POSTGRES_UNSAFE)

STALE = "ILK01"
"""What the writer took for granted is not so any more (see the migrations)."""

AGAIN = frozenset({STALE, "40001", "40P01", "55P03"})
"""States after which the same batch can succeed: stale, serialisation failure, deadlock, lock not available."""

DENIED = "42501"
"""The role lacks a privilege."""

_BY_STATE: dict[str, tuple[ErrorCode, str]] = {
    "3D000": (POSTGRES_REFUSED, "the database does not exist"),
    DENIED: (POSTGRES_REFUSED, "the role lacks a privilege"),
    "0LP01": (POSTGRES_REFUSED, "the role lacks a privilege"),
    "25006": (STORE_UNWRITABLE, "the server or the session only reads"),
    "53100": (DISK_FULL, "the disk of the server is full"),
    "53200": (STORE_BUSY, "the server is out of memory"),
    "53300": (POSTGRES_UNREACHABLE, "the server takes no more connections"),
    "57014": (STORE_BUSY, "a statement took longer than statement_timeout_ms: nothing was written"),
    "54000": (APPEND_MALFORMED, "a key or value is larger than the server can index"),
    "22021": (APPEND_MALFORMED, "a text holds a character that the server cannot store"),
    "XX001": (STORE_CORRUPT, "the server found damaged data"),
    "XX002": (STORE_CORRUPT, "the server found a damaged index"),
    "42P01": (STORE_CORRUPT, "a table of the store is gone"),
    "42703": (STORE_CORRUPT, "a column of the store is gone"),
    "42883": (STORE_CORRUPT, "a function of the store is gone"),
    "3F000": (STORE_CORRUPT, "the schema of the store is gone"),
}
_BY_CLASS: dict[str, tuple[ErrorCode, str]] = {
    "28": (POSTGRES_REFUSED, "the server refused the user"),
    "08": (POSTGRES_UNREACHABLE, "the connection was lost"),
    "57": (POSTGRES_UNREACHABLE, "the server is shutting down or starting"),
    "53": (STORE_BUSY, "the server lacks a resource"),
    "22": (APPEND_MALFORMED, "the server cannot store a value"),
    "23": (STORE_CORRUPT, "a row contradicts another"),
}
# libpq keeps the SQLSTATE of a connection that was not made to itself, so that its words stand for it here.
_OF_CONNECTING = (
    (("password authentication failed",), "28P01", "the password is wrong, or there is no such user"),
    (("no pg_hba.conf entry",), "28000", "pg_hba.conf of the server lets nobody in from here as this user"),
    (("not permitted to log in",), "28000", "the user is one that may not log in"),
    (('role "', "does not exist"), "28000", "there is no such user"),
    (("authentication failed",), "28000", "the server does not take this user for who it says it is"),
    (('database "', "does not exist"), "3D000", "the database does not exist"),
    (("permission denied for database",), DENIED, "the user lacks CONNECT on the database"),
)
_LOST = ("57P01", "57P02", "57P03", "57P04", "57P05", "25P03")


def translated(fault: psycopg.Error, name: str, denied: str | None = None) -> InterlockError:
    """The store's error for one of the server's; `name` is what may be shown of the store.

    `denied` is what a role lacks (`access`), for a refusal that is about a privilege.
    """
    state = fault.sqlstate or ""
    kind, why = _BY_STATE.get(state) or _BY_CLASS.get(state[:2]) or (STORE_CORRUPT, f"the server failed with {state}")
    if not state and isinstance(fault, _refused_here()):
        kind, why = APPEND_MALFORMED, "a value cannot be stored"
    elif not state:
        kind, why = POSTGRES_UNREACHABLE, "the connection was lost"
    elif state == DENIED and denied is not None:
        why = f"the role lacks {denied}"
    return kind.error(f"{name}: {why}", sqlstate=state or None)


def _refused_here() -> type[Exception]:
    """What the driver raises for a value that it cannot send."""
    import psycopg

    return psycopg.DataError


def is_lost(fault: psycopg.Error) -> bool:
    """Whether the connection is gone with the error, and with it the answer."""
    state = fault.sqlstate
    if state is None:
        import psycopg

        return isinstance(fault, psycopg.OperationalError | psycopg.InterfaceError)
    return state in _LOST or state.startswith("08")


def of_connecting(fault: psycopg.Error, name: str) -> InterlockError:
    """The error for a connection that was not made. What libpq says is looked at and not repeated."""
    state, text = fault.sqlstate, str(fault).lower()
    if state is not None and state not in _LOST:
        return translated(fault, name)
    if getattr(fault.pgconn, "needs_password", False):
        return POSTGRES_REFUSED.error(
            f"{name}: the server wants a password and none was given: put it into PGPASSWORD or ~/.pgpass"
        )
    for words, known, why in _OF_CONNECTING:
        if all(word in text for word in words):
            return POSTGRES_REFUSED.error(f"{name}: {why}", sqlstate=known)
    if any(word in text for word in ("certificate", "ssl ", "sslmode", "tls")):
        return POSTGRES_UNREACHABLE.error(f"{name}: no connection with the TLS that was asked for")
    return POSTGRES_UNREACHABLE.error(f"{name}: the server cannot be reached")
