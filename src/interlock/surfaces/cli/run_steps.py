"""The steps of a run that is being driven, for live progress.

It computes nothing about a run: every word comes from the report that `run status` answers with.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from interlock.engine.reports.details import OrderReport, WaitReport
from interlock.engine.reports.records import RUNNING, RunReport, StepReport
from interlock.surfaces.cli.presentation import Step
from interlock.surfaces.cli.text import cell

_MARKS = {
    "completed": "done",
    "skipped": "skipped",
    "failed": "failed",
    "cancelled": "failed",
    "pending": "pending",
    "suspended": "waiting",
    "parked": "waiting",
}
_ORDERS = {"paused": "paused", "cancel": "being cancelled"}


def steps_of(status: Struct) -> Sequence[Step]:
    """Orders about the whole run, its steps, and its children."""
    if not isinstance(status, RunReport):
        return ()
    stands = status.waiting.state_id if status.waiting is not None else None
    orders = [Step(_ORDERS[each.order], "waiting", f"{each.actor}: {each.reason}") for each in _whole(status)]
    steps = [
        Step(
            step.name,
            "waiting" if step.state_id == stands else _MARKS.get(step.status, "running"),
            _note(step, [wait for wait in status.waits if wait.step == step.name]),
        )
        for step in status.steps
    ]
    children = [
        Step(f"child {child.run_id}", _MARKS.get(child.status, "running"), f"{child.step}/{child.name}")
        for child in status.children
    ]
    return [*orders, *steps, *children]


def _whole(status: RunReport) -> list[OrderReport]:
    """Orders about the whole run that still count."""
    return [order for order in status.orders if order.order in _ORDERS and status.phase == RUNNING]


def _note(step: StepReport, waits: Sequence[WaitReport]) -> str:
    if step.inherited:
        return "inherited"
    tries = f"attempt {step.attempts}" if step.attempts > 1 else ""
    took = "" if step.started_ms is None or step.ended_ms is None else f"{step.ended_ms - step.started_ms} ms"
    if step.status == "suspended":
        took = "waits for " + ", ".join(_waited(wait) for wait in waits) if waits else "may go on"
    skipped = "skipped" if step.status == "skipped" else ""
    return ", ".join(filter(None, [took, skipped, tries, step.error_code]))


def _waited(wait: WaitReport) -> str:
    """A wait in a few words: its name, and when time ends it."""
    until = "" if wait.until_ms is None else f" until {cell('until_ms', wait.until_ms)}"
    return f"{'the child ' if wait.kind == 'child' else ''}{wait.name.removeprefix('child:')}{until}"
