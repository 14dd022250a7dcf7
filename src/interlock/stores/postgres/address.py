"""Where a store on PostgreSQL is: a URL of libpq, and the schema in which the store lives.

What it does: takes the URL apart. What it does not do: it connects to nothing.

Rules: `schema` is ours and never reaches libpq; every other parameter is libpq's and passes through, TLS among them; a
password is in `parameters` alone, and nothing here shows them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import Conninfo

from interlock.journal.store_name import is_ambiguous, shown_store
from interlock.stores.postgres.errors import POSTGRES_URL_INVALID

DEFAULT_SCHEMA = "interlock"
_SCHEMA = re.compile(r"\A(?!pg_)[a-z_][a-z0-9_]{0,62}\Z")
_OURS = "schema="
_NAME = re.compile(r"\A[A-Za-z_]{1,30}\Z")
_ALIASES = ("ssl",)
"""Names that libpq takes in a URL alone, for drivers that have them."""


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of a connection, the schema, and the name that may be shown."""

    schema: str
    shown: str
    parameters: dict[str, str] = field(repr=False)


def address_of(url: str) -> Address:
    """Take a URL apart. Raises: `postgres_url_invalid`."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise POSTGRES_URL_INVALID.error("the URL of the store cannot be read") from None
    if is_ambiguous(url):
        raise POSTGRES_URL_INVALID.error(
            "a character of the URL can be read in two ways: in a user, password or name write / as %2F, ? as %3F, "
            "# as %23 and @ as %40; the parameters begin with ?, and the next of them with &"
        )
    pairs = [pair for pair in parts.query.split("&") if pair]
    schemas = [pair.removeprefix(_OURS) for pair in pairs if pair.startswith(_OURS)]
    if len(schemas) > 1 or not all(_SCHEMA.match(schema) for schema in schemas):
        raise POSTGRES_URL_INVALID.error("the schema must be one name of small letters, digits and _, and not pg_…")
    # What is not ours goes on exactly as it was written: libpq has its own rules of quoting.
    rest = "&".join(pair for pair in pairs if not pair.startswith(_OURS))
    _check_parameters([pair.partition("=")[0] for pair in pairs])
    bare = urlunsplit(("postgresql", parts.netloc, parts.path, rest, ""))
    return Address(schemas[0] if schemas else DEFAULT_SCHEMA, shown_store(url), _parameters(bare))


def _check_parameters(names: Sequence[str]) -> None:
    """Refuse a parameter that neither we nor libpq know, and say which was meant. Raises: `postgres_url_invalid`."""
    known = [option.keyword.decode() for option in Conninfo.get_defaults()] + [_OURS.removesuffix("="), *_ALIASES]
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            meant = f": did you mean {near[0]}?" if near else ""
            which = f"the parameter {name}" if _NAME.match(name) else "a parameter"
            raise POSTGRES_URL_INVALID.error(f"libpq does not know {which} of the URL{meant}")


def _parameters(url: str) -> dict[str, str]:
    try:
        return {name: str(value) for name, value in conninfo_to_dict(url).items() if value is not None}
    except psycopg.ProgrammingError:
        raise POSTGRES_URL_INVALID.error("the URL has a part that libpq does not understand") from None
