"""What the checker knows of one state of a run, and of the run around it.

What it does: declares the records that `walk` fills. What it does not do: it judges nothing.
"""

from __future__ import annotations

from interlock.engine import events as e


class Attempts:
    """One state: its attempts so far, how they ended, and what it waits for."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.entered = 1
        self.failures = 0
        self.completed = False
        self.error: e.StateFailed | None = None
        self.due_ms = 0
        self.waits: tuple[str, ...] | None = None
        """Names of what it waits for; None unless it is suspended."""


class Orders:
    """What operators and time have told the run."""

    def __init__(self) -> None:
        self.paused = False
        self.ending: e.RunStatus | None = None
        self.abandoned = False
        self.skips: set[str] = set()
        self.edits: dict[str, bytes] = {}
        self.inbox_seq = 0


class Causes:
    """What may end waits: answers by state, name and payload; deadlines and ends of children by state and name."""

    def __init__(self) -> None:
        self.answers: set[tuple[str, str, str]] = set()
        self.ended: set[tuple[str, str]] = set()

    def allow(self, state_id: str, name: str, payload_id: str) -> bool:
        """Whether this wait may end with this payload."""
        return (state_id, name) in self.ended or (state_id, name, payload_id) in self.answers
