"""What a linter says: findings with place, rule and hint, and the catalogue of rules.

What it does: declares `Rule` and `Finding`, and collects the findings of one document. What it does not do: it reads
no document and knows no grammar.

Rules: a rule has a stable id; a message names what is wrong and repeats no value of the document beyond a name; lines
and columns count from 1; findings are in the order of the document; more than `FINDINGS_MAX` are counted, not listed.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum

from msgspec import Struct

from interlock.base.ids import shown

FINDINGS_MAX = 500
"""Findings of one document that are listed."""


_WORD_MAX = 64


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
    """The findings of one document as they are made."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._found: dict[tuple[int, int, str, str], Finding] = {}
        self.omitted = 0

    def add(self, rule: Rule, place: Place, message: str, hint: str | None = None) -> None:
        """Note a breach of `rule`; the same one of the same place is noted once."""
        key = (place.line, place.column, rule.id, message)
        if key in self._found:
            return
        if len(self._found) >= FINDINGS_MAX:
            self.omitted += 1
            return
        text = rule.hint if hint is None else hint
        self._found[key] = Finding(self._file, place.line, place.column, rule.id, rule.level, message, text)

    @property
    def sorted(self) -> tuple[Finding, ...]:
        """All of them, in the order of the document."""
        return tuple(each for _, each in sorted(self._found.items()))

    @property
    def has_errors(self) -> bool:
        """Whether the document cannot run."""
        return self.omitted > 0 or any(each.level is Level.ERROR for each in self._found.values())


def meant(word: str, known: Iterable[str]) -> str | None:
    """A hint that names what was probably meant; None where nothing is near."""
    by_lower = {each.lower(): each for each in known}
    near = get_close_matches(word.lower()[:_WORD_MAX], list(by_lower), n=1, cutoff=0.6)
    return f"Did you mean `{shown(by_lower[near[0]])}`?" if near else None


def one_of(word: str, known: Iterable[str]) -> str:
    """A hint for a name that is none of `known`: the nearest, and the first of all."""
    names = [*known]
    listed = ", ".join(f"`{shown(each)}`" for each in names[:12])
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    near = meant(word, names)
    choices = f"Known: {listed}{more}." if names else "There is none to choose from."
    return f"{near} {choices}" if near else choices
