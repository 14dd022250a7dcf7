"""How runs look to people: the records they see, what comes next, and the steps of a run that is being driven.

It computes nothing about a run: every word here comes from the records that the verbs answer with. What people are
not shown of those is in the same answer with `--json`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import uuid4

from msgspec import Struct

from interlock.base.ids import step_name
from interlock.engine.commands import RunEvent, RunEvents, WhyReport
from interlock.engine.graph.commands import Drawing
from interlock.engine.reports import RUNNING, Reason, RunReport, RunResult, StepReport, Waiting
from interlock.surfaces.cli.presentation import Presentation, Progress, Step
from interlock.surfaces.cli.text import cell, safe
from interlock.surfaces.cli.tint import is_coloured, tinted

_MARKS = {"completed": "done", "failed": "failed", "pending": "pending"}


def _steps(status: Struct) -> Sequence[Step]:
    if not isinstance(status, RunReport):
        return ()
    parked = status.waiting.state_id if status.waiting is not None else None
    return [
        Step(
            step.name,
            "waiting" if step.state_id == parked else _MARKS.get(step.status, "running"),
            _note(step),
        )
        for step in status.steps
    ]


def _note(step: StepReport) -> str:
    tries = f"attempt {step.attempts}" if step.attempts > 1 else ""
    took = "" if step.started_ms is None or step.ended_ms is None else f"{step.ended_ms - step.started_ms} ms"
    return ", ".join(filter(None, [took, tries, step.error_code]))


class Outcome(Struct, frozen=True, kw_only=True):
    """A `RunResult` for people."""

    run_id: str
    phase: str
    waiting: Waiting | None
    failed_step: str | None = None
    code: str | None = None
    message: str | None = None
    checkpoint: str | None = None
    final_snapshot_id: str | None = None


def _outcome(output: Struct) -> Struct:
    if not isinstance(output, RunResult):
        return output
    is_running, error = output.phase == RUNNING, output.error
    return Outcome(
        run_id=output.run_id,
        phase=output.phase,
        waiting=output.waiting,
        failed_step=None if error is None else step_name(error.state_id),
        code=None if error is None else error.code,
        message=None if error is None else error.message,
        checkpoint=output.final_snapshot_id if is_running else None,
        final_snapshot_id=None if is_running else output.final_snapshot_id,
    )


def _why_next(output: Struct) -> str | None:
    """Only `run why` says more about a run that failed or waits."""
    if not isinstance(output, RunResult) or output.detached or output.phase not in {RUNNING, "failed"}:
        return None
    return f"interlock run why {output.run_id}"


class StepRow(Struct, frozen=True):
    """A step in the table of a status."""

    name: str
    status: str
    attempts: int
    crashes: int | None
    started_ms: int | None
    ended_ms: int | None
    error_code: str | None


class Status(Struct, frozen=True, kw_only=True):
    """A `RunReport` for people: what went wrong stands below the table, where it has room."""

    run_id: str
    op_id: str
    phase: str
    waiting: Waiting | None
    checkpoint: str | None
    final_snapshot_id: str | None
    started_ms: int
    updated_ms: int
    events: int
    owner: str | None
    input: object
    steps: list[StepRow]
    errors: list[str]


def _status(output: Struct) -> Struct:
    if not isinstance(output, RunReport):
        return output
    is_running = output.phase == RUNNING
    return Status(
        run_id=output.run_id,
        op_id=output.op_id,
        phase=output.phase,
        waiting=output.waiting,
        checkpoint=output.final_snapshot_id if is_running else None,
        final_snapshot_id=None if is_running else output.final_snapshot_id,
        started_ms=output.started_ms,
        updated_ms=output.updated_ms,
        events=output.events,
        owner=output.owner,
        input=output.input,
        steps=[_row(step) for step in output.steps],
        errors=[f"{step.name}: {step.error_message}" for step in output.steps if step.error_message],
    )


def _row(step: StepReport) -> StepRow:
    crashes = step.crashes or None
    return StepRow(step.name, step.status, step.attempts, crashes, step.started_ms, step.ended_ms, step.error_code)


class EventRow(Struct, frozen=True):
    """A line of a run's history."""

    seq: int
    at_ms: int
    type: str
    step: str | None
    detail: str | None
    actor: str


class History(Struct, frozen=True):
    """`RunEvents` for people."""

    items: list[EventRow]
    next: int | None


def _history(output: Struct) -> Struct:
    if not isinstance(output, RunEvents):
        return output
    return History([_event(event) for event in output.items], output.next)


def _event(event: RunEvent) -> EventRow:
    state = getattr(event.data, "state_id", None) or getattr(getattr(event.data, "error", None), "state_id", None)
    kind = event.type.removeprefix("engine.")
    detail = " ".join(_details(event.data))
    return EventRow(event.seq, event.at_ms, kind, step_name(state) if state else None, detail or None, event.actor)


def _details(data: object) -> Iterator[str]:
    """What tells an event from another of its type: names and codes, no content."""
    info = getattr(getattr(data, "error", None), "info", None)
    for record, member in (
        *((data, name) for name in ("status", "action", "code", "fact_key", "kind", "name", "key", "op_id", "owner")),
        (info, "code"),
    ):
        if value := getattr(record, member, None):
            yield str(value)


def _why(output: Struct) -> bytes:
    """Each reason on a line, and each command that may release the run on a line of its own."""
    if not isinstance(output, WhyReport):
        return b""
    lines = [_reason(reason) for reason in output.reasons] or ["nothing is missing"]
    releases = dict.fromkeys(command for reason in output.reasons for command in reason.release)
    return "".join(f"{safe(line)}\n" for line in (*lines, *(f"  {command}" for command in releases))).encode()


def _reason(reason: Reason) -> str:
    moments = (("since_ms", "since", reason.since_ms), ("until_ms", "until", reason.until_ms))
    times = ", ".join(f"{word} {cell(member, value)}" for member, word, value in moments if value is not None)
    return f"{reason.kind}: {reason.explanation}" + (f" ({times})" if times else "")


def _drawing(output: Struct) -> bytes:
    """The drawing as it is, so that it can be put into a file; on a terminal, a tree has colours."""
    if not isinstance(output, Drawing):
        return b""
    return (tinted(output.text) if output.format == "tree" and is_coloured() else output.text).encode()


def _step_of(state_id: str) -> str:
    """The step's name within the id of its state, `op.step.action`."""
    return state_id.split(".")[1] if "." in state_id else state_id


def _resume(run_id: str) -> str:
    return f"interlock run resume {run_id}"


PRESENTATION = Presentation(
    columns={"list.items": ("run_id", "op_id", "state", "started_ms")},
    cut={
        "list.items": ("op_id",),
        "status.steps": ("name", "error_code"),
        "events.items": ("type", "step", "detail", "actor"),
    },
    text={"why": _why, "graph": _drawing},
    people={"start": _outcome, "resume": _outcome, "status": _status, "events": _history},
    empty={"list": "no runs"},
    follow={"start": _why_next, "resume": _why_next},
    progress={
        "start": Progress("run_id", "run.status", "run", _steps, _resume, fresh=lambda: str(uuid4())),
        "resume": Progress("run", "run.status", "run", _steps, _resume),
    },
)
