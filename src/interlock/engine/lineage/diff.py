"""What tells two runs apart: a pure comparison.

What it does: compares manifests, plans, steps, contexts, facts, domain events and the answers to waits of two runs that
have been read (`diffing`). What it does not do: it reads no store, and judges nothing.

Rules: ids, times and durations of runs tell them apart always, so they are shown and never count; values are shown
cut and without secrets; domain events and answerers of what a fork inherits stand in its source, and do not count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.ids import step_name
from interlock.base.secret_scan import scan_bytes
from interlock.engine.config import RunManifest
from interlock.engine.lineage.outlines import PlanDifference, plan_difference
from interlock.engine.plan import PlanOutline
from interlock.engine.run_state import RunState, Step, StepStatus

VALUE_CHARACTERS_MAX = 160
INHERITED = "inherited"
HIDDEN = "(hidden: it holds what looks like a secret)"


class RunSide(Struct, frozen=True):
    """One of the two runs."""

    run_id: str
    op_id: str
    phase: str
    started_ms: int
    duration_ms: int
    events: int
    forked_from: str | None


class Change(Struct, frozen=True):
    """Something that has a name, in both runs; None where it is absent."""

    name: str
    a: str | None
    b: str | None


class StepSide(Struct, frozen=True):
    """A step in one of the runs; `duration_ms` is that of its last attempt."""

    status: str
    attempts: int
    error_code: str | None
    duration_ms: int | None


class StepChange(Struct, frozen=True):
    """A step that went differently, or is in one of the plans only."""

    step: str
    state_id: str
    a: StepSide | None
    b: StepSide | None


class FactChange(Struct, frozen=True):
    """A fact that differs: the artifacts of its payload, and the digests of the request that it answers."""

    key: str
    payload_a: str | None
    payload_b: str | None
    request_a: str | None
    request_b: str | None


class CountChange(Struct, frozen=True):
    """How often something is in each run."""

    name: str
    a: int
    b: int


class RunDifference(Struct, frozen=True):
    """How run `b` differs from run `a`; every list holds differences only."""

    is_same: bool
    a: RunSide
    b: RunSide
    manifest: list[Change]
    plan: PlanDifference
    steps: list[StepChange]
    context: list[Change]
    facts: list[FactChange]
    events: list[CountChange]
    answers: list[Change]


class RunView(Struct, frozen=True):
    """A run as it is compared: `events` counts domain events by state and name, `answers` says who answered which wait.

    `inherited` are the states that a fork did not run itself.
    """

    run_id: str
    state: RunState
    manifest: RunManifest
    outline: PlanOutline
    events: Mapping[tuple[str | None, str], int]
    answers: Mapping[str, str]
    inherited: frozenset[str] = frozenset()


def run_difference(a: RunView, b: RunView, context: list[Change]) -> RunDifference:
    """How `b` differs from `a`, whose contexts differ as `context` says."""
    plan = plan_difference(a.outline, a.state.fingerprint, b.outline, b.state.fingerprint)
    manifest, steps, facts = list(_manifest(a, b)), list(_steps(a, b)), list(_facts(a.state, b.state))
    events, answers = list(_counts(a, b)), list(_answers(a.answers, b.answers))
    is_same = plan.is_same and _phase(a) == _phase(b) and not any((manifest, steps, context, facts, events, answers))
    return RunDifference(is_same, _side(a), _side(b), manifest, plan, steps, context, facts, events, answers)


def shown_value(name: str, content: bytes | None) -> str | None:
    """Canonical JSON as it may be shown: cut, and hidden where it holds what looks like a secret.

    `name` is what it stands under, because that alone may tell a secret from a text.
    """
    if content is None:
        return None
    if scan_bytes(b"{" + msgspec.json.encode(name.rpartition(".")[2]) + b":" + content + b"}") is not None:
        return HIDDEN
    text = content.decode("utf-8", "replace")
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}… ({len(content)} bytes)"


def _phase(run: RunView) -> str:
    return "running" if run.state.status is None else run.state.status.value


def _side(run: RunView) -> RunSide:
    state = run.state
    source = None if state.fork is None else state.fork.run_id
    duration_ms = state.at_ms - state.started_ms
    return RunSide(run.run_id, state.op_id, _phase(run), state.started_ms, duration_ms, state.seq, source)


def _manifest(a: RunView, b: RunView) -> Iterator[Change]:
    """Members of the manifests that differ, by their path."""
    left, right = (dict(_flat("", msgspec.to_builtins(each.manifest))) for each in (a, b))
    for name in dict.fromkeys([*left, *right]):
        if left.get(name) != right.get(name):
            yield Change(name, shown_value(name, left.get(name)), shown_value(name, right.get(name)))


def _flat(path: str, value: Any) -> Iterator[tuple[str, bytes]]:
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _flat(f"{path}.{name}" if path else name, each)
    else:
        yield path, msgspec.json.encode(value)


def _steps(a: RunView, b: RunView) -> Iterator[StepChange]:
    both = dict.fromkeys([*a.outline.order(), *b.outline.order()])
    planned_a, planned_b = ({state[0] for state in each.outline.states} for each in (a, b))
    for state_id in both:
        left = _step(a.state.steps.get(state_id)) if state_id in planned_a else None
        right = _step(b.state.steps.get(state_id)) if state_id in planned_b else None
        if _counted(left) != _counted(right):
            yield StepChange(step_name(state_id), state_id, left, right)


def _step(step: Step | None) -> StepSide:
    if step is None:
        return StepSide(StepStatus.PENDING.value, 0, None, None)
    duration_ms = step.ended_ms - step.entered_ms if step.ended_ms >= step.entered_ms else None
    error_code = None if step.error is None else step.error.code
    return StepSide(step.status.value, step.attempts, error_code, duration_ms)


def _counted(side: StepSide | None) -> tuple[object, ...] | None:
    return None if side is None else (side.status, side.attempts, side.error_code)


def _facts(a: RunState, b: RunState) -> Iterator[FactChange]:
    for key in sorted({*a.facts, *b.facts}):
        left, right = a.facts.get(key), b.facts.get(key)
        if left != right:
            yield FactChange(
                key,
                None if left is None else left.payload_id,
                None if right is None else right.payload_id,
                None if left is None else left.request_digest,
                None if right is None else right.request_digest,
            )


def _counts(a: RunView, b: RunView) -> Iterator[CountChange]:
    left, right = (_by_name(each, a.inherited | b.inherited) for each in (a, b))
    for name in sorted({*left, *right}):
        if left[name] != right[name]:
            yield CountChange(name, left[name], right[name])


def _by_name(run: RunView, but: frozenset[str]) -> Counter[str]:
    """Domain events by name, but for those of states that one of the runs inherits."""
    found: Counter[str] = Counter()
    for (state_id, name), count in run.events.items():
        if state_id not in but:
            found[name] += count
    return found


def _answers(a: Mapping[str, str], b: Mapping[str, str]) -> Iterator[Change]:
    for name in sorted({*a, *b}):
        left, right = a.get(name), b.get(name)
        inherited = INHERITED in (left, right) and None not in (left, right)
        if left != right and not inherited:
            yield Change(name, left, right)
