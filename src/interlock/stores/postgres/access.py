"""What the role of a connection may do with the objects of a store.

What it does: asks the server once, when a store is opened, and puts a refusal of the server into words. What it does
not do: it grants nothing, and keeps nobody from trying: what has been granted since is the server's to know.

Rules: a role that may not insert an event may only read; of what the server says nothing is repeated: its message is
only searched for the names of our own objects.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from interlock.base.errors import InterlockError
from interlock.stores.postgres.errors import POSTGRES_REFUSED

_WORD = re.compile(r"\w+")
NAMES_SHOWN_MAX = 3


@dataclass(frozen=True, slots=True)
class Grants:
    """One object, and which of the grants of `docs/how-to/postgresql.md` the role lacks on it."""

    kind: str
    name: str
    lacks: tuple[str, ...]

    def missing(self, wanted: Sequence[str] = ()) -> str:
        """What is missing, for a message; with `wanted`, of those alone."""
        lacks = [each for each in self.lacks if each in wanted or not wanted]
        return f"{', '.join(lacks) or 'a privilege'} on {self.kind} {self.name}"


@dataclass(frozen=True, slots=True)
class Access:
    """The grants of a role on everything that a store is made of; empty where there is no store yet."""

    objects: tuple[Grants, ...] = ()

    def unreadable(self, name: str) -> InterlockError | None:
        """Why the store called `name` cannot even be read: the schema cannot be used, or a table not be read."""
        wanted = {"schema": "USAGE", "table": "SELECT"}
        found = [each for each in self.objects if wanted.get(each.kind) in each.lacks]
        return _refused(name, found, [*wanted.values()]) if found else None

    def unwritable(self, name: str) -> InterlockError | None:
        """Why nothing can be appended to the store called `name`."""
        found = [each for each in self.objects if (each.kind, each.name) == ("table", "event")]
        return _refused(name, found, ["INSERT"]) if any("INSERT" in each.lacks for each in found) else None

    def denied(self, said: str) -> str | None:
        """What the server refuses by the message `said`; None where it names none of our objects.

        The last name is that of the object, in most languages of the server; two objects may share a name.
        """
        words = _WORD.findall(said)
        for word in reversed(words):
            found = [each for each in self.objects if each.name == word]
            if found:
                return next((each for each in found if each.kind in words), found[0]).missing()
        return None


def _refused(name: str, found: Sequence[Grants], wanted: Sequence[str]) -> InterlockError:
    """The refusal for lack of grants on some objects."""
    first = found[: 1 if found[0].kind == "schema" else NAMES_SHOWN_MAX]
    more = len(found) - len(first) if found[0].kind != "schema" else 0
    texts = [each.missing(wanted) for each in first] + ([f"{more} more"] if more else [])
    return POSTGRES_REFUSED.error(f"{name}: the role lacks {'; '.join(texts)}", sqlstate="42501")
