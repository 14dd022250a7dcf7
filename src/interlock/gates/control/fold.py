"""A scenario's run as its events leave it: what the next decision rests on, and no log.

What it does: folds the stream of a run. What it does not do: it keeps no record; readers find those in the stream
(`reading`).

Rule: the state is as large as the run's configuration, the stages and gates of its document and the list of issued
packets, however many triggers there were.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.events import Place
from interlock.base.part import DeciderSnapshots
from interlock.gates.control import events as e
from interlock.gates.records import RunConfig, RunStatus
from interlock.gates.values import Timestamp

_timestamp = msgspec.json.Decoder(Timestamp)
_config = msgspec.json.Decoder(RunConfig)


class ScenarioRun(Struct):
    """A run that goes on. The last trigger and decision are events by number, 0 before there is one."""

    stream: str
    document_id: str = ""
    config: RunConfig | None = None
    stage_id: str = ""
    entered_at: Timestamp | None = None
    status: RunStatus = "active"
    triggers: int = 0
    decisions: int = 0
    calls: int = 0
    last_trigger: int = 0
    last_decision: int = 0
    timer_ms: int | None = None
    rules_id: str = ""
    packet_ids: list[str] = []
    left: dict[str, int] = {}
    """The trigger by which each stage was left last."""
    until: dict[str, dict[str, int]] = {}
    """When gates that are true close by themselves, by stage and gate; those that have closed are gone."""

    @property
    def exists(self) -> bool:
        """Whether the run was started."""
        return self.config is not None


def evolve(state: Any, record: Struct, place: Place) -> Any:
    """The state after an event; consumes the one that it is given."""
    match record:
        case e.ScenarioRunStarted():
            state.config = _config.decode(record.config)
            state.document_id = record.document_id
            state.stage_id = record.stage_id
            state.entered_at = _timestamp.decode(record.started_at)
            state.timer_ms = None if record.timer is None else record.timer.at_ms
        case e.RulesApplied():
            state.rules_id = record.rules_id
        case e.Triggered():
            state.triggers += 1
            state.last_trigger = place.seq
        case e.ScenarioDecided():
            state.decisions += 1
            state.last_decision = place.seq
            if record.status == "completed" or record.stage_id != state.stage_id:
                state.left[state.stage_id] = state.last_trigger
            state.stage_id = record.stage_id
            state.entered_at = _timestamp.decode(record.stage_entered_at)
            state.status = record.status
            if record.timer is not None:
                state.timer_ms = record.timer.at_ms
            if record.until is not None:
                _set_until(state, record.until)
        case e.StageTimePassed():
            state.timer_ms = None
        case e.GatesClosed():
            for gate_id in record.gates:
                state.until.get(record.stage_id, {}).pop(gate_id, None)
        case e.PacketIssued():
            state.packet_ids.append(record.packet_id)
        case e.ToolCalled():
            state.calls += 1
        case _:
            pass
    return state


def _set_until(state: ScenarioRun, until: e.GatesUntil) -> None:
    """A stage is named for as long as its last decision set its timer, whether that has fired or not."""
    state.until.pop(until.stage_id, None)
    if until.ends:
        state.until[until.stage_id] = {end.gate_id: end.at_ms for end in until.ends}


SNAPSHOTS = DeciderSnapshots(
    name="gates.run",
    version=3,
    restore=msgspec.json.Decoder(ScenarioRun).decode,
    save=msgspec.json.encode,
    every_events=500,
)
