"""What a run that a server drives has come to, as the verb that drives would have answered.

What it does: reads what a start names in a file of this machine, makes the result of the report that was heard last,
and asks for the reasons of a run that waits or has failed. What it does not do: it decides nothing about a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import msgspec
from msgspec import Struct

from interlock.base.clock import SystemClock
from interlock.base.errors import InterlockError
from interlock.engine.commands import WhyReport
from interlock.engine.lineage.forking import ForkResult
from interlock.engine.reports.records import Reason, RunFailure, RunReport, RunResult
from interlock.engine.reports.settled import is_settled
from interlock.surfaces.caller import Caller
from interlock.surfaces.cli.presentation import Afar


async def is_over(client: Caller, report: Struct) -> bool:
    """Whether there is nothing more to see of a run for now. Raises: what asking about its children raises."""

    async def ask(run_id: str) -> RunReport:
        return cast("RunReport", await client.call("run.status", {"run": run_id}))

    return not isinstance(report, RunReport) or await is_settled(report, ask, SystemClock().now_ms())


async def came_to(client: Caller, output: Struct, report: Struct) -> Struct:
    """The output of a verb that drives, made of its first answer and the report of the run as it ended or waits."""
    if not isinstance(report, RunReport) or not isinstance(output, RunResult | ForkResult):
        return output
    reasons = await _reasons(client, report)
    stands: dict[str, Any] = {
        "phase": report.phase,
        "waiting": report.waiting,
        "final_snapshot_id": report.final_snapshot_id,
        "error": _failure(report, reasons),
        "detached": False,
    }
    if isinstance(output, RunResult) and report.waiting is not None:
        stands["reasons"] = tuple(reasons)
    return msgspec.structs.replace(output, **stands)


def with_input(given: Mapping[str, object]) -> Mapping[str, object]:
    """A start whose input is that of its file, under that of the line itself. Raises: `run_input_invalid`."""
    name, value = given.get("input_file"), given.get("input")
    if name is None or not isinstance(value, Mapping | None):
        return given
    from interlock.engine.document.inputs import read_input_file

    kept = {member: each for member, each in given.items() if member != "input_file"}
    return {**kept, "input": {**read_input_file(str(name)), **(value or {})}}


async def _reasons(client: Caller, report: RunReport) -> list[Reason]:
    """Why it waits or failed; none where nobody can say it any more."""
    if report.waiting is None and report.phase != "failed":
        return []
    try:
        found = await client.call("run.why", {"run": report.run_id})
    except InterlockError:
        return []
    return found.reasons if isinstance(found, WhyReport) else []


def _failure(report: RunReport, reasons: list[Reason]) -> RunFailure | None:
    """The error of the step that ended a failed run, with what its program wrote last."""
    if report.phase != "failed":
        return None
    for step in report.steps:
        if step.status == "failed" and step.error_code is not None:
            output = next((each.output for each in reasons if each.state_id == step.state_id and each.output), None)
            return RunFailure(step.state_id, step.error_code, step.error_message or "", output)
    return None


AFAR = Afar(is_over, came_to)
"""How to look on at a run that a server drives."""
