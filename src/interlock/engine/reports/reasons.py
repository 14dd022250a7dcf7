"""Why a run does not move: each thing that is missing, and the line that supplies it.

What it does: reads the reasons out of a folded run. What it does not do: it reads no store and no clock, and decides
nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from types import MappingProxyType

import msgspec

from interlock.base.events import Claim
from interlock.base.ids import step_name
from interlock.engine.document.source import document_path
from interlock.engine.events import RunStatus
from interlock.engine.flow.limits import RATE
from interlock.engine.reports.details import SHOWN_MAX, answer_line, in_doubt, resume_line
from interlock.engine.reports.outputs import StepOutput
from interlock.engine.reports.records import Reason, Standing, Waiting
from interlock.engine.run_state import Awaited, Parked, RunState, StepStatus, Wait

NONE: Mapping[str, StepOutput] = MappingProxyType({})
OF_FAILURE = frozenset({"failed", "backoff"})
"""Kinds of reasons that speak of a step that failed."""


def reasons_of(
    run_id: str,
    state: RunState,
    waiting: Waiting | None,
    owner: Claim | None,
    standings: Sequence[tuple[Awaited, Standing]] = (),
    outputs: Mapping[str, StepOutput] = NONE,
) -> list[Reason]:
    """Why the run is not moving, as data; empty when it is, or has ended well.

    At most `SHOWN_MAX`, and one that says how many more there are. `standings` are units that it waits for, `outputs`
    what its failed steps wrote last.
    """
    found = map(partial(_with_output, outputs), _reasons(run_id, state, waiting, owner, standings))
    first = list(islice(found, SHOWN_MAX))
    more = sum(1 for _ in found)
    return [*first, Reason("more", f"{more} more reasons like these")] if more else first


def _with_output(outputs: Mapping[str, StepOutput], reason: Reason) -> Reason:
    """The reason with what the program of its step wrote last, where a failure is the reason."""
    if reason.state_id is None or reason.kind not in OF_FAILURE or reason.state_id not in outputs:
        return reason
    return msgspec.structs.replace(reason, output=outputs[reason.state_id])


def failed_states(state: RunState) -> list[str]:
    """The states whose last attempt failed, and of which a reason speaks."""
    if state.status in (RunStatus.COMPLETED, RunStatus.CANCELLED):
        return []
    return [each for each, step in state.steps.items() if step.status is StepStatus.FAILED and step.error is not None]


def _reasons(
    run_id: str,
    state: RunState,
    waiting: Waiting | None,
    owner: Claim | None,
    standings: Sequence[tuple[Awaited, Standing]],
) -> Iterator[Reason]:
    resume = (resume_line(run_id),)
    if state.status is not None:
        yield from _reasons_of_the_ended(run_id, state)
        return
    if state.cancelling is not None:
        yield _cancelled("cancelling", state)
        yield from _driven(owner, state) or [
            Reason("queued", "no process drives this run now", None, state.at_ms, None, resume)
        ]
        return
    if state.paused is not None:
        text = f"{state.paused.actor} paused it: {state.paused.reason}"
        unpause = (f"interlock run unpause {run_id} --reason TEXT",)
        yield Reason("paused", text, None, state.paused.since_ms, None, unpause)
    yield from (_parked_reason(run_id, _name(parked.state_id), parked) for parked in state.parked.values())
    yield from _missing_facts(run_id, state)
    yield from (_unit_reason(unit, standing) for unit, standing in standings)
    yield from _stray(state)
    if state.paused is None:
        yield from _moved_by_time_or_owner(run_id, state, waiting, owner, has_units=bool(standings))


def _moved_by_time_or_owner(
    run_id: str, state: RunState, waiting: Waiting | None, owner: Claim | None, *, has_units: bool
) -> Iterator[Reason]:
    """Who drives the run, or what it waits for that is no fact."""
    resume = (resume_line(run_id),)
    if waiting is None:
        yield from _driven(owner, state)
    elif waiting.kind == "backoff":
        text = f"{_name(waiting.state_id)} failed and is tried again later"
        yield Reason("backoff", text, waiting.state_id, waiting.since_ms, waiting.until_ms, resume)
    elif waiting.kind == "queued" and not has_units:
        text = "no process drives this run now"
        yield Reason("queued", text, waiting.state_id, waiting.since_ms, None, resume)


def _missing_facts(run_id: str, state: RunState) -> Iterator[Reason]:
    """What the run waits for, by the step that asked for it."""
    kin = {(child.state_id, child.name): child_id for child_id, child in state.children.items()}
    for state_id, waits in state.waits.items():
        for name, wait in waits.items():
            if wait.kind == "child":
                yield _child_reason(kin.get((state_id, name)), state_id, name, wait)
            else:
                yield _wait_reason(run_id, state_id, name, wait)


def _name(state_id: str | None) -> str:
    """The step of a state."""
    return "" if state_id is None else step_name(state_id)


def _wait_reason(run_id: str, state_id: str, name: str, wait: Wait) -> Reason:
    step = _name(state_id)
    if wait.kind == "sleep":
        return Reason("sleep", f"{step} sleeps ({name})", state_id, wait.since_ms, wait.due_ms)
    answer, schema = (answer_line(run_id, step, name),), msgspec.json.decode(wait.schema)
    return Reason(
        "signal", f"{step} waits for the signal {name}", state_id, wait.since_ms, wait.due_ms, answer, schema=schema
    )


def _stray(state: RunState) -> Iterator[Reason]:
    """Answers that came for something else than the open waits of their step: perhaps a name was mistyped."""
    for state_id, early in state.early.items():
        for name in early:
            if state_id in state.waits:
                text = f"an answer to {name} is kept, for which {_name(state_id)} has not asked"
                yield Reason("early", text, state_id)


def _child_reason(child_id: str | None, state_id: str, name: str, wait: Wait) -> Reason:
    """Why a child does not end is asked of the child."""
    text = f"{_name(state_id)} waits for its child run {name.removeprefix('child:')}"
    if child_id is None:
        return Reason("child", text, state_id, wait.since_ms)
    why = (f"interlock run why {child_id}",)
    return Reason("child", f"{text}, {child_id}", state_id, wait.since_ms, None, why)


def _unit_reason(unit: Awaited, standing: Standing) -> Reason:
    who = "the run" if unit.state_id is None else _name(unit.state_id)
    text = (
        f"{who} waits for a unit of {standing.lease}: place {standing.place} in the queue, "
        f"{len(standing.holders)} of {standing.capacity} held"
    )
    until_ms = min((holder.until_ms for holder in standing.holders), default=None)
    # Only what comes back by itself says when.
    until_ms = until_ms if standing.lease.startswith(RATE) and standing.place == 1 else None
    show = (f"interlock lease show {standing.lease}",)
    return Reason("queued", text, unit.state_id, unit.since_ms, until_ms, show, standing.place, standing.holders)


def _parked_reason(run_id: str, name: str, parked: Parked) -> Reason:
    command = f"interlock run resolve {run_id} {name}"
    if parked.fact_key is None:
        text = f"{name} ended its process too often ({parked.code})"
        release: tuple[str, ...] = (f"{command} --retry --reason TEXT", f"{command} --abandon --reason TEXT")
    else:
        text = f"nobody knows whether the effect {parked.fact_key} of {name} happened ({parked.code})"
        release = (
            f"{command} --adopt JSON --reason TEXT",
            f"{command} --retry --reason TEXT",
            f"{command} --abandon --reason TEXT",
        )
    return Reason("parked", text, parked.state_id, parked.since_ms, None, release)


def _driven(owner: Claim | None, state: RunState) -> list[Reason]:
    if owner is None:
        return []
    text = f"it is moving: {owner.owner} drives it"
    return [Reason("running", text, state.open_state, state.at_ms, owner.expires_ms, ())]


def _cancelled(kind: str, state: RunState) -> Reason:
    """Who wanted the run to end, and why."""
    order = state.cancelling
    if order is None:
        return Reason(kind, "the run was cancelled")
    return Reason(kind, f"{order.actor} cancelled it: {order.reason}", None, order.since_ms)


def _reasons_of_the_ended(run_id: str, state: RunState) -> Iterator[Reason]:
    """Why a run failed or was cancelled, and which effects are in doubt for ever."""
    if state.status is RunStatus.COMPLETED:
        return
    if state.status is RunStatus.CANCELLED:
        yield _cancelled("cancelled", state)
    else:
        fork = (_fork_line(run_id, state.plan_source),)
        if state.timed_out:
            yield Reason("failed", "the run had not ended in time [run_timed_out]", release=fork)
        yield from _failures(state, fork)
    for effect in in_doubt(state):
        yield Reason("in_doubt", f"nobody knows whether the effect {effect.fact_key} of {effect.step} happened")


def _fork_line(run_id: str, source: str | None) -> str:
    """The line that begins again where the run failed: with its plan as the file has it now, where it came from one.

    Without the file, a fork of a document runs the bytes that the run keeps, which failed.
    """
    path = document_path(source)
    named = path if path is not None or source is None else source if ".py:" in source else None
    return f"interlock run fork {run_id}" + ("" if named is None else f" --plan {shlex.quote(named)}")


def _failures(state: RunState, fork: tuple[str, ...]) -> Iterator[Reason]:
    """What failed; a fork begins where it did and keeps what completed."""
    for state_id, step in state.steps.items():
        if step.status is StepStatus.FAILED and step.error is not None:
            text = f"{step_name(state_id)} failed: {step.error.message} [{step.error.code}]"
            yield Reason("failed", text, state_id, step.ended_ms, None, fork)
