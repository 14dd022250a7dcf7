"""What a report of a run says beside its steps: open waits, children, effects in doubt, orders of operators.

What it does: turns parts of a folded run into records for surfaces. What it does not do: it reads no store and no
clock.

Rule: lists are bounded, and their totals are given beside them.
"""

from __future__ import annotations

import heapq
import shlex
from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.ids import step_name
from interlock.engine.run_state import Order, RunState, Wait

SHOWN_MAX = 100
"""Entries of each list."""


class Totals(Struct, frozen=True):
    """How many entries the lists of a report would have if they showed all."""

    waits: int = 0
    early: int = 0
    orders: int = 0
    in_doubt: int = 0
    children: int = 0


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


def totals_of(state: RunState) -> Totals:
    """How much there is of what the lists show the beginning of."""
    return Totals(
        waits=sum(map(len, state.waits.values())),
        early=sum(1 for _ in _early(state)),
        orders=sum(1 for _ in _orders(state)),
        in_doubt=sum(1 for _ in _doubts(state)),
        children=len(state.children),
    )


def waits_of(run_id: str, state: RunState) -> list[WaitReport]:
    """What the run waits for, in the order in which it began to."""
    found = ((state_id, name, wait) for state_id, waits in state.waits.items() for name, wait in waits.items())
    first = heapq.nsmallest(SHOWN_MAX, found, key=lambda each: each[2].since_ms)
    return [_wait(run_id, *each) for each in first]


def _wait(run_id: str, state_id: str, name: str, wait: Wait) -> WaitReport:
    step = step_name(state_id)
    answer = answer_line(run_id, step, name) if wait.kind == "signal" else None
    schema = msgspec.json.decode(wait.schema)
    return WaitReport(step, name, wait.kind, wait.token, wait.since_ms, wait.due_ms, schema, answer)


def early_of(state: RunState) -> list[EarlyReport]:
    """Answers that nothing has asked for yet."""
    return list(islice(_early(state), SHOWN_MAX))


def _early(state: RunState) -> Iterator[EarlyReport]:
    for state_id, early in state.early.items():
        for name, answers in early.items():
            if answers:
                yield EarlyReport(step_name(state_id), name, len(answers))


def answer_line(run_id: str, step: str, name: str) -> str:
    """The command that answers a wait."""
    return f"interlock run signal {run_id} {step} {shlex.quote(name)} --value JSON"


def resume_line(run_id: str) -> str:
    """The command that drives a run on."""
    return f"interlock run resume {run_id}"


def children_of(state: RunState) -> list[ChildReport]:
    """Child runs, those that have not ended first."""
    kin = heapq.nsmallest(SHOWN_MAX, state.children.items(), key=lambda item: item[1].status is not None)
    return [
        ChildReport(
            run_id,
            step_name(child.state_id),
            child.name.removeprefix("child:"),
            "running" if child.status is None else child.status.value,
        )
        for run_id, child in kin
    ]


def in_doubt(state: RunState) -> list[EffectReport]:
    """Effects that may have happened or not: of a run that has ended, or of its parked steps."""
    return list(islice(_doubts(state), SHOWN_MAX))


def _doubts(state: RunState) -> Iterator[EffectReport]:
    parked = {parked.fact_key for parked in state.parked.values()}
    for key, intent in state.intents.items():
        if state.status is not None or key in parked:
            yield EffectReport(key, step_name(intent.state_id), intent.namespace, intent.idempotency_key)


def orders_of(state: RunState) -> list[OrderReport]:
    """What operators ordered, as far as it still counts."""
    return list(islice(_orders(state), SHOWN_MAX))


def _orders(state: RunState) -> Iterator[OrderReport]:
    for what, order in (("paused", state.paused), ("cancel", state.cancelling)):
        if order is not None:
            yield _order(what, None, order)
    for state_id, order in state.skips.items():
        yield _order("skip", step_name(state_id), order)


def _order(what: str, step: str | None, order: Order) -> OrderReport:
    return OrderReport(what, step, order.actor, order.reason, order.since_ms)
