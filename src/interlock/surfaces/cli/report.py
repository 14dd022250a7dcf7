"""Shows an error: three lines for people on standard error, or one JSON object on standard output.

It decides no exit code and catches nothing. Rule: only what an error says of itself is shown; text is made
safe for a terminal first.
"""

from __future__ import annotations

import os
import sys

from interlock.base.errors import InterlockError
from interlock.surfaces.cli.text import safe

_RED, _DIM, _PLAIN = "\x1b[1;31m", "\x1b[2m", "\x1b[0m"


class Interrupted(Exception):
    """A verb that drives was interrupted, or `terminated` by SIGTERM; the message says what has become of it."""

    def __init__(self, note: str = "", *, terminated: bool = False) -> None:
        super().__init__(note)
        self.terminated = terminated


def report(fault: InterlockError, *, as_json: bool) -> None:
    """Write `fault` where its reader looks for it."""
    if as_json:
        import msgspec

        sys.stdout.buffer.write(msgspec.json.encode({"error": error_object(fault)}) + b"\n")
        sys.stdout.flush()
        return
    red, dim, plain = (_RED, _DIM, _PLAIN) if _coloured() else ("", "", "")
    sys.stderr.write(
        f"{red}error:{plain} {safe(fault.message)} {dim}[{fault.code}]{plain}\n       {safe(fault.advice)}\n"
    )


def report_interruption(note: str = "", *, terminated: bool = False) -> None:
    """Say that the call was ended from outside, and what has become of what it drove."""
    what = "terminated" if terminated else "interrupted"
    sys.stderr.write(f"{what}; {safe(note)}\n" if note else f"{what}\n")


def error_object(fault: InterlockError) -> dict[str, object]:
    """The members by which a program tells errors apart; `details` are small and safe."""
    return {
        "code": fault.code,
        "category": fault.category.value,
        "retryable": fault.retryable,
        "message": fault.message,
        "advice": fault.advice,
        "details": fault.details,
    }


def _coloured() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
