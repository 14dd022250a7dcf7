"""A process that another one supervises: it ends when its supervisor has.

What it does: watches the pipe that a supervisor leaves as standard input. What it does not do: it starts nothing.

Rule: the end of the pipe is the end of the supervisor, however it came; the process then ends as if told to.
"""

from __future__ import annotations

import os
import signal
import threading

VARIABLE = "INTERLOCK_SUPERVISED"


def watch_parent() -> None:
    """Let this process be told to stop when its supervisor has ended; nothing where nobody supervises it."""
    if os.environ.pop(VARIABLE, None) is None:
        return

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="supervisor", daemon=True).start()
