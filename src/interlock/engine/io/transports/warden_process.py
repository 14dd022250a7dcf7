"""The process of a warden: outlives its owner for a moment, and kills the programs that the owner left behind.

What it does: reads from its input what runs, one thing a line, and kills it when its input or its owner ends:
`+<id>` is a process group that runs and `-<id>` one that does no longer, `?<inode>` the input of a program that is
being started and `!<inode>` that of one that was. What it does not do: it starts and reaps nothing, and imports next to
nothing, so that it is there within milliseconds.

Rules: the owner is watched through a handle on its process, not through its input alone: a fork of the owner may hold
the other end of that open. A program whose owner was killed before it could name it is found by its input, which nobody
else has as its own.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

_CHUNK_BYTES = 4096
_INPUT = 0
_LOOKS, _PAUSE_SECONDS = 5, 0.02
_TAKES_BACK = {b"-": b"+", b"!": b"?"}


def main(owner: int) -> None:
    """Watch until the owner closes the input or is gone, then kill what still runs."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)  # whoever ends the owner's group must not end its warden first
    os.set_blocking(_INPUT, False)
    said = b""
    for chunk in _until_the_end(owner):
        said = _shortened(said + chunk)
    things = _standing(said)
    for group in _numbers(things, b"+"):
        _kill(os.killpg, group)
    _end_unnamed({f"pipe:[{inode}]" for inode in _numbers(things, b"?")})


def _kill(kill: Callable[[int, int], None], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        kill(number, signal.SIGKILL)


def _end_unnamed(inputs: set[str]) -> None:
    """Kill the programs that have one of these inputs; look again, for one that was just about to begin."""
    for _ in range(_LOOKS if inputs else 0):
        for pid in [int(entry.name) for entry in os.scandir("/proc") if entry.name.isdigit()]:
            with suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{_INPUT}") in inputs:  # noqa: PTH115 — see "imports next to nothing"
                    _kill(os.killpg if os.getpgid(pid) == pid else os.kill, pid)
        time.sleep(_PAUSE_SECONDS)


def _until_the_end(owner: int) -> Iterator[bytes]:
    """What the owner says, to the last byte, also where it is gone already."""
    ends = select.poll()
    ends.register(_INPUT, select.POLLIN)
    alive = _watch(owner, ends)
    while True:
        ready = [descriptor for descriptor, _ in ends.poll()] if alive else []
        alive = alive and ready in ([], [_INPUT])
        try:
            chunk = os.read(_INPUT, _CHUNK_BYTES)
        except BlockingIOError:
            if alive:
                continue
            return
        if not chunk:
            return
        yield chunk


def _watch(owner: int, ends: select.poll) -> bool:
    """Whether the owner lives; the poll then tells its end."""
    try:
        ends.register(os.pidfd_open(owner), select.POLLIN)
    except ProcessLookupError:
        return False
    return os.getppid() == owner  # else its number may be another process's by now


def _standing(said: bytes) -> dict[bytes, None]:
    """What was said, in order, without what was taken back."""
    standing: dict[bytes, None] = {}
    for line in said.split(b"\n")[:-1]:
        opposite = _TAKES_BACK.get(line[:1])
        if opposite is None:
            standing[line] = None
        else:
            standing.pop(opposite + line[1:], None)
    return standing


def _numbers(things: dict[bytes, None], kind: bytes) -> list[int]:
    return [int(line[1:]) for line in things if line[:1] == kind]


def _shortened(said: bytes) -> bytes:
    unfinished = said[said.rfind(b"\n") + 1 :]
    return b"".join(line + b"\n" for line in _standing(said)) + unfinished


if __name__ == "__main__":
    main(int(sys.argv[1]))
    os._exit(0)  # nothing is left to tidy
