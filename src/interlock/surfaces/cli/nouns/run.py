"""How runs look to people: the records they see, what comes next, and the steps of a run that is being driven.

It computes nothing about a run: every word here comes from the records that the verbs answer with. What people are
not shown of those is in the same answer with `--json`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import Struct

from interlock.base.ids import step_name
from interlock.engine.budget import RunUsage
from interlock.engine.commands import RunEvents, WhyReport
from interlock.engine.graph.commands import Drawing
from interlock.engine.lineage.forking import ForkResult
from interlock.engine.replay.report import ReplayReport
from interlock.engine.reports.artifacts import ArtifactPage
from interlock.engine.reports.details import ChildReport, EarlyReport, EffectReport, OrderReport, Totals, resume_line
from interlock.engine.reports.records import RUNNING, Reason, RunReport, RunResult, StepReport
from interlock.engine.search.commands import ListedRun, RunList
from interlock.surfaces.cli.lineage import diff_text, fork_outcome, migration_next, migration_text
from interlock.surfaces.cli.lint import lint_text
from interlock.surfaces.cli.outputs import written
from interlock.surfaces.cli.presentation import Presentation, Progress
from interlock.surfaces.cli.run_following import AFAR, with_input
from interlock.surfaces.cli.run_history import history
from interlock.surfaces.cli.run_orders import batch, batch_next, resolved_next, told, told_next, what_a_wait_takes
from interlock.surfaces.cli.run_outcome import outcome, waiting_lines
from interlock.surfaces.cli.run_steps import steps_of
from interlock.surfaces.cli.text import cell, safe
from interlock.surfaces.cli.tint import is_coloured, tinted

SCHEMA_CHARACTERS_MAX = 400
DIGITS_SHOWN = 12


def _why_next(output: Struct, _given: Mapping[str, object]) -> str | None:
    """The line that shows what came of it, or supplies what is missing if that is but one; else `run why` says more."""
    if isinstance(output, ForkResult) and output.phase in {RUNNING, "failed"}:
        return f"interlock run why {output.run_id}"
    if isinstance(output, RunResult) and output.phase == "completed":
        return f"interlock run output {output.run_id}"
    if not isinstance(output, RunResult) or output.phase not in {RUNNING, "failed"}:
        return None
    if output.detached:
        return resume_line(output.run_id)
    lines = [line for reason in output.reasons for line in reason.release]
    return lines[0] if len(lines) == 1 else f"interlock run why {output.run_id}"


def _afar_next(output: Struct, given: Mapping[str, object]) -> str | None:
    """As `_why_next`; what a server was left with is driven by its worker, so that there is only to look."""
    if isinstance(output, RunResult) and output.detached and output.phase == RUNNING:
        return f"interlock run status {output.run_id}"
    return _why_next(output, given)


def _status_next(output: Struct, _given: Mapping[str, object]) -> str | None:
    """What a run that waits for somebody needs: the answer, if but one is asked for; else why says it."""
    if not isinstance(output, RunReport) or output.waiting is None:
        return None
    answers = [wait.answer for wait in output.waits]
    match output.waiting.kind:
        case "suspended" if len(answers) == 1:
            return answers[0]
        case "suspended" | "parked":
            return f"interlock run why {output.run_id}"
        case "queued":
            return resume_line(output.run_id)
        case _:
            return None


def _page_after(output: Struct, given: Mapping[str, object]) -> str | None:
    """The line that shows the page after this one: the same with another beginning."""
    match output:
        case RunEvents(next=int(after)):
            begins, line = f"--after {after}", f"interlock run events {given['run']}"
        case ArtifactPage(next=int(after)):
            begins, line = f"--after {after}", f"interlock run artifacts {given['run']}"
        case RunList(next=str(cursor)):
            begins, line = f"--cursor {cursor}", "interlock run list"
        case _:
            return None
    kept = {name: value for name, value in given.items() if name not in ("run", "after", "cursor") and value}
    options = [text for name, value in kept.items() for text in _options(name, value)]
    return " ".join([line, begins, *options])


def _options(name: str, value: object) -> list[str]:
    """An option as it was given: once for each of several values."""
    option = f"--{name.replace('_', '-')}"
    if value is True:
        return [option]
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    return [f"{option} {shlex.quote(str(each))}" for each in values]


class Page(Struct, frozen=True):
    """A `RunList` for people; where the next page begins is said in a line of its own."""

    items: list[ListedRun]


def _page(output: Struct) -> Struct:
    return Page(output.items) if isinstance(output, RunList) else output


class ArtifactShown(Struct, frozen=True):
    """A line about something that a run stored; on a terminal, the first digits of its id are enough to name it."""

    step: str | None
    kind: str
    bytes: int
    name: str | None
    id: str


class Artifacts(Struct, frozen=True):
    """An `ArtifactPage` for people."""

    items: list[ArtifactShown]


def _artifacts(output: Struct) -> Struct:
    if not isinstance(output, ArtifactPage):
        return output
    digits = DIGITS_SHOWN if sys.stdout.isatty() else None
    return Artifacts([ArtifactShown(r.step, r.kind, r.bytes, r.name, r.id[:digits]) for r in output.items])


class StepRow(Struct, frozen=True):
    """A step in the table of a status."""

    name: str
    status: str
    attempts: int
    crashes: int | None
    started_ms: int | None
    ended_ms: int | None
    error_code: str | None


class WaitRow(Struct, frozen=True):
    """Something that a step waits for, in the table of a status."""

    step: str
    name: str
    kind: str
    since_ms: int
    until_ms: int | None


class Status(Struct, frozen=True, kw_only=True):
    """A `RunReport` for people: what went wrong stands below the table, where it has room.

    What the run has used of its budget is shown once it is past the warning.
    """

    run_id: str
    op_id: str
    phase: str
    waiting: str | None
    waiting_step: str | None
    waiting_since_ms: int | None
    waiting_until_ms: int | None
    waiting_place: int | None
    checkpoint: str | None
    final_snapshot_id: str | None
    started_ms: int
    updated_ms: int
    events: int
    usage: RunUsage | None
    owner: str | None
    parent_run_id: str | None
    forked_from: str | None
    from_step: str | None
    skips_tags: tuple[str, ...]
    deadline_ms: int | None
    input: object
    steps: list[StepRow]
    errors: list[str]
    orders: list[OrderReport]
    waits: list[WaitRow]
    early: list[EarlyReport]
    in_doubt: list[EffectReport]
    children: list[ChildReport]
    not_shown: list[str]


def _status(output: Struct) -> Struct:
    if not isinstance(output, RunReport):
        return output
    is_running = output.phase == RUNNING
    return Status(
        run_id=output.run_id,
        op_id=output.op_id,
        phase=output.phase,
        **waiting_lines(output.waiting),
        checkpoint=output.final_snapshot_id if is_running else None,
        final_snapshot_id=None if is_running else output.final_snapshot_id,
        started_ms=output.started_ms,
        updated_ms=output.updated_ms,
        events=output.events,
        usage=output.usage if output.usage.warned else None,
        owner=output.owner,
        parent_run_id=output.parent_run_id,
        forked_from=output.forked_from,
        from_step=output.from_step,
        skips_tags=output.skips_tags,
        deadline_ms=output.deadline_ms,
        input=output.input,
        steps=[_row(step) for step in output.steps],
        errors=[f"{step.name}: {step.error_message}" for step in output.steps if step.error_message],
        orders=output.orders,
        waits=[WaitRow(wait.step, wait.name, wait.kind, wait.since_ms, wait.until_ms) for wait in output.waits],
        early=output.early,
        in_doubt=output.in_doubt,
        children=output.children,
        not_shown=list(_not_shown(output)),
    )


def _not_shown(output: RunReport) -> Iterator[str]:
    """How much more there is of what the lists show the beginning of."""
    for name in Totals.__struct_fields__:
        more = getattr(output.totals, name) - len(getattr(output, name))
        if more > 0:
            yield f"{name}: {more} more"


def _row(step: StepReport) -> StepRow:
    crashes = step.crashes or None
    status = "inherited" if step.inherited else step.status
    return StepRow(step.name, status, step.attempts, crashes, step.started_ms, step.ended_ms, step.error_code)


def _why(output: Struct) -> bytes:
    """Each reason on a line, and each command that may release the run on a line of its own."""
    if not isinstance(output, WhyReport):
        return b""
    lines = [line for reason in output.reasons for line in _reason(reason)] or ["nothing is missing"]
    releases = dict.fromkeys(command for reason in output.reasons for command in reason.release)
    return "".join(f"{safe(line)}\n" for line in (*lines, *(f"  {command}" for command in releases))).encode()


def _reason(reason: Reason) -> Iterator[str]:
    """The reason, and what an answer has to fit."""
    moments = (("since_ms", "since", reason.since_ms), ("until_ms", "until", reason.until_ms))
    times = ", ".join(f"{word} {cell(member, value)}" for member, word, value in moments if value is not None)
    yield f"{reason.kind}: {reason.explanation}" + (f" ({times})" if times else "")
    if reason.output is not None:
        yield from (f"  {reason.output.stream}: {line}" for line in written(reason.output))
    if reason.schema is not None:
        text = msgspec.json.encode(_unfolded(reason.schema)).decode()
        cut = f"{text[:SCHEMA_CHARACTERS_MAX]}…" if len(text) > SCHEMA_CHARACTERS_MAX else text
        yield f"  an answer fits {cut}"


def _unfolded(schema: Any) -> Any:
    """A schema that is but a reference to its one definition, as that definition without its prose."""
    match schema:
        case {"$ref": str(target), "$defs": {**definitions}} if len(definitions) == 1 and len(schema) == 2:
            found = definitions.get(target.removeprefix("#/$defs/"))
            if isinstance(found, dict):
                return {key: value for key, value in found.items() if key not in ("title", "description")}
    return schema


def _drawing(output: Struct) -> bytes:
    """The drawing as it is, so that it can be put into a file; on a terminal, a tree has colours."""
    if not isinstance(output, Drawing):
        return b""
    return (tinted(output.text) if output.format == "tree" and is_coloured() else output.text).encode()


def _replayed(output: Struct) -> bytes:
    """Whether the run is identical, what differs first, and what the replay could not tell."""
    if not isinstance(output, ReplayReport):
        return b""
    return "".join(f"{safe(line)}\n" for line in _findings(output)).encode()


def _findings(report: ReplayReport) -> Iterator[str]:
    found = report.divergence
    done = f"{report.attempts} attempts replayed, {report.compared} compared, {report.skipped} skipped"
    yield f"{'identical' if found is None else 'differs'}: {done}"
    if found is not None:
        yield f"{step_name(found.state_id)}, attempt {found.attempt}, differs by its {found.kind}: {found.message}"
        yield f"  recorded {found.recorded}"
        yield f"  replayed {found.replayed}"
        yield from (f"  {each.key}: {_side(each.recorded)} -> {_side(each.replayed)}" for each in found.keys)
        if found.keys_omitted:
            yield f"  and {found.keys_omitted} more keys"
    for each in report.not_comparable:
        yield f"not comparable: {step_name(each.state_id)}, attempt {each.attempt}, {each.recorded}: {each.why}"
    if report.not_comparable_count > len(report.not_comparable):
        yield f"not comparable: {report.not_comparable_count} in all"
    yield from (f"warning: {each.message}" for each in report.warnings)
    if report.warnings_count > len(report.warnings):
        yield f"warnings: {report.warnings_count} in all"


def _side(value: str | None) -> str:
    return "absent" if value is None else value


_ORDERED = ("signal", "cancel", "pause", "unpause", "skip", "retry", "edit")
_LISTED = ("run_id", "op_id", "state", "started_ms", "error_code")
PRESENTATION = Presentation(
    columns={
        "list.items": _LISTED,
        "batch.runs": _LISTED,
        "fork.inherited": ("step", "facts", "answers"),
        "fork.effects": ("step", "fact_key", "outcome", "choice"),
    },
    cut={
        "list.items": ("op_id", "error_code"),
        "batch.runs": ("op_id", "error_code"),
        "status.steps": ("name", "error_code"),
        "artifacts.items": ("step", "kind", "name"),
    },
    gives_way={"events.items": ("actor", "detail", "step", "type")},
    text={
        "why": _why,
        "graph": _drawing,
        "replay": _replayed,
        "diff": diff_text,
        "migrate": migration_text,
        "lint": lint_text,
    },
    people={
        "fork": fork_outcome,
        "start": outcome,
        "resume": outcome,
        "status": _status,
        "events": history,
        "list": _page,
        "artifacts": _artifacts,
        "batch": batch,
        **dict.fromkeys(_ORDERED, told),
    },
    empty={"list": "no runs", "artifacts": "it has stored nothing on this page"},
    follow={
        "start": _why_next,
        "resume": _why_next,
        "status": _status_next,
        "events": _page_after,
        "list": _page_after,
        "artifacts": _page_after,
        "batch": batch_next,
        "fork": _why_next,
        "migrate": migration_next,
        "resolve": resolved_next,
        **dict.fromkeys(_ORDERED, told_next),
    },
    follow_afar={"start": _afar_next, "resume": _afar_next},
    hint={"signal": what_a_wait_takes},
    sent={"start": with_input},
    progress={
        "start": Progress("run_id", "run.status", "run", steps_of, resume_line, lambda: str(uuid4()), AFAR),
        "resume": Progress("run", "run.status", "run", steps_of, resume_line, afar=AFAR),
        "fork": Progress("run_id", "run.status", "run", steps_of, resume_line, lambda: str(uuid4()), AFAR),
    },
)
