"""Starts the command line as a real process, with or without a terminal.

It fakes nothing: the process is the program that people run, with the toy's parts or with the product's.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PRODUCT = (sys.executable, "-m", "interlock.surfaces.cli.main")
TOY = (sys.executable, str(Path(__file__).with_name("toy.py")))
SECONDS_MAX = 60


@dataclass(frozen=True)
class Ended:
    """What a process wrote and how it ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()


def run(
    *line: str,
    program: Sequence[str] = TOY,
    folder: Path,
    given: bytes = b"",
    environ: Mapping[str, str] | None = None,
) -> Ended:
    """Run one command line in `folder` with `given` as its standard input."""
    done = subprocess.run(
        [*program, *line],
        cwd=folder,
        input=given,
        capture_output=True,
        timeout=SECONDS_MAX,
        check=False,
        env={**os.environ, **(environ or {})},
    )
    return Ended(done.returncode, done.stdout, done.stderr.decode())


def run_on_terminal(
    *line: str,
    program: Sequence[str] = TOY,
    folder: Path,
    environ: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run one command line on a terminal of its own; exit code and everything that it showed."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*program, *line],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "200", **(environ or {})},
    )
    os.close(theirs)
    shown = b""
    ends = time.monotonic() + SECONDS_MAX
    with contextlib.suppress(OSError):  # reading fails once the last writer has closed the terminal
        while time.monotonic() < ends and select.select([ours], [], [], 1)[0] is not None:
            chunk = os.read(ours, 65536)
            if not chunk:
                break
            shown += chunk
    code = process.wait(SECONDS_MAX)
    os.close(ours)
    return code, shown.decode(errors="replace")
