"""What a person is told once a verb has driven a run: how it stands, why, and what it needs.

What it does: turns a `RunResult` into lines. What it does not do: it names no command; the verbs' own lines do.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from interlock.base.ids import step_name
from interlock.engine.reports.records import RUNNING, RunResult, Waiting
from interlock.surfaces.cli.outputs import last_lines


class Outcome(Struct, frozen=True, kw_only=True):
    """A `RunResult` for people."""

    run_id: str
    phase: str
    note: str | None = None
    waiting: str | None
    waiting_step: str | None
    waiting_since_ms: int | None
    waiting_until_ms: int | None
    waiting_place: int | None
    failed_step: str | None = None
    code: str | None = None
    message: str | None = None
    stderr: list[str] = []
    stdout: list[str] = []
    needs: list[str] = []
    checkpoint: str | None = None
    final_snapshot_id: str | None = None


def waiting_lines(waiting: Waiting | None) -> dict[str, Any]:
    """Why a run does not move, in lines of their own."""
    if waiting is None:
        return dict.fromkeys(("waiting", "waiting_step", "waiting_since_ms", "waiting_until_ms", "waiting_place"))
    return {
        "waiting": waiting.kind,
        "waiting_step": None if waiting.state_id is None else step_name(waiting.state_id),
        "waiting_since_ms": waiting.since_ms,
        "waiting_until_ms": waiting.until_ms,
        "waiting_place": waiting.place,
    }


def outcome(output: Struct) -> Struct:
    """The lines of a result; anything else as it is."""
    if not isinstance(output, RunResult):
        return output
    is_running, error = output.phase == RUNNING, output.error
    written: dict[str, Any] = {**last_lines(error)}
    return Outcome(
        run_id=output.run_id,
        phase=output.phase,
        note="it had ended before: nothing was run" if output.had_ended else None,
        **waiting_lines(output.waiting),
        failed_step=None if error is None else step_name(error.state_id),
        code=None if error is None else error.code,
        message=None if error is None else error.message,
        **written,
        needs=[f"{reason.kind}: {reason.explanation}" for reason in output.reasons],
        checkpoint=output.final_snapshot_id if is_running else None,
        final_snapshot_id=None if is_running else output.final_snapshot_id,
    )
