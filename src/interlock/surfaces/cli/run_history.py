"""The history of a run as people see it: a line for each event.

It computes nothing about a run: every word comes from what `run events` answers with, by a store or by a server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.ids import step_name
from interlock.engine.commands import RunEvent, RunEvents


class EventRow(Struct, frozen=True):
    """A line of a run's history."""

    seq: int
    at_ms: int
    type: str
    step: str | None
    detail: str | None
    actor: str | None


class History(Struct, frozen=True):
    """`RunEvents` for people."""

    items: list[EventRow]


def history(output: Struct) -> Struct:
    """A page of events as lines; what a server told of them is JSON, what a store told are records."""
    if not isinstance(output, RunEvents):
        return output
    return History([_row(event) for event in output.items])


def _row(item: Any) -> EventRow:
    if isinstance(item, RunEvent):
        return _event(item)
    return _envelope(item) if "event" in item else _event(msgspec.convert(item, RunEvent))


def _member(record: Any, name: str) -> Any:
    return record.get(name) if isinstance(record, Mapping) else getattr(record, name, None)


def _free(value: object) -> object:
    """Free JSON of a record: bytes on a store, a value from a server."""
    return msgspec.json.decode(value) if isinstance(value, msgspec.Raw) else value


def _envelope(event: Mapping[str, Any]) -> EventRow:
    """A line about an envelope of the contract: its whole content is for programs."""
    [(kind, content)] = event["event"].items()
    name = content["name"] if kind == "Domain" else next(iter(content))
    state = event.get("interlock", {}).get("state_id") or (content.get(name) or {}).get("state_id")
    return EventRow(event["seq"], event["ts_millis"], name, step_name(state) if state else None, None, None)


def _event(event: RunEvent) -> EventRow:
    state = _member(event.data, "state_id") or _member(_member(event.data, "error"), "state_id")
    kind = event.type.removeprefix("engine.")
    attached = _free(_member(event.data, "meta")) if kind == "artifact_written" and not state else None
    detail = " ".join([*_details(event.data), *filter(None, [_member(attached, "name")])])
    # Who wrote an event is its envelope's actor; who decided what it records stands in the record.
    actor = _member(event.data, "actor") or _member(attached, "attached_by") or event.actor
    return EventRow(event.seq, event.at_ms, kind, step_name(state) if state else None, detail or None, actor)


def _details(data: object) -> Iterator[str]:
    """What tells an event from another of its type: names, codes and reasons, no content."""
    info = _member(_member(data, "error"), "info")
    for record, member in (
        *((data, name) for name in ("status", "action", "code", "fact_key", "kind", "name", "key", "op_id", "owner")),
        (info, "code"),
        (data, "reason"),
    ):
        if value := _member(record, member):
            yield str(value)
