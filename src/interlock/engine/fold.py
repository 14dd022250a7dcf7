"""The state of a run: what its events mean, and which sequences of events are impossible.

What it does: folds a run's stream into a `RunState`; kernel events and facts here, control events in `fold_control`.
What it does not do: no I/O, no clock, no decision; it believes bytes that the chain has verified but not that they
make sense.

Rules (seed 001; invariants I1–I7, I10–I12): `RunStarted` comes first and once; at most one attempt of a state is open,
and one of the run where it is sequential; attempts of a state count 0, 1, 2, …; a retry starts from its predecessor's
base, and a first attempt of a sequential run from the checkpoint; a completed state is never entered again; only
`StateCompleted` moves the checkpoint; a fact key is bound once; nothing follows `RunCompleted`. What breaks a rule is
`run_corrupt`, with the place.

`evolve` consumes the state that it is given: the caller keeps only what it returns.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.events import Place
from interlock.engine import events as e
from interlock.engine.errors import UNCOUNTED
from interlock.engine.fold_control import CONTROL
from interlock.engine.run_state import WAIT_PREFIX, Fact, RunState, Step, StepStatus, corrupt
from interlock.journal.journal import Fold

FOLD_VERSION = 3


def _started(state: RunState, record: e.RunStarted, place: Place) -> None:
    if state.seq != 0:
        raise corrupt(place, "the run had started already")
    state.op_id, state.manifest_id = record.op_id, record.manifest_id
    state.initial_snapshot_id = state.checkpoint = record.initial_snapshot_id
    state.started_ms = place.at_ms


def _entered(state: RunState, record: e.StateEntered, place: Place) -> None:
    if len(state.open) >= state.max_concurrency:
        raise corrupt(place, f"{state.open[0]} is still open")
    if record.state_id in state.parked or (state.parked and state.max_concurrency == 1):
        raise corrupt(place, "the run is parked")
    step = state.steps.get(record.state_id)
    if step is None:
        sequential = state.max_concurrency == 1
        if record.attempt != 0 or (sequential and record.base_snapshot_id != state.checkpoint):
            raise corrupt(place, "a first attempt has number 0 and starts from the checkpoint")
        state.steps[record.state_id] = Step(StepStatus.RUNNING, 1, 0, 0, record.base_snapshot_id, place.at_ms)
    else:
        _check_again(state, record, step, place)
        step.status, step.attempts, step.entered_ms, step.due_ms = (
            StepStatus.RUNNING,
            step.attempts + 1,
            place.at_ms,
            0,
        )
    state.open.append(record.state_id)
    state.active[record.state_id] = None
    if state.queued:
        state.queued = [each for each in state.queued if each.state_id not in (None, record.state_id)]


def _check_again(state: RunState, record: e.StateEntered, step: Step, place: Place) -> None:
    if step.status is StepStatus.COMPLETED:
        raise corrupt(place, f"{record.state_id} had completed")
    if step.status is StepStatus.RUNNING:
        raise corrupt(place, f"{record.state_id} is still open")
    if step.status is StepStatus.SUSPENDED:
        if not state.arrived(record.state_id):
            raise corrupt(place, f"nothing that {record.state_id} waits for has arrived")
    elif (step.error is None or not step.error.retryable) and record.state_id not in state.skips:
        raise corrupt(place, f"{record.state_id} had failed for good")
    if record.attempt != step.attempts or record.base_snapshot_id != step.base:
        raise corrupt(place, "a retry follows its predecessor and starts from the same base")


def _open_step(state: RunState, state_id: str, place: Place) -> Step:
    if state_id not in state.open:
        raise corrupt(place, f"{state_id} is not open")
    state.open.remove(state_id)
    return state.steps[state_id]


def _completed(state: RunState, record: e.StateCompleted, place: Place) -> None:
    state_id = record.state_id
    step = _open_step(state, state_id, place)
    step.status, step.base, step.error, step.ended_ms = StepStatus.COMPLETED, "", None, place.at_ms
    del state.active[state_id]
    state.checkpoint = record.context_snapshot_id
    state.completed += 1
    if state.waits:
        state.waits.pop(state_id, None)
    if state.early:
        state.early.pop(state_id, None)


def _failed(state: RunState, record: e.StateFailed, place: Place) -> None:
    step = _open_step(state, record.state_id, place)
    step.status, step.error, step.ended_ms = StepStatus.FAILED, record.error.info, place.at_ms
    if record.error.info.code in UNCOUNTED:
        step.orphans += 1
    else:
        step.failures += 1


def _ended(state: RunState, record: e.RunCompleted, place: Place) -> None:
    if state.open:
        raise corrupt(place, f"{state.open[0]} is still open")
    if record.status is e.RunStatus.COMPLETED and state.completed != len(state.steps):
        raise corrupt(place, "a run completes only when its states have")
    if record.final_snapshot_id is not None and record.final_snapshot_id != state.checkpoint:
        raise corrupt(place, "the final snapshot is not the checkpoint")
    state.status, state.final_snapshot_id = record.status, record.final_snapshot_id
    state.parked, state.waits, state.early, state.active = {}, {}, {}, {}
    state.paused = None


def _fact(state: RunState, record: e.FactRecorded, place: Place) -> None:
    known = state.facts.get(record.key)
    if known is not None and known.payload_id != record.payload_id:
        raise corrupt(place, "a fact key is bound twice (fact_recorded_conflict)")
    if known is None:
        state.facts[record.key] = Fact(record.payload_id, record.kind, record.request_digest)
    state.intents.pop(record.key, None)
    if record.key.startswith(WAIT_PREFIX):
        _arrived(state, record.key)


def _arrived(state: RunState, key: str) -> None:
    """A wait is over: its state may be entered again if it is suspended."""
    _, state_id, name = key.split(":", 2)
    for table in (state.waits, state.early):
        names = table.get(state_id)
        if names is not None and names.pop(name, None) is not None and not names:
            del table[state_id]
    step = state.steps.get(state_id)
    if step is not None and step.status is StepStatus.SUSPENDED:
        state.active[state_id] = None


_EVOLVE: dict[type[Struct], Callable[[RunState, Any, Place], None]] = {
    e.RunStarted: _started,
    e.StateEntered: _entered,
    e.StateCompleted: _completed,
    e.StateFailed: _failed,
    e.RunCompleted: _ended,
    e.FactRecorded: _fact,
    **CONTROL,
}


def evolve(state: RunState, record: Struct, place: Place) -> RunState:
    """The run after one more event. Raises: `run_corrupt`."""
    apply = _EVOLVE.get(type(record))
    if apply is None:
        raise corrupt(place, f"{type(record).__name__} is no event of a run")
    if state.seq == 0 and type(record) is not e.RunStarted:
        raise corrupt(place, "a run begins with RunStarted")
    if state.status is not None:
        raise corrupt(place, "the run had ended")
    apply(state, record, place)
    state.seq, state.at_ms = place.seq, place.at_ms
    state.event_bytes += place.bytes
    return state


def _initial(stream: str) -> RunState:
    # msgspec copies empty defaults for each new record, but only those that are literals.
    return RunState(stream)


RUN_FOLD: Fold[RunState] = Fold(
    "run",
    FOLD_VERSION,
    _initial,
    evolve,
    save=msgspec.json.Encoder().encode,
    restore=msgspec.json.Decoder(RunState).decode,
)
"""How a run's stream becomes a `RunState`."""
