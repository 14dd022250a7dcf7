"""The history of a run has the same lines whether a store or a server told it."""

from __future__ import annotations

import msgspec
from msgspec import Raw

from interlock.engine import events as e
from interlock.engine.commands import RunEvent, RunEvents
from interlock.engine.errors import ErrorCategory, ErrorInfo, StateError
from interlock.surfaces.cli.run_history import History, history


def test_a_server_tells_the_same_lines_as_a_store() -> None:
    info = ErrorInfo(ErrorCategory.RPC, "net_down", Raw(b"null"), "no answer", retryable=True)
    records = [
        e.RunPaused("local:ada", "lunch"),
        e.StateFailed(StateError(info, "x.fetch.main"), None, "x.fetch.main"),
        e.StateEntered(1, "b", "x.fetch.main"),
        None,
    ]
    events = [RunEvent(seq, 1, "engine.x", "local:bob", "d", record) for seq, record in enumerate(records)]
    near = RunEvents(events, None)
    far = msgspec.json.decode(msgspec.json.encode(near), type=RunEvents)

    shown = history(near)
    assert isinstance(shown, History)
    assert history(far) == shown
    assert [row.seq for row in shown.items] == [0, 1, 2, 3]
    assert (shown.items[0].actor, shown.items[0].detail) == ("local:ada", "lunch")
    assert (shown.items[1].step, shown.items[1].detail) == ("fetch", "net_down")
