"""Orders to runs as people see what came of them: one run, or a batch.

It computes nothing: what people are not shown is in the same answer with `--json`.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from interlock.engine.commands import Resolved
from interlock.engine.control.commands import Told
from interlock.engine.reports.details import resume_line
from interlock.engine.reports.fitting import what_fits
from interlock.engine.reports.records import RunReport
from interlock.engine.search.batch_commands import BatchAnswer
from interlock.engine.search.batches import Outcome
from interlock.engine.search.commands import ListedRun
from interlock.surfaces.caller import Caller


def told_next(output: Struct, _given: Mapping[str, object]) -> str | None:
    """The line that goes on with the run."""
    return output.next if isinstance(output, Told) else None


def resolved_next(output: Struct, _given: Mapping[str, object]) -> str | None:
    """The line that goes on with a run whose parked step was decided."""
    return resume_line(output.run_id) if isinstance(output, Resolved) else None


async def what_a_wait_takes(client: Caller, given: Mapping[str, object]) -> str | None:
    """What fits the schema of the wait that a line means to answer, in words."""
    report = await client.call("run.status", {"run": given.get("run")})
    if not isinstance(report, RunReport):
        return None
    named, token = (given.get("step"), given.get("name")), given.get("token")
    found = [wait for wait in report.waits if (wait.step, wait.name) == named or (token and wait.token == token)]
    return what_fits(found[0].schema) if found else None


class ToldShown(Struct, frozen=True):
    """`Told` for people: the line that goes on stands below."""

    run_id: str
    phase: str
    waiting: str | None
    then: str


def told(output: Struct) -> Struct:
    """What came of an order."""
    if not isinstance(output, Told):
        return output
    return ToldShown(output.run_id, output.phase, output.waiting, output.then)


class BatchShown(Struct, frozen=True, kw_only=True):
    """`BatchAnswer` for people."""

    action: str
    matches: int
    batch_id: str | None
    told: int | None
    refused: int | None
    runs: list[ListedRun]
    outcomes: list[Outcome]


def batch(output: Struct) -> Struct:
    """What a batch would tell, or told."""
    if not isinstance(output, BatchAnswer):
        return output
    return BatchShown(
        action=output.action if output.acted else f"{output.action}, not yet: this is what would be told",
        matches=output.matches,
        batch_id=output.batch_id,
        told=output.told if output.acted else None,
        refused=output.refused if output.acted else None,
        runs=output.runs,
        outcomes=output.outcomes,
    )


def batch_next(output: Struct, _given: Mapping[str, object]) -> str | None:
    """The line that does what was shown, or shows what was done."""
    return output.next if isinstance(output, BatchAnswer) else None
