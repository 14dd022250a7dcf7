"""What bounds a run, as its log tells it: the units that it needs and asks for, and how much room it has used.

What it does: names what is wrong with an event about bounds. What it does not do: it reads no lease; whether a unit is
free, only the leases' own streams say.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from interlock.engine import bound_events as b
from interlock.testing.checker.state import Attempts


class Bounds:
    """What the log has said so far."""

    def __init__(self) -> None:
        self.requested = False
        self.counted_bytes = 0
        self.warned = False

    def fault(self, record: Struct, seq: int, states: Mapping[str, Attempts]) -> str | None:
        """Why the event `seq` cannot stand there; None where it can, or is about something else."""
        why: str | None = None
        match record:
            case b.FlowRequested():
                if self.requested or states:
                    why = "what the run needs is not said once, before any state is entered"
                self.requested = True
            case b.UnitAwaited():
                why = self._awaited(record, states)
            case b.ArtifactsCounted():
                if record.bytes < self.counted_bytes:
                    why = "artifacts are counted backwards"
                self.counted_bytes = record.bytes
            case b.RunBudgetWarned():
                if self.warned or record.events != seq - 1:
                    why = "the run is not warned once, of as many events as it has"
                self.warned = True
            case _:
                pass
        return why

    def _awaited(self, record: b.UnitAwaited, states: Mapping[str, Attempts]) -> str | None:
        state = None if record.state_id is None else states.get(record.state_id)
        if state is not None and state.completed:
            return f"{record.state_id} waits for a unit after it has completed"
        if record.state_id is None and not self.requested:
            return "the run waits for a unit that it does not need"
        if record.place < 1:
            return "who waits has no place in the queue"
        return None
