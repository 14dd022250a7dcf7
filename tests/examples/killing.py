"""The program that a child process finds as `sitecustomize`: it ends its process at one of the appends of a run.

It does nothing but count what the drivers of runs have appended, over all processes of a folder, and send SIGKILL to
the process that makes the append whose number is given.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

COUNT, KILL_AT = "APPENDS_FILE", "APPENDS_KILL_AT"


def count() -> None:
    """One append more; end this process if it is the one."""
    file = Path(os.environ[COUNT])
    with file.open("a", encoding="utf-8") as out:
        out.write(".")
    if file.stat().st_size == int(os.environ[KILL_AT]):
        file.with_name("killed").touch()
        os.kill(os.getpid(), signal.SIGKILL)


def install() -> None:
    """Count the appends of this process, if its environment asks for that."""
    if COUNT not in os.environ:
        return
    from interlock.journal.journal import StreamWriter

    original = StreamWriter.append

    async def append(self: StreamWriter, *given: Any, **named: Any) -> Any:
        done = await original(self, *given, **named)
        count()
        return done

    StreamWriter.append = append  # type: ignore[method-assign]
