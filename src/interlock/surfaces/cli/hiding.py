"""Takes a password that stands on the command line out of what other users see of this process.

What it does: overwrites the passwords of URLs where the kernel keeps the command line (`/proc/self/cmdline`, and so
`ps`). What it does not do: it changes nothing that the program itself has read, and hides nothing from a shell's
history; `PGPASSWORD`, `~/.pgpass` and `INTERLOCK_STORE` never show one at all.

Rule: where the system does not offer it, it does nothing; a password is seen by others only until this has run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_PASSWORD = re.compile(rb"(?i)[a-z][a-z0-9+.-]*:/+[^/?#@:\0]*:([^\0]+)@|[?&\s\0](?:ssl)?password=([^&\s\0]+)")
"""Of any scheme, because one that is misspelt stands before the same password."""

_ARG_START, _ARG_END = 45, 46
"""Places in /proc/self/stat behind the name of the program; see proc_pid_stat(5)."""


def hide_passwords(tokens: Sequence[str]) -> None:
    """Overwrite the password of every URL on the command line of this process."""
    if not any(":/" in token or "password=" in token for token in tokens):
        return
    with suppress(OSError, ValueError, IndexError):
        import ctypes

        figures = Path("/proc/self/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
        start, end = int(figures[_ARG_START]), int(figures[_ARG_END])
        line = ctypes.string_at(start, end - start)
        if line != Path("/proc/self/cmdline").read_bytes():
            return
        for found in _PASSWORD.finditer(line):
            group = 1 if found[1] is not None else 2
            ctypes.memset(start + found.start(group), ord("x"), found.end(group) - found.start(group))
