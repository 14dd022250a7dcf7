"""Runs one call to its end, and gives a word to whatever ends it from outside.

What it does: runs the coroutine of a call on a loop of its own, lets SIGTERM end it as the keyboard does, and turns a
`sys.exit` in the code of a plan into an error. What it does not do: it shows nothing and knows no verb.

Rules: the first SIGTERM cancels the call, which says what it leaves; a second one ends the process at once, so that a
handler that holds the loop cannot keep it. The code of a plan never chooses the exit code.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.surfaces.cli.report import Interrupted
from interlock.surfaces.errors import PROGRAM_EXITED


def run_call(call: Callable[[], Awaitable[Struct]]) -> Struct:
    """The output of `call`. Raises: what it raises, `Interrupted`, `program_exited`."""
    ended: list[Interrupted] = []

    async def whole() -> Struct | None:
        with _terminable() as received:
            try:
                return await call()
            # Kept here: at a `sys.exit` in another task, nobody awaits this one any more.
            except (Interrupted, asyncio.CancelledError) as fault:
                if not received and not isinstance(fault, Interrupted):
                    raise
                ended.append(Interrupted(str(fault), terminated=bool(received)))
                return None

    try:
        output = asyncio.run(whole())
    except SystemExit as fault:
        raise exited(fault, str(ended[0]) if ended else "") from None
    if output is None:
        raise ended[0]
    return output


def exited(fault: SystemExit, left: str = "") -> InterlockError:
    """The error of code that ended the process: its number, and what it `left`. A text it exits with is not shown."""
    code = 0 if fault.code is None else fault.code
    number = f"({code})" if isinstance(code, int) else ""
    told = f"the code of the plan ended the process with sys.exit{number}"
    return PROGRAM_EXITED.error(f"{told}; {left}" if left else told)


@contextmanager
def _terminable() -> Iterator[list[int]]:
    """Let the first SIGTERM cancel the current task; gives the signals that came."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield received
        return
    loop, task = asyncio.get_running_loop(), asyncio.current_task()

    def terminate(number: int, _frame: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        received.append(number)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield received
    finally:
        signal.signal(signal.SIGTERM, before)
