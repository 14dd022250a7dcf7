"""Crashes on purpose, once each: SIGKILL, so that nothing can be tidied up."""

from __future__ import annotations

import os
import signal
from pathlib import Path

ARMED = "crash-"


def arm(folder: Path, name: str) -> None:
    """Let the next `crash_once` of this name crash."""
    (folder / f"{ARMED}{name}").touch()


def armed(folder: Path, name: str) -> bool:
    """Whether that crash is still to come."""
    return (folder / f"{ARMED}{name}").exists()


def crash_once(folder: str, name: str, process: int | None = None) -> None:
    """Kill `process` (this one by default) if armed; disarm first, so that it happens once."""
    try:
        (Path(folder) / f"{ARMED}{name}").unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid() if process is None else process, signal.SIGKILL)
