"""The deciders behind everything that is told to a run: `TELL` for most of it, `RESOLVE` for a parked step.

What it does: holds what is told against the run as it stands, and puts it into the run's inbox, or refuses it. What it
does not do: it takes nothing out of the inbox (`inbox`) and reads no store (`service`).

Rules: pure; an answer to a wait that has one, and a file that is attached already, are acknowledged and record nothing;
a value that an entry names is kept with it in one append, so that a refusal leaves nothing; a timer that fires is
always put down, because only that takes it away.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.events import Place, Timer
from interlock.base.ids import shown, step_name
from interlock.base.part import (
    Artifact,
    DecideContext,
    Decided,
    Decider,
    DeciderSnapshots,
    Decision,
    Refusal,
    TimerTarget,
)
from interlock.engine import events as e
from interlock.engine.control import inbox_events as i
from interlock.engine.control.inbox import is_as_compared
from interlock.engine.errors import RESOLVE_INVALID, RUN_ENDED, RUN_NOT_FOUND, STEP_NOT_READY
from interlock.engine.fold import RUN_FOLD
from interlock.engine.fold import evolve as evolve_run
from interlock.engine.run_state import RunState, StepStatus, wait_key
from interlock.engine.waits import FACT_KIND, is_kept_no_more


class Tell(Struct, frozen=True):
    """Something for the inbox of the run `stream`; `what` is the entry's type, so that digests differ."""

    stream: str
    what: str
    entry: i.Entry

    @property
    def inbox(self) -> str:
        """The run's inbox stream."""
        return f"{self.stream}/inbox"


def tell(stream: str, entry: i.Entry) -> Tell:
    """The command that puts `entry` into the inbox of a run."""
    return Tell(stream, type(entry).__name__, entry)


def _initial(stream: str) -> RunState | int:
    """The state of a run, or of an inbox: the place of its last entry."""
    return 0 if stream.endswith("/inbox") else RUN_FOLD.initial(stream)


def _evolve(state: RunState | int, record: Struct, place: Place) -> RunState | int:
    return place.seq if isinstance(state, int) else evolve_run(state, record, place)


def _restore(content: bytes) -> Any:
    if RUN_FOLD.restore is None:
        raise ValueError("the fold of runs has snapshots")
    return RUN_FOLD.restore(content)


def _rows(command: Tell) -> Sequence[tuple[str, str]]:
    entry = command.entry
    return ((i.ATTACHED_INDEX, i.attached_key(entry)),) if isinstance(entry, i.ArtifactAttached) else ()


def _decide(states: Mapping[str, Any], command: Tell, ctx: DecideContext) -> Decision:
    run: RunState = states[command.stream]
    entry = command.entry
    if isinstance(entry, i.TimerDue):  # a firing leaves its mark whatever it finds, or it would fire for ever
        return {command.inbox: (entry,)}
    if not run.exists:
        return Refusal(RUN_NOT_FOUND.error("there is no such run"))
    if isinstance(entry, i.SignalSent) and wait_key(entry.state_id, entry.name) in run.facts:
        return {}
    if any(row is not None for row in ctx.rows.values()):  # the same file has been attached under this name
        return {}
    if run.status is not None:
        return Refusal(RUN_ENDED.error(f"the run has ended: {run.status.value}"))
    refusal = _objection(run, entry)
    return {command.inbox: (entry,)} if refusal is None else Refusal(refusal)


def _objection(run: RunState, entry: i.Entry) -> InterlockError | None:
    """Why an order could not take effect; None where it can."""
    match entry:
        case i.SkipRequested(_, _, state_id) | i.RetryRequested(_, _, _, state_id) | i.EditRequested(_, _, _, state_id):
            return _step_objection(run, entry, state_id)
        case i.MigrationRequested() if not is_as_compared(run, entry):
            return STEP_NOT_READY.error("the run has moved on since the plans were compared")
        case i.SignalSent(name=name, state_id=state_id) if is_kept_no_more(run, state_id, name):
            return STEP_NOT_READY.error(
                f"the step {step_name(state_id)} has not asked for {shown(name)}, and keeps no more answers: "
                "send it again once the step waits for it"
            )
        case _:
            return None


def _step_objection(run: RunState, entry: i.Entry, state_id: str) -> InterlockError | None:
    step = run.steps.get(state_id)
    name = step_name(state_id)
    if step is not None and step.status is StepStatus.COMPLETED:
        return STEP_NOT_READY.error(f"the step {name} has completed")
    if isinstance(entry, i.EditRequested):
        return None
    if state_id in run.parked:
        return STEP_NOT_READY.error(f"the step {name} is parked: decide it with `interlock run resolve`")
    if isinstance(entry, i.SkipRequested) and step is not None and step.status is StepStatus.RUNNING:
        return STEP_NOT_READY.error(f"the step {name} is running: wait for its attempt, or cancel the run")
    if isinstance(entry, i.RetryRequested) and (step is None or step.status is not StepStatus.FAILED):
        return STEP_NOT_READY.error(f"the step {name} waits for no further attempt")
    return None


TELL = Decider(
    name="engine.tell",
    streams=lambda command: (command.stream, command.inbox),
    initial=_initial,
    decide=_decide,
    evolve=_evolve,
    result=lambda _events, _command: None,
    snapshots=DeciderSnapshots(RUN_FOLD.name, RUN_FOLD.version, _restore),
    rows=_rows,
)


class Resolve(Struct, frozen=True):
    """An operator's decision about a parked step. `payload_id` is the adopted result's artifact."""

    stream: str
    step: str
    action: e.Resolution
    reason: str
    payload_id: str | None = None

    @property
    def inbox(self) -> str:
        """The run's inbox stream."""
        return f"{self.stream}/inbox"


def _decide_parked(states: Mapping[str, Any], command: Resolve, _ctx: DecideContext) -> Decision:
    run: RunState = states[command.stream]
    if not run.exists:
        return Refusal(RUN_NOT_FOUND.error("there is no such run"))
    parked = next((p for s, p in run.parked.items() if command.step in (s, step_name(s))), None)
    if parked is None:
        return Refusal(RESOLVE_INVALID.error(f"the step {shown(command.step)} of this run is not parked"))
    if states[command.inbox] > run.inbox_seq:
        return Refusal(RESOLVE_INVALID.error("a decision about this step waits already: resume the run"))
    if command.action is e.Resolution.ADOPT and (parked.fact_key is None or command.payload_id is None):
        return Refusal(RESOLVE_INVALID.error("this step has no effect whose result could be adopted"))
    entry = i.ResolutionRequested(
        command.action, parked.fact_key, command.payload_id, command.reason, command.stream, parked.state_id
    )
    return {command.inbox: (entry,)}


RESOLVE = Decider(
    name="engine.resolve",
    streams=lambda command: (command.stream, command.inbox),
    initial=_initial,
    decide=_decide_parked,
    evolve=_evolve,
    result=lambda events, _command: next(iter(events.values()))[0],
    snapshots=DeciderSnapshots(RUN_FOLD.name, RUN_FOLD.version, _restore),
)


def _timer_due(timer: Timer) -> Tell:
    """What a due timer of a run tells it: which wait it is of, or that it is the run's own deadline."""
    payload = msgspec.json.decode(timer.payload, type=dict[str, str] | None)
    name, state_id = (None, None) if payload is None else (payload["name"], payload["state_id"])
    return tell(timer.stream, i.TimerDue(timer.due_ms, name, timer.stream, state_id, timer.timer_id))


TIMERS = TimerTarget(e.RUN, TELL, _timer_due)


def keeping(decider: Decider, content: bytes, kind: str = FACT_KIND) -> Decider:
    """The same decider, which keeps `content` as the artifact that its entry names."""

    def decide(states: Mapping[str, Any], command: Struct, context: DecideContext) -> Decision:
        decision = decider.decide(states, command, context)
        if isinstance(decision, Refusal | Decided) or not decision:
            return decision
        return Decided(decision, [Artifact(kind, content)])

    return replace(decider, decide=decide)
