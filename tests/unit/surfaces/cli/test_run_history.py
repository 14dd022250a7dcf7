"""The history of a run has the same lines whether a store or a server told it."""

from __future__ import annotations

import msgspec

from interlock.base.events import Claim
from interlock.engine import events as e
from interlock.engine.commands import RunEvent, RunEvents
from interlock.surfaces.cli.run_history import History, history


def test_a_server_tells_the_same_lines_as_a_store() -> None:
    records = [
        e.RunPaused(actor="local:ada", reason="lunch") if hasattr(e, "RunPaused") else Claim("o", 1),
        None,
    ]
    events = [RunEvent(seq, 1, "engine.x", "local:bob", "d", record) for seq, record in enumerate(records)]
    near = RunEvents(events, None)
    far = msgspec.json.decode(msgspec.json.encode(near), type=RunEvents)

    shown = history(near)
    assert isinstance(shown, History)
    assert history(far) == shown
    assert [row.seq for row in shown.items] == [0, 1]
