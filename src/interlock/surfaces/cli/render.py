"""Shows the output of a command.

What it does: writes one JSON object for programs; for people the members of the record line by line, and
every list of records as a table. What it does not do: it changes no value and knows no command.

Rules: tables are drawn by `rich` on a terminal only, with short times, and a digest that does not fit its line is cut
there; into a pipe go the same columns, aligned, whole and without colour, so that other tools can read them.
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

import msgspec
from msgspec import Struct

from interlock.base.part import Command
from interlock.surfaces.cli.presentation import Presentation, presentation_of
from interlock.surfaces.cli.text import cell, is_absent, is_moment, short_digest, short_time, title

_GAP = 2
"""Columns of a terminal between two columns of a table."""

_CELL_MIN = 6


def show(command: Command, output: Struct, *, as_json: bool) -> None:
    """Write `output` to standard output in the form that its reader needs."""
    if as_json:
        sys.stdout.buffer.write(msgspec.json.encode(output) + b"\n")
        return
    presentation = presentation_of(command.noun)
    if as_text := presentation.text.get(command.verb):
        _write_as_is(as_text(output))
        return
    if shaped := presentation.people.get(command.verb):
        output = shaped(output)
    written = False
    for name, block in _blocks(output):
        if written:
            sys.stdout.write(f"\n{title(name)}\n" if name else "\n")
        if name is None:
            _lines(block)
        else:
            key = f"{command.verb}.{name}"
            _table(block, presentation, key)
        written = True
    if not written and (words := presentation.empty.get(command.verb)):
        sys.stderr.write(f"{words}\n")
    elif not written and sys.stdout.isatty():
        sys.stdout.write("nothing to show\n")


def _write_as_is(content: bytes) -> None:
    """Exactly these bytes; on a terminal a last line is ended, so that the prompt starts on its own."""
    ending = b"\n" if sys.stdout.isatty() and not content.endswith(b"\n") else b""
    sys.stdout.buffer.write(content + ending)


def _blocks(output: Struct) -> Iterator[tuple[str | None, list[dict[str, object]]]]:
    """The output in the order of its members: rows of named tables, and between them lines (without a name).

    A block of lines is one row; what is absent has no line, and an empty list no table.
    """
    lines: dict[str, object] = {}
    for name, value in _pairs(output):
        rows = _rows(value)
        if not rows:
            found = _flat(value, f"{name}.") if isinstance(value, Struct) else iter([(name, value)])
            lines |= {key: each for key, each in found if not is_absent(each)}
            continue
        if lines:
            yield None, [lines]
            lines = {}
        yield name, [dict(_flat(row)) for row in rows]
    if lines:
        yield None, [lines]


def _pairs(record: Struct) -> Iterator[tuple[str, object]]:
    for name in record.__struct_fields__:
        yield name, getattr(record, name)


def _flat(record: Struct, prefix: str = "") -> Iterator[tuple[str, object]]:
    """Members of the record and of the records inside it, with dotted names."""
    for name, value in _pairs(record):
        if isinstance(value, Struct):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _rows(value: object) -> Sequence[Struct]:
    """The records of a list, or nothing where the value is no list of records."""
    if not isinstance(value, list | tuple):
        return ()
    records = [each for each in value if isinstance(each, Struct)]
    return records if len(records) == len(value) else ()


def _lines(block: Sequence[Mapping[str, object]]) -> None:
    width = max(len(title(name)) for row in block for name in row)
    room = _columns() - width - _GAP if sys.stdout.isatty() else sys.maxsize
    for row in block:
        for name, value in row.items():
            first, *others = value if _is_texts(value) else [value]
            sys.stdout.write(f"{title(name):<{width}}  {short_digest(cell(name, first), room)}\n")
            for each in others:
                sys.stdout.write(f"{'':<{width}}  {short_digest(cell(name, each), room)}\n")


def _is_texts(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(each, str) for each in value)


def _table(rows: Sequence[Mapping[str, object]], presentation: Presentation, key: str) -> None:
    names = presentation.columns.get(key) or tuple(dict.fromkeys(key for row in rows for key in row))
    used = [name for name in names if not all(is_absent(row.get(name)) for row in rows)] or list(names)
    headings = [title(name) for name in used]
    if not sys.stdout.isatty():
        _align([[text.upper() for text in headings], *([cell(name, row.get(name)) for name in used] for row in rows)])
        return
    now_ms = int(time.time() * 1000)
    cells = [[_brief(name, row.get(name), now_ms) for name in used] for row in rows]
    if order := presentation.gives_way.get(key):
        cells = yielded(headings, cells, [used.index(name) for name in order if name in used], _columns())
    cut = () if order else presentation.cut.get(key)
    _draw(headings, cells, [cut is None or name in cut for name in used], folds=cut is None)


def _columns() -> int:
    return shutil.get_terminal_size().columns


def _brief(name: str, value: object, now_ms: int) -> str:
    return short_time(value, now_ms) if is_moment(value, name) else cell(name, value)


def _align(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        padded = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        sys.stdout.write(padded.rstrip() + "\n")


def _draw(headings: Sequence[str], rows: Sequence[Sequence[str]], elastic: Sequence[bool], *, folds: bool) -> None:
    """A table as wide as the terminal at most: only `elastic` columns give way, over more lines if it `folds`.

    Where it does not, they are cut in the middle: what tells long names apart stands at their ends.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    console = Console()
    if not folds:
        rows = fitted(headings, rows, elastic, console.width)
    for heading, gives_way in zip(headings, elastic, strict=True):
        table.add_column(heading, overflow="fold", no_wrap=not gives_way)
    for row in rows:
        table.add_row(*(Text(text) if folds else Text(text, no_wrap=True, overflow="ellipsis") for text in row))
    sys.stdout.flush()
    console.print(table)


def fitted(
    headings: Sequence[str], rows: Sequence[Sequence[str]], elastic: Sequence[bool], room: int
) -> list[list[str]]:
    """The rows with their elastic cells cut so that a line has `room`: the widest column gives way first."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    over = sum(widths) + _GAP * len(widths) - room
    while over > 0:
        widest = max((at for at, gives_way in enumerate(elastic) if gives_way), key=widths.__getitem__, default=None)
        if widest is None or widths[widest] <= max(_CELL_MIN, len(headings[widest])):
            break
        widths[widest] -= 1
        over -= 1
    return [[_cut(text, width) for text, width in zip(row, widths, strict=True)] for row in rows]


def yielded(headings: Sequence[str], rows: Sequence[Sequence[str]], order: Sequence[int], room: int) -> list[list[str]]:
    """The rows with cells cut at their ends so that a line has `room`: the columns of `order` give way one by one."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    over = sum(widths) + _GAP * len(widths) - room
    for at in order:
        gives = min(max(over, 0), max(widths[at] - max(_CELL_MIN, len(headings[at])), 0))
        widths[at] -= gives
        over -= gives
    return [[_cut_end(text, width) for text, width in zip(row, widths, strict=True)] for row in rows]


def _cut_end(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1].rstrip()}…"


def _cut(text: str, width: int) -> str:
    """The text with its middle left out, where it is longer."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail].rstrip()}…{text[len(text) - tail :].lstrip()}"
