"""The process of `cel_worker`: evaluates expressions, with little memory and little time.

What it does: takes messages from its standard input, a socket, and answers each. What it does not do: it opens nothing
and starts nothing; it ends when the socket does.

Rules: it begins without a path of modules and gets that of its owner; memory is limited once everything is loaded; time
is counted by the kernel, which ends the process, since the library cannot be interrupted.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import Any

_HEAD_BYTES = 9


def _received(connection: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        chunk = connection.recv(min(size - len(found), 1024 * 1024))
        if not chunk:
            os._exit(0)
        found += chunk
    return bytes(found)


def _limit_memory(beyond: int) -> None:
    """Allow so many bytes beyond those that are in use, where the system counts them."""
    try:
        used = int(Path("/proc/self/statm").read_bytes().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + beyond, used + beyond))
    except (OSError, ValueError):
        return


class _Evaluator:
    """Answers messages; `P` begins, `D` gives data, `E` an expression."""

    def __init__(self) -> None:
        self._cpu_seconds = 0.0
        self._data: Any = None

    def answer(self, kind: bytes, content: bytes) -> tuple[bytes, bytes]:
        """The answer: `V` with a value, `F` with a fault, `M` without the library."""
        if kind == b"P":
            return self._begin(json.loads(content))
        from interlock.base.canonical import canonical
        from interlock.engine.document import cel

        if kind == b"D":
            import msgspec

            from interlock.engine.document.cel_cost import Sizes

            self._data = None  # what is there goes first: memory is little
            self._data = Sizes(msgspec.json.decode(content))
            return b"V", b"null"
        signal.setitimer(signal.ITIMER_PROF, self._cpu_seconds)  # its signal ends the process
        try:
            source = content.decode("utf-8", "surrogatepass")
            return b"V", canonical(cel.evaluated_here(source, self._data))
        except cel.CelFault as fault:
            return b"F", json.dumps([fault.text, fault.column]).encode()
        except cel.CelMissingError:
            return b"M", b""
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)

    def _begin(self, told: dict[str, Any]) -> tuple[bytes, bytes]:
        sys.path[:] = told["path"]
        self._cpu_seconds = told["cpu_seconds"]
        from interlock.engine.document import cel

        try:
            cel.compiled("1 + 1")
        except cel.CelMissingError:
            return b"M", b""
        _limit_memory(told["memory_bytes"])
        return b"V", b"null"


def main() -> None:
    """Answer until the socket ends. An expression for which there is no memory ends the process."""
    evaluator = _Evaluator()
    with socket.socket(fileno=os.dup(0)) as connection:
        while True:
            head = _received(connection, _HEAD_BYTES)
            kind, content = evaluator.answer(head[:1], _received(connection, int.from_bytes(head[1:], "big")))
            connection.sendall(kind + len(content).to_bytes(_HEAD_BYTES - 1, "big") + content)


if __name__ == "__main__":
    main()
