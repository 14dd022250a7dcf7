"""Searching the documentation: which sections answer a question.

What it does: splits pages at their headings, scores each section by the words of a query and by the role of its page,
and gives the best. What it does not do: it reads no file (`pages`).

Rules (seed 000, docs search): a word counts 3 in a heading and 1 in a body; a section without any is left out; the role
that the query hints at counts 2, and the others that it hints at 1; ties stand in the order of the pages, then of the
headings; an empty query gives the beginning of one page of each role. The same pages and query give the same answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Annotated, Final, Literal, NamedTuple

from msgspec import Meta, Struct

Role = Literal["reasoning", "decision", "ontology", "pattern"]
ROLES: Final[tuple[Role, ...]] = ("reasoning", "decision", "ontology", "pattern")
SECTIONS_DEFAULT: Final = 3
SECTIONS_MAX: Final = 10

_CUES: Final[dict[Role, tuple[str, ...]]] = {
    "reasoning": ("why", "trust", "prove", "guarantee", "secur"),
    "decision": ("first", "begin", "start", "learn", "which"),
    "ontology": ("schema", "setting", "code", "format", "comparator", "reference"),
    "pattern": ("how", "example", "write", "recipe", "operate"),
}
_FOLLOW_UPS: Final[dict[Role, str]] = {
    "reasoning": "Ask why, for what is guaranteed and on what it rests.",
    "decision": "Ask where to start, for a way through the first steps.",
    "ontology": "Ask for a schema, a setting or an error code, for its exact words.",
    "pattern": "Ask how to do something, for a recipe.",
}
_OVERVIEW: Final = "Ask with the words of a task, a setting or an error code."


class SearchInput(Struct, frozen=True, forbid_unknown_fields=True):
    """What to look for, and how many sections to give at most: 1 to 10, by default 3."""

    query: Annotated[str, Meta(max_length=1000, description="Words of a task, a setting or an error code.")]
    max_sections: Annotated[int, Meta(ge=1, le=10, description="Sections at most.")] | None = None


class Page(Struct, frozen=True):
    """A page of documentation, as Markdown; `custom` ones were added by an installation."""

    id: str
    title: str
    role: Role
    text: str
    description: str
    custom: bool = False


class Section(Struct, frozen=True):
    """A section of a page, at its rank among those that were found, from 0."""

    rank: int
    doc_id: str
    doc_title: str
    doc_role: Role
    heading: str
    content: str


class Covered(Struct, frozen=True):
    """A page of which there is a section."""

    doc_id: str
    doc_title: str
    doc_role: Role


class Found(Struct, frozen=True):
    """The sections that were found, the pages that they are of, and what else could be asked."""

    sections: list[Section]
    docs_covered: list[Covered]
    suggested_followups: list[str]


class _Part(NamedTuple):
    """A section, with its place in the library."""

    page: Page
    place: int
    heading: str
    content: str


class Library:
    """Pages in their order."""

    def __init__(self, pages: Sequence[Page], sections_max: int = SECTIONS_MAX) -> None:
        self.pages = tuple(pages)
        self._sections_max = sections_max

    def search(self, query: str, max_sections: int | None = None) -> Found:
        """The sections that answer a query best, from 1 to the most that are given, by default 3."""
        limit = min(max(max_sections if max_sections is not None else SECTIONS_DEFAULT, 1), self._sections_max)
        words = query.lower().split()
        if not words:
            return _found(self._beginnings()[:limit], [_OVERVIEW])
        bonus = _bonus(query.lower())
        scored = [
            (score + bonus.get(part.page.role, 0), part) for part in self._parts if (score := _score(part, words))
        ]
        scored.sort(key=lambda each: (-each[0], each[1].place, each[1].heading))
        return _found([part for _, part in scored[:limit]])

    @cached_property
    def _parts(self) -> list[_Part]:
        return [part for place, page in enumerate(self.pages) for part in _split(page, place)]

    def _beginnings(self) -> list[_Part]:
        """The beginning of the first page of each role that there is."""
        first = {role: next((part for part in self._parts if part.page.role == role), None) for role in ROLES}
        return [part for part in first.values() if part is not None]


def _split(page: Page, place: int) -> Iterator[_Part]:
    """The sections of a page; what stands before the first heading has the page's title."""
    heading, lines = page.title, list[str]()
    for line in [*page.text.splitlines(), None]:
        if line is not None and not line.startswith(("## ", "### ")):
            lines.append(line)
            continue
        yield _Part(page, place, heading, "\n".join(lines).strip())
        heading, lines = (line or "").lstrip("#").strip(), []


def _score(part: _Part, words: Sequence[str]) -> int:
    heading, content = part.heading.lower(), part.content.lower()
    return sum(3 * (word in heading) + (word in content) for word in words)


def _bonus(query: str) -> dict[Role, int]:
    """What the roles count that a query hints at: the one with the most hints 2, every other 1."""
    hints = {role: sum(cue in query for cue in cues) for role, cues in _CUES.items()}
    ordered = sorted((role for role in ROLES if hints[role]), key=lambda role: -hints[role])
    return {role: 2 if role == ordered[0] else 1 for role in ordered}


def _found(parts: Sequence[_Part], follow_ups: list[str] | None = None) -> Found:
    sections = [
        Section(rank, part.page.id, part.page.title, part.page.role, part.heading, part.content)
        for rank, part in enumerate(parts)
    ]
    covered = {part.page.id: Covered(part.page.id, part.page.title, part.page.role) for part in parts}
    if follow_ups is None:
        roles = {part.page.role for part in parts}
        follow_ups = [_FOLLOW_UPS[role] for role in ROLES if roles and role not in roles]
    return Found(sections, list(covered.values()), follow_ups)
