"""What a linter says: findings with place, rule and hint, and the catalogue of rules.

What it does: declares `Rule` and `Finding`, and collects the findings of one document. What it does not do: it reads
no document and knows no grammar.

Rules: a rule has a stable id; a message names what is wrong and repeats no value of the document beyond a name; lines
and columns count from 1; findings are in the order of the document; more than `FINDINGS_MAX` are counted, not listed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from difflib import get_close_matches
from enum import StrEnum
from itertools import islice

from msgspec import Struct

from interlock.base.ids import shown

FINDINGS_MAX = 500
"""Findings of one document that are listed."""

COMPARISONS_MAX = 20_000
"""Names that are compared with wrong ones, over all documents of one check; after that, hints name nothing near."""

LOOKS_MAX = 1_000_000
"""Names whose length is looked at, to see whether they are worth a comparison; the same."""

NAMES_COMPARED_MAX = 1_000
"""Names that one wrong name is compared with."""

_WORD_MAX = 64
_NAMES_LISTED = 12
_CUTOFF = 0.6


class Level(StrEnum):
    """Whether a document with such a finding can run."""

    ERROR = "error"
    WARNING = "warning"


class Rule(Struct, frozen=True):
    """Something that a document must keep: `hint` says what to do where it does not."""

    id: str
    summary: str
    hint: str
    level: Level = Level.ERROR


class Finding(Struct, frozen=True):
    """One place where a document breaks a rule."""

    file: str
    line: int
    column: int
    rule: str
    level: Level
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.level}[{self.rule}] {self.message}"

    @property
    def brief(self) -> str:
        """The finding where it is said already that it is an error."""
        return f"{self.file}:{self.line}:{self.column}: {self.message} [{self.rule}]"


class Problem(Struct, frozen=True):
    """What the check of a handler finds in a step's `with`: the rule, the path below `with`, and a message."""

    rule: Rule
    path: tuple[str | int, ...]
    message: str


class Place(Struct, frozen=True):
    """Where something stands in a document, counted from 1."""

    line: int = 1
    column: int = 1


START = Place()


class Findings:
    """The findings of one document as they are made; documents that are checked together share `near`."""

    def __init__(self, file: str, near: NearMisses | None = None) -> None:
        self._file = file
        self._near = near or NearMisses()
        self._found: dict[tuple[int, int, str, str], Finding] = {}
        self.omitted = 0

    def add(self, rule: Rule, place: Place, message: str, hint: str | Hint | None = None) -> None:
        """Note a breach of `rule`; the same one of the same place is noted once."""
        key = (place.line, place.column, rule.id, message)
        if key in self._found:
            return
        if len(self._found) >= FINDINGS_MAX:
            self.omitted += 1
            return
        made = hint(self._near) if callable(hint) else hint
        text = rule.hint if made is None else made
        self._found[key] = Finding(self._file, place.line, place.column, rule.id, rule.level, message, text)

    @property
    def sorted(self) -> tuple[Finding, ...]:
        """All of them, in the order of the document."""
        return tuple(each for _, each in sorted(self._found.items()))

    @property
    def has_errors(self) -> bool:
        """Whether the document cannot run."""
        return self.omitted > 0 or any(each.level is Level.ERROR for each in self._found.values())


class NearMisses:
    """Finds what was probably meant, with a bounded number of comparisons for all documents of one check."""

    def __init__(self) -> None:
        self.compared = 0
        self.looked = 0
        self._found: dict[tuple[str, int], str | None] = {}
        self._scopes: dict[int, Collection[str]] = {}

    def nearest(self, word: str, known: Collection[str]) -> str | None:
        """The name that is nearest to `word`; None where none is near, or where too much was compared already."""
        key = (word, id(known))
        if key not in self._found:
            self._scopes[id(known)] = known  # kept, so that no other scope gets its number
            self._found[key] = self._compare(word.lower()[:_WORD_MAX], known)
        return self._found[key]

    def _compare(self, word: str, known: Collection[str]) -> str | None:
        by_lower: dict[str, str] = {}
        for each in known:
            if len(by_lower) >= min(NAMES_COMPARED_MAX, COMPARISONS_MAX - self.compared) or self.looked >= LOOKS_MAX:
                break
            self.looked += 1
            shorter, longer = sorted((len(word), len(each)))
            if 2 * shorter >= _CUTOFF * (shorter + longer):  # no other can be as near as the cut-off
                by_lower[each.lower()] = each
        self.compared += len(by_lower)
        near = get_close_matches(word, list(by_lower), n=1, cutoff=_CUTOFF)
        return by_lower[near[0]] if near else None


Hint = Callable[[NearMisses], str | None]
"""Makes a hint; called for a finding that is listed, and for no other. None stands for the hint of the rule."""


def meant(word: str, known: Collection[str], around: str = "{}", otherwise: str | None = None) -> Hint:
    """A hint that names what was probably meant, put into `around`; `otherwise` where nothing is near."""

    def made(near: NearMisses) -> str | None:
        found = near.nearest(word, known)
        return otherwise if found is None else around.replace("{}", f"Did you mean `{shown(found)}`?")

    return made


def one_of(word: str, known: Collection[str]) -> Hint:
    """A hint for a name that is none of `known`: the nearest, and the first of all."""

    def made(near: NearMisses) -> str:
        listed = ", ".join(f"`{shown(each)}`" for each in islice(known, _NAMES_LISTED))
        more = f" and {len(known) - _NAMES_LISTED} more" if len(known) > _NAMES_LISTED else ""
        found = near.nearest(word, known)
        choices = f"Known: {listed}{more}." if known else "There is none to choose from."
        return choices if found is None else f"Did you mean `{shown(found)}`? {choices}"

    return made
