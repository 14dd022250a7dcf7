"""The processes of a contender: what they hold in memory, how often they flush, and that none is left.

It knows no contender. Rules: only descendants of this process are looked at or killed, orphans included, because they
become its children; what cannot be counted is None, and never nought.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import signal
import time
from collections.abc import Collection, Iterable
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
NO_FILE = 1 << 30  # protocol.py marks with it
GONE_S_MAX = 30
FLUSH = re.compile(r"^\d+\s+(\d+\.\d+)\s+f(?:data)?sync\((\d+)")
PROC = Path("/proc")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this system does not hand orphans over")


def descendants(root: int, without: Collection[int] = ()) -> list[int]:
    """Every living process below one, but for the trees whose roots are named."""
    return below(root, _parents(), without)


def below(root: int, parents: dict[int, int], without: Collection[int] = ()) -> list[int]:
    """The same over a table of processes and their parents."""
    children: dict[int, list[int]] = {}
    for pid, parent in parents.items():
        children.setdefault(parent, []).append(pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        fresh = [pid for pid in children.get(waiting.pop(), []) if pid not in without]
        found += fresh
        waiting += fresh
    return found


def _parents() -> dict[int, int]:
    """The parent of every process that is not a mere entry waiting to be collected."""
    found: dict[int, int] = {}
    for folder in PROC.iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                state, parent = (folder / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                if state != "Z":
                    found[int(folder.name)] = int(parent)
    return found


def kill_all(without: Collection[int] = ()) -> None:
    """Kill every descendant of this process at once, but for the named trees, and wait until they are gone."""
    until = time.monotonic() + GONE_S_MAX
    while left := descendants(os.getpid(), without):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > until:
            raise RuntimeError(f"{len(left)} processes do not die")
        time.sleep(0.01)


def memory_mb(root: int) -> float:
    """What all processes below one hold now; a page that several share counts in each."""
    return sum(map(_resident_pages, descendants(root))) * os.sysconf("SC_PAGESIZE") / 2**20


def _resident_pages(pid: int) -> int:
    with contextlib.suppress(OSError):
        return int((PROC / str(pid) / "statm").read_text().split()[1])
    return 0


def tracer(log: Path) -> list[str]:
    """What stands before a command so that its flushes are written to a file; nothing where there is no tracer."""
    program = shutil.which("strace")
    return [program, "-f", "-ttt", "-e", "trace=fsync,fdatasync", "-o", str(log)] if program else []


def flushes_between_marks(logs: Iterable[str]) -> int | None:
    """Flushes between the two marks that a program left in one of the logs; None where it left no two."""
    calls = [(float(found[1]), int(found[2])) for log in logs for found in map(FLUSH.match, log.splitlines()) if found]
    marks = [when for when, file in calls if file == NO_FILE]
    if len(marks) != 2:
        return None
    return sum(1 for when, file in calls if file != NO_FILE and marks[0] <= when <= marks[1])
