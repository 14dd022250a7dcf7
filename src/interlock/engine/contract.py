"""A run's history in the wire shapes of the run-engine contract, and back (seed 001, `events`).

What it does: renders our events as the contract's `EventEnvelope`s, and reads such envelopes as our records.
What it does not do: it reads no store, and it does not judge a history; the fold does.

How the shapes fit:
- kernel events are the contract's own; an attempt that waits is closed by `StateFailed` with code `state_suspended`,
  which like a recovered orphan counts against no retry budget
- facts, artifacts and children are the contract's standard domain events
- every control event is a domain event named `interlock.<type>` with its record as payload
- what the contract's payloads have no member for (whose attempt it is) stands beside the event, under `interlock`,
  where a reader of the contract passes over it

Rules: `records_of(contract_of(events))` gives the records of `events` again, in their order; `seq` counts anew from 1,
because a suspension becomes two events.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct

from interlock.base.canonical import canonical
from interlock.base.errors import Category, ErrorCode
from interlock.engine import events as e
from interlock.engine.errors import StateError, own_error
from interlock.journal.chain import Recorded

CONTROL_PREFIX = "interlock."
STATE_SUSPENDED = "state_suspended"
CONTRACT_INVALID = ErrorCode(
    "contract_events_invalid", Category.INVALID, "Give the envelopes of one run, as `run events --contract` has them."
)

ERRORS = (CONTRACT_INVALID,)

_STATUS = {
    e.RunStatus.COMPLETED: "Completed",
    e.RunStatus.FAILED: "Failed",
    e.RunStatus.CANCELLED: "Cancelled",
}
_FROM_STATUS = {name: status.value for status, name in _STATUS.items()}
_KERNEL: dict[str, type[Struct]] = {each.__name__: each for each in e.KERNEL}
_CONTROL: dict[str, type[Struct]] = {
    CONTROL_PREFIX + kind.name.partition(".")[2]: kind.record
    for kind in e.EVENTS
    if kind.record not in e.KERNEL and kind.record not in e.DOMAIN
}
_CONTROL_NAME = {record: name for name, record in _CONTROL.items()}


def contract_of(run_id: str, events: Iterable[Recorded]) -> Iterator[dict[str, Any]]:
    """The contract's envelopes of verified events, in order; erased data gives none."""
    seq = 0
    for event in events:
        if event.record is None:
            continue
        for shape, beside in _shapes(event.record):
            seq += 1
            envelope = {"run_id": run_id, "seq": seq, "ts_millis": event.envelope.at_ms, "event": shape}
            yield {**envelope, "interlock": beside} if beside else envelope


def _shapes(record: Struct) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """The events of the contract that one of ours becomes, each with what stands beside it."""
    if isinstance(record, e.KERNEL):
        return [({"Kernel": {type(record).__name__: _kernel(record)}}, {})]
    payload: dict[str, Any]
    match record:
        case e.DomainEmitted(name, raw, reference, state_id):
            shape = _domain(name, msgspec.json.decode(raw), reference)
            return [(shape, _beside(state_id=state_id))]
        case e.FactRecorded(key, kind, payload_id, request_digest, state_id):
            meta = {"kind": kind, "request_digest": request_digest}
            return [
                (
                    _domain("fact_recorded", {"key": key, "payload_id": payload_id, "meta": meta}),
                    _beside(state_id=state_id),
                )
            ]
        case e.ArtifactWritten(artifact_id, kind, meta_raw, state_id):
            payload = {"artifact_id": artifact_id, "kind": kind, "meta": msgspec.json.decode(meta_raw)}
            return [(_domain("artifact_written", payload), _beside(state_id=state_id))]
        case e.ChildRunSpawned():
            payload = {
                "parent_run_id": record.parent_run_id,
                "child_run_id": record.child_run_id,
                "child_manifest_id": record.child_manifest_id,
            }
            own = _beside(cancel_with_parent=record.cancel_with_parent, name=record.name, state_id=record.state_id)
            return [(_domain("child_run_spawned", payload), own)]
        case e.ChildRunCompleted(child_run_id, final_snapshot_id, status):
            payload = {
                "child_run_id": child_run_id,
                "status": _STATUS[status],
                "final_snapshot_id": final_snapshot_id,
            }
            return [(_domain("child_run_completed", payload), {})]
    shape = _domain(_CONTROL_NAME[type(record)], _members(record))
    if not isinstance(record, e.StateSuspended):
        return [(shape, {})]
    return [(shape, {}), ({"Kernel": {"StateFailed": _kernel(_closing(record))}}, {})]


def _closing(record: e.StateSuspended) -> e.StateFailed:
    info = own_error(STATE_SUSPENDED, "the attempt ended to wait", retryable=True)
    return e.StateFailed(StateError(info, record.state_id), None, record.state_id)


def _kernel(record: Struct) -> dict[str, Any]:
    members = _members(record)
    if isinstance(record, e.RunCompleted):
        members["status"] = _STATUS[record.status]
    return members


def _members(record: Struct) -> dict[str, Any]:
    """A record as JSON, with the free JSON that it carries."""
    members: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(record))
    return members


def _domain(name: str, payload: Any, reference: str | None = None) -> dict[str, Any]:
    return {"Domain": {"name": name, "payload": payload, "payload_ref": reference}}


def _beside(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def records_of(envelopes: Iterable[Mapping[str, Any]]) -> Iterator[Struct]:
    """Our records of the contract's envelopes, in order. Raises: `contract_events_invalid`, naming the place."""
    suspended: str | None = None
    for place, envelope in enumerate(envelopes, 1):
        try:
            event, beside = envelope["event"], envelope.get("interlock", {})
            record = _from_kernel(event["Kernel"]) if "Kernel" in event else _from_domain(event["Domain"], beside)
        except (KeyError, TypeError, ValueError, AttributeError) as fault:
            raise CONTRACT_INVALID.error(f"envelope {place} is no event of a run", seq=place) from fault
        if suspended is not None:
            if not isinstance(record, e.StateFailed) or record.state_id != suspended:
                raise CONTRACT_INVALID.error(f"envelope {place} does not close the suspended attempt", seq=place)
            suspended = None
            continue
        suspended = record.state_id if isinstance(record, e.StateSuspended) else None
        yield record


def _from_kernel(event: Mapping[str, Any]) -> Struct:
    [(name, members)] = event.items()
    given = dict(members)
    if name == "RunCompleted":
        given["status"] = _FROM_STATUS[given["status"]]
    return _read(_KERNEL[name], given)


def _from_domain(event: Mapping[str, Any], beside: Mapping[str, Any]) -> Struct:
    name, payload = event["name"], event["payload"]
    state_id = beside.get("state_id")
    if name in _CONTROL:
        return _read(_CONTROL[name], payload)
    if name == "fact_recorded":
        meta = payload.get("meta") or {}
        kind, request_digest = meta.get("kind", "json"), meta.get("request_digest")
        return e.FactRecorded(payload["key"], kind, payload["payload_id"], request_digest, state_id)
    if name == "artifact_written":
        meta_raw = Raw(canonical(payload.get("meta")))
        return e.ArtifactWritten(payload["artifact_id"], payload["kind"], meta_raw, state_id)
    if name == "child_run_spawned" and state_id is not None:
        return _read(e.ChildRunSpawned, {**payload, **beside})
    if name == "child_run_completed":
        return _read(e.ChildRunCompleted, {**payload, "status": _FROM_STATUS[payload["status"]]})
    return e.DomainEmitted(name, Raw(canonical(payload)), event.get("payload_ref"), state_id)


def _read(kind: type[Struct], members: Mapping[str, Any]) -> Struct:
    """A record from JSON; free JSON inside it becomes canonical bytes again."""
    return msgspec.json.decode(canonical(dict(members)), type=kind)
