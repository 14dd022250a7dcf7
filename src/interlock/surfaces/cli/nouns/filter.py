"""How saved filters look to people: each as the options that it stands for.

It computes nothing about a filter.
"""

from __future__ import annotations

from msgspec import Struct

from interlock.engine.search.commands import FilterKept, FilterList
from interlock.engine.search.where import options_of
from interlock.surfaces.cli.presentation import Presentation


class FilterLine(Struct, frozen=True):
    """A filter in a line."""

    name: str
    options: str
    saved_by: str | None = None
    saved_ms: int | None = None


class FilterLines(Struct, frozen=True):
    """`FilterList` for people."""

    items: list[FilterLine]
    next: str | None


def _list(output: Struct) -> Struct:
    if not isinstance(output, FilterList):
        return output
    lines = [FilterLine(row.name, options_of(row.where), row.saved_by, row.saved_ms) for row in output.items]
    return FilterLines(lines, output.next)


def _kept(output: Struct) -> Struct:
    return FilterLine(output.name, options_of(output.where)) if isinstance(output, FilterKept) else output


PRESENTATION = Presentation(
    cut={"list.items": ("options",)},
    people={"list": _list, "save": _kept},
    empty={"list": "no filters"},
)
