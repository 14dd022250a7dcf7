"""What reaches a run from outside: its inbox, folded by the owner; and the command that puts a decision there.

What it does: turns inbox entries into the run's own events (pure), and declares the decider behind
`run resolve`. What it does not do: nobody but the owner writes to the run's stream.

Rules: an entry is recorded as taken in the same append as its consequence; one that answers nothing any more is taken
and ignored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from interlock.base.events import Place
from interlock.base.part import DecideContext, Decider, DeciderSnapshots, Decision, Refusal
from interlock.engine import events as e
from interlock.engine.errors import RESOLVE_INVALID, RUN_NOT_FOUND
from interlock.engine.fold import RUN_FOLD, RunState
from interlock.engine.fold import evolve as evolve_run


def consequences(state: RunState, entries: Sequence[tuple[Place, Struct]]) -> list[Struct]:
    """The run's events that take `entries`, in order; empty for none."""
    if not entries:
        return []
    records: list[Struct] = []
    parked = state.parked
    for place, entry in entries:
        if not isinstance(entry, e.ResolutionRequested) or parked is None:
            continue
        if (entry.state_id, entry.fact_key) != (parked.state_id, parked.fact_key):
            continue
        intent = None if entry.fact_key is None else state.intents.get(entry.fact_key)
        records.append(
            e.EffectResolved(entry.action, place.actor, entry.fact_key, entry.payload_id, entry.reason, entry.state_id)
        )
        if entry.payload_id is not None and entry.fact_key is not None and intent is not None:
            records.append(e.FactRecorded(entry.fact_key, "json", entry.payload_id, intent.request_digest))
        parked = None
    records.append(e.InboxTaken(entries[-1][0].seq))
    return records


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


def _initial(stream: str) -> RunState | int:
    """The state of a run, or of an inbox: the place of its last entry."""
    return 0 if stream.endswith("/inbox") else RUN_FOLD.initial(stream)


def _evolve(state: RunState | int, record: Struct, place: Place) -> RunState | int:
    return place.seq if isinstance(state, int) else evolve_run(state, record, place)


def _restore(content: bytes) -> Any:
    if RUN_FOLD.restore is None:
        raise ValueError("the fold of runs has snapshots")
    return RUN_FOLD.restore(content)


def _decide(states: Mapping[str, Any], command: Resolve, _ctx: DecideContext) -> Decision:
    run: RunState = states[command.stream]
    if not run.exists:
        return Refusal(RUN_NOT_FOUND.error("there is no such run"))
    parked = run.parked
    if parked is None or command.step not in (parked.state_id, parked.state_id.split(".")[1]):
        return Refusal(RESOLVE_INVALID.error(f"the step {command.step} of this run is not parked"))
    if states[command.inbox] > run.inbox_seq:
        return Refusal(RESOLVE_INVALID.error("a decision about this step waits already: resume the run"))
    if command.action is e.Resolution.ADOPT and (parked.fact_key is None or command.payload_id is None):
        return Refusal(RESOLVE_INVALID.error("this step has no effect whose result could be adopted"))
    entry = e.ResolutionRequested(
        command.action, parked.fact_key, command.payload_id, command.reason, command.stream, parked.state_id
    )
    return {command.inbox: (entry,)}


RESOLVE = Decider(
    name="engine.resolve",
    streams=lambda command: (command.stream, command.inbox),
    initial=_initial,
    decide=_decide,
    evolve=_evolve,
    result=lambda events, _command: next(iter(events.values()))[0],
    snapshots=DeciderSnapshots(RUN_FOLD.name, RUN_FOLD.version, _restore),
)
