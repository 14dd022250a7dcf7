"""How runs look to people: which columns a list shows, and the steps of a run that is being driven.

It computes nothing about a run: every word here comes from the records that the verbs answer with.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import uuid4

from msgspec import Struct

from interlock.engine.reports import RunReport, StepReport
from interlock.surfaces.cli.presentation import Presentation, Progress, Step

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


PRESENTATION = Presentation(
    columns={
        "list.items": ("run_id", "op_id", "state", "started_ms", "ended_ms"),
        "status.steps": (
            "name",
            "status",
            "attempts",
            "started_ms",
            "ended_ms",
            "error_code",
            "error_message",
        ),
        "events.items": ("seq", "at_ms", "type", "actor"),
        "why.reasons": ("kind", "explanation", "since_ms", "until_ms", "release"),
    },
    progress={
        "start": Progress(key="run_id", query="run.status", asks="run", steps=_steps, fresh=lambda: str(uuid4())),
        "resume": Progress(key="run", query="run.status", asks="run", steps=_steps),
    },
)
