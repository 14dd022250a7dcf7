"""Shows what a long verb tells: JSON lines for programs, one line that is written over for people.

What it does: with `--json` each record is a line of standard output; on a terminal the newest line stands on standard
error, below those that stay; elsewhere only those are written there. What it does not do: it chooses no words.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import msgspec
from msgspec import Struct

from interlock.surfaces.cli.text import safe
from interlock.surfaces.narration import Narrator


class JsonLines(Narrator):
    """Each record is one line of JSON, written at once; a reader that has gone stops nothing."""

    def __init__(self) -> None:
        self._out = sys.stdout.buffer

    def tell(self, happened: Struct, line: str, *, stays: bool = False) -> None:  # noqa: ARG002 - for people
        """Write the record."""
        with suppress(OSError):
            self._out.write(msgspec.json.encode(happened) + b"\n")
            self._out.flush()


class OneLine(Narrator):
    """The newest line, over the one before, unless that one stays."""

    def __init__(self) -> None:
        self._open = False

    def tell(self, happened: Struct, line: str, *, stays: bool = False) -> None:  # noqa: ARG002 - for programs
        """Write the line."""
        with suppress(OSError):
            sys.stderr.write(f"\r\x1b[2K{safe(line)}" + ("\n" if stays else ""))
            sys.stderr.flush()
        self._open = not stays

    def close(self) -> None:
        """Leave the last line where it stands."""
        if self._open:
            sys.stderr.write("\n")


class Log(Narrator):
    """The lines that stay, for whoever reads them later; a reader that has gone stops nothing."""

    def tell(self, happened: Struct, line: str, *, stays: bool = False) -> None:  # noqa: ARG002 - for programs
        """Write the line."""
        if stays:
            with suppress(OSError):
                sys.stderr.write(f"{safe(line)}\n")
                sys.stderr.flush()


def narrator_of(*, as_json: bool) -> Narrator:
    """The narrator that suits who reads."""
    if as_json:
        return JsonLines()
    return OneLine() if sys.stderr.isatty() else Log()
