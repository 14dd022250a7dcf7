"""Colours for the text tree of a run, on a terminal that wants them.

It adds colours to the symbol and the status word of a line, and changes nothing else.
"""

from __future__ import annotations

import os
import re
import sys

from interlock.engine.graph.looks import LOOKS

_ANSI = {look.symbol: look.ansi for look in LOOKS.values()}
_LINE = re.compile(rf"^([│├└─ ]*)([{''.join(_ANSI)}]) (.*?  +)(.*?)(?=  | ·|$)", re.MULTILINE)


def is_coloured() -> bool:
    """Whether standard output is a terminal that wants colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def tinted(text: str) -> str:
    """The tree with the colours of its statuses."""
    return _LINE.sub(_coloured, text)


def _coloured(line: re.Match[str]) -> str:
    before, symbol, name, status = line.groups()
    begin = f"\x1b[{_ANSI[symbol]}m"
    return f"{before}{begin}{symbol}\x1b[0m {name}{begin}{status}\x1b[0m"
