"""How forks and differences look to people: a fork, two runs beside each other, a run and another plan.

What it does: leaves out of a fork what only programs need, and writes each difference as short sections of lines that
fit one screen, with what is left out counted. What it does not do: it compares nothing; whatever is left out is in the
same answer with `--json`.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from interlock.base.clock import rfc3339
from interlock.base.ids import step_name
from interlock.engine.lineage.diff import Change, RunDifference, RunSide, StepSide
from interlock.engine.lineage.fork import ForkEffect, ForkWait
from interlock.engine.lineage.forking import ForkChild, ForkResult, InheritedStep
from interlock.engine.lineage.migrate import Migration
from interlock.engine.lineage.outlines import PlanDifference
from interlock.engine.reports.records import Waiting
from interlock.surfaces.cli.outputs import last_lines
from interlock.surfaces.cli.text import safe

LINES_SHOWN_MAX = 6
PLAN_LINES_SHOWN_MAX = 24
"""Lines of a section; a migration is about the plan alone, so that it has room for more of it."""

CELL_CHARACTERS_MAX = 48


class ForkOutcome(Struct, frozen=True, kw_only=True):
    """A `ForkResult` for people: what it inherited, and what it does anew, as tables."""

    run_id: str
    phase: str
    waiting: Waiting | None
    failed_step: str | None
    code: str | None
    message: str | None
    stderr: list[str] = []
    stdout: list[str] = []
    source_run_id: str
    from_step: str
    has_other_plan: bool
    inherited: list[InheritedStep]
    asks_again: list[ForkWait]
    effects: list[ForkEffect]
    children: list[ForkChild]


def fork_outcome(output: Struct) -> Struct:
    """What people are shown of a fork."""
    if not isinstance(output, ForkResult):
        return output
    error = output.error
    return ForkOutcome(
        run_id=output.run_id,
        phase=output.phase,
        waiting=output.waiting,
        failed_step=None if error is None else step_name(error.state_id),
        code=None if error is None else error.code,
        message=None if error is None else error.message,
        **last_lines(error),
        source_run_id=output.source_run_id,
        from_step=output.from_step,
        has_other_plan=output.has_other_plan,
        inherited=output.inherited,
        asks_again=output.asks_again,
        effects=output.effects,
        children=output.children,
    )


def diff_text(output: Struct) -> bytes:
    """Two runs, and how they differ."""
    if not isinstance(output, RunDifference):
        return b""
    lines = [f"a  {_side(output.a)}", f"b  {_side(output.b)}"]
    if output.is_same:
        lines += ["", "the runs are the same, but for ids and times"]
    sections: tuple[tuple[str, Sequence[str]], ...] = (
        ("manifest", list(_changes(output.manifest))),
        ("plan", list(_plan(output.plan))),
        ("steps", [f"{each.step}: {_step(each.a)} | {_step(each.b)}" for each in output.steps]),
        ("context", list(_changes(output.context))),
        ("facts", [f"{each.key}: {_one_of(each.payload_a, each.payload_b)}" for each in output.facts]),
        ("domain events", [f"{each.name}: {each.a} | {each.b}" for each in output.events]),
        ("answers", list(_changes(output.answers))),
    )
    return _text([*lines, *_sections(sections)])


def migration_text(output: Struct) -> bytes:
    """A run beside another plan: whether it may go on with it, and how it differs from its own."""
    if not isinstance(output, Migration):
        return b""
    lines = [f"run          {output.run_id}", f"fingerprint  {output.fingerprint}", f"{_verdict(output)}"]
    sections: tuple[tuple[str, Sequence[str]], ...] = (
        ("speaks against it", output.objections),
        ("the plan", list(_plan(output.difference))),
        ("completed work that is kept", [", ".join(output.done)] if output.done else []),
    )
    return _text([*lines, *_sections(sections, PLAN_LINES_SHOWN_MAX)])


def migration_next(output: Struct, given: Mapping[str, object]) -> str | None:
    """The line that applies what was shown."""
    if not isinstance(output, Migration) or not output.is_possible or output.is_applied or output.is_pending:
        return None
    rest = f"--apply --expect {output.fingerprint} --reason TEXT"
    plan = shlex.quote(str(given["plan"]))
    return f"interlock run migrate {output.run_id} --plan {plan} {rest}"


def _verdict(output: Migration) -> str:
    if output.is_applied:
        return "the run has this plan"
    if output.is_pending:
        return "the run has been told, and its owner has not taken it yet"
    return "the run can go on with this plan" if output.is_possible else "the run cannot go on with this plan"


def _side(side: RunSide) -> str:
    fork = "" if side.forked_from is None else f", a fork of {side.forked_from}"
    at = rfc3339(side.started_ms)
    return f"{side.run_id}  {side.op_id} {side.phase}, {side.events} events in {side.duration_ms} ms, {at}{fork}"


def _changes(changes: Iterable[Change]) -> Iterator[str]:
    for each in changes:
        yield f"{each.name}: {_cut(each.a)} | {_cut(each.b)}"


def _plan(plan: PlanDifference) -> Iterator[str]:
    if plan.is_same:
        return
    if plan.version_a != plan.version_b:
        yield f"version {plan.version_a} | {plan.version_b}"
    yield f"states in both: {plan.states_kept}"
    yield from (f"+ {state}" for state in plan.states_added)
    yield from (f"- {state}" for state in plan.states_removed)
    yield from (f"~ {each.state_id}: {', '.join(each.members)}" for each in plan.states_changed)
    yield from (f"+ {edge}" for edge in plan.edges_added)
    yield from (f"- {edge}" for edge in plan.edges_removed)
    if plan.is_reordered:
        yield "states stand in another order"
    if plan.has_other_pipeline:
        yield "the pipeline configures its operations differently"


def _step(side: StepSide | None) -> str:
    if side is None:
        return "not in the plan"
    attempts = "" if side.attempts < 2 else f", {side.attempts} attempts"
    code = "" if side.error_code is None else f" [{side.error_code}]"
    took = "" if side.duration_ms is None else f" in {side.duration_ms} ms"
    return f"{side.status}{code}{attempts}{took}"


def _one_of(a: str | None, b: str | None) -> str:
    if a is None or b is None:
        return "only in b" if a is None else "only in a"
    return "other payload" if a != b else "answers another request"


def _cut(text: str | None) -> str:
    if text is None:
        return "–"
    return text if len(text) <= CELL_CHARACTERS_MAX else f"{text[:CELL_CHARACTERS_MAX]}…"


def _sections(sections: Iterable[tuple[str, Sequence[str]]], lines_max: int = LINES_SHOWN_MAX) -> Iterator[str]:
    for title, lines in sections:
        if lines:
            yield ""
            yield title
            yield from (f"  {line}" for line in lines[:lines_max])
            if len(lines) > lines_max:
                yield f"  … and {len(lines) - lines_max} more"


def _text(lines: Iterable[str]) -> bytes:
    return "".join(f"{safe(line)}\n" for line in lines).encode()
