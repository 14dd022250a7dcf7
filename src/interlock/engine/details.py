"""What a report of a run says beside its steps: open waits, children, effects in doubt, orders of operators.

What it does: turns parts of a folded run into records for surfaces. What it does not do: it reads no store and no
clock.

Rule: lists are bounded, and their totals are given beside them.
"""

from __future__ import annotations

import shlex
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.ids import step_name
from interlock.engine.run_state import Order, RunState, Wait

CHILDREN_SHOWN_MAX = 100


class WaitReport(Struct, frozen=True):
    """Something that a step waits for. `answer` is the line that answers it, where a person can."""

    step: str
    name: str
    kind: str
    token: str
    since_ms: int
    until_ms: int | None
    schema: Any
    answer: str | None


class EarlyReport(Struct, frozen=True):
    """Answers that are kept for a wait that the step has not asked for."""

    step: str
    name: str
    answers: int


class ChildReport(Struct, frozen=True):
    """A child run: the step that started it, and how it ended, if it has."""

    run_id: str
    step: str
    name: str
    status: str


class EffectReport(Struct, frozen=True):
    """An effect that was about to be sent, and whose outcome nobody recorded."""

    fact_key: str
    step: str
    namespace: str
    idempotency_key: str | None


class OrderReport(Struct, frozen=True):
    """Something that an operator wants of a run: what, who, why, since when."""

    order: str
    step: str | None
    actor: str
    reason: str
    since_ms: int


def waits_of(run_id: str, state: RunState) -> list[WaitReport]:
    """Everything that the run waits for, in the order in which it began to."""
    found = [
        _wait(run_id, state_id, name, wait) for state_id, waits in state.waits.items() for name, wait in waits.items()
    ]
    return sorted(found, key=lambda wait: wait.since_ms)


def _wait(run_id: str, state_id: str, name: str, wait: Wait) -> WaitReport:
    step = step_name(state_id)
    answer = answer_line(run_id, step, name) if wait.kind == "signal" else None
    schema = msgspec.json.decode(wait.schema)
    return WaitReport(step, name, wait.kind, wait.token, wait.since_ms, wait.due_ms, schema, answer)


def early_of(state: RunState) -> list[EarlyReport]:
    """Answers that nothing has asked for yet."""
    return [
        EarlyReport(step_name(state_id), name, len(answers))
        for state_id, early in state.early.items()
        for name, answers in early.items()
        if answers
    ]


def answer_line(run_id: str, step: str, name: str) -> str:
    """The command that answers a wait."""
    return f"interlock run signal {run_id} {step} {shlex.quote(name)} --value JSON"


def resume_line(run_id: str) -> str:
    """The command that drives a run on."""
    return f"interlock run resume {run_id}"


def children_of(state: RunState) -> list[ChildReport]:
    """Child runs, those that have not ended first; at most `CHILDREN_SHOWN_MAX`."""
    kin = sorted(state.children.items(), key=lambda item: item[1].status is not None)
    return [
        ChildReport(
            run_id,
            step_name(child.state_id),
            child.name.removeprefix("child:"),
            "running" if child.status is None else child.status.value,
        )
        for run_id, child in kin[:CHILDREN_SHOWN_MAX]
    ]


def in_doubt(state: RunState) -> list[EffectReport]:
    """Effects that may have happened or not: of a run that has ended, or of its parked steps."""
    parked = {parked.fact_key for parked in state.parked.values()}
    return [
        EffectReport(key, step_name(intent.state_id), intent.namespace, intent.idempotency_key)
        for key, intent in state.intents.items()
        if state.status is not None or key in parked
    ]


def orders_of(state: RunState) -> list[OrderReport]:
    """What operators ordered, as far as it still counts."""
    found: list[tuple[str, str | None, Order | None]] = [
        ("paused", None, state.paused),
        ("cancel", None, state.cancelling),
    ]
    found += [("skip", step_name(state_id), order) for state_id, order in state.skips.items()]
    return [_order(what, step, order) for what, step, order in found if order is not None]


def _order(what: str, step: str | None, order: Order) -> OrderReport:
    return OrderReport(what, step, order.actor, order.reason, order.since_ms)
