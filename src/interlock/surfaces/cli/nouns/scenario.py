"""How the verbs about scenarios answer people: outcomes in words, reasons as a tree.

What it does: gives each output the lines and tables that a person reads. What it does not do: it leaves nothing out for
programs; `--json` has the records as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from shlex import quote
from typing import TypeGuard

from msgspec import UNSET, Struct

from interlock.base.clock import rfc3339
from interlock.gates.control.backtest import Backtest
from interlock.gates.control.commands import Opened
from interlock.gates.control.explaining import StageExplanation
from interlock.gates.control.inputs import ScenarioRunList
from interlock.gates.control.looking import ScenarioRunReport
from interlock.gates.logic.explain import as_text
from interlock.gates.logic.leaves import told
from interlock.gates.records import Advanced, Completed, DecisionOutcome, Failed, Held
from interlock.gates.values import Timestamp, UnixMillis
from interlock.surfaces.cli.lint import lint_text
from interlock.surfaces.cli.presentation import Presentation
from interlock.surfaces.cli.text import cell, safe


class GateLine(Struct, frozen=True):
    """A gate in a table: what it is, and its leaves."""

    gate: str
    status: str
    conditions: str


class OpenedLines(Struct, frozen=True):
    """What a trigger came to, in words."""

    trigger: str
    decision: str
    outcome: str
    stage: str
    status: str
    packets: list[str]
    gates: list[GateLine]


class StatusLines(Struct, frozen=True):
    """How a run stands, in words."""

    run: str
    scenario: str
    stage: str
    entered: str
    status: str
    seq: int
    triggers: int
    decision: str | None
    outcome: str | None
    packets: list[str]


class RunLine(Struct, frozen=True):
    """A run in a list, in words."""

    run: str
    stage: str
    status: str
    entered: str
    triggers: int


class RunLines(Struct, frozen=True):
    """Runs of a scenario, in words."""

    items: list[RunLine]
    next: str | None


class ChangeLine(Struct, frozen=True):
    """A decision that would be another, in words."""

    run: str
    trigger: str
    stage: str
    recorded: str
    today: str


class BacktestLines(Struct, frozen=True):
    """What a document would change of recorded runs, in words."""

    runs: int
    decisions: int
    not_recorded: int
    changed: list[ChangeLine]


def outcome_text(outcome: DecisionOutcome) -> str:
    """An outcome in one line."""
    match outcome:
        case Advanced(before, after, timeout):
            return f"advanced from {before} to {after}{', for its time is over' if timeout else ''}"
        case Completed(stage):
            return f"completed with {stage}"
        case Held(summary):
            return f"held by {', '.join(summary.unmet_gates)}"
        case Failed(reason):
            return f"failed: {reason}"
        case _:
            return f"started in {outcome.stage_id}"


def _time(at: Timestamp) -> str:
    return cell("at_ms", at.value) if isinstance(at, UnixMillis) else f"logical {at.value}"


def _opened(output: Struct) -> Struct:
    if not isinstance(output, Opened):
        return output
    gates = [
        GateLine(each.gate_id, each.status, ", ".join(f"{leaf.condition_id} {leaf.status}" for leaf in each.trace))
        for each in output.gates
    ]
    outcome = outcome_text(output.outcome)
    return OpenedLines(output.trigger, output.decision, outcome, output.stage, output.status, output.packets, gates)


def _runs(output: Struct) -> Struct:
    if not isinstance(output, ScenarioRunList):
        return output
    items = [
        RunLine(
            each.run, each.stage, each.status, "" if each.entered_at is None else _time(each.entered_at), each.triggers
        )
        for each in output.items
    ]
    return RunLines(items, output.next)


def _status(output: Struct) -> Struct:
    if not isinstance(output, ScenarioRunReport):
        return output
    return StatusLines(
        output.run,
        output.scenario,
        output.stage,
        _time(output.entered_at),
        output.status,
        output.seq,
        output.triggers,
        output.decision,
        None if output.outcome is None else outcome_text(output.outcome),
        output.packets,
    )


def _backtest(output: Struct) -> Struct:
    if not isinstance(output, Backtest):
        return output
    changed = [
        ChangeLine(
            each.run,
            each.trigger,
            each.stage,
            outcome_text(each.recorded),
            each.fault or "" if each.today is None else outcome_text(each.today),
        )
        for each in output.changed
    ]
    return BacktestLines(output.runs, output.decisions, output.not_recorded, changed)


def _is_explained(output: Struct) -> TypeGuard[StageExplanation]:
    return isinstance(output, StageExplanation)


def _closing(at_ms: int, *, closed: bool) -> str:
    at = rfc3339(at_ms)
    return f"closed since {at}: its evidence is too old" if closed else f"closes at {at}, when its evidence is too old"


def _explained(output: Struct) -> bytes:
    if not _is_explained(output):
        return b""
    lines = [f"stage {safe(output.stage)} of {safe(output.run)}, as of trigger {safe(output.trigger)}"]
    for gate in output.gates:
        closing = "" if gate.closes_at_ms is UNSET else f", {_closing(gate.closes_at_ms, closed=gate.closed)}"
        lines += ["", f"gate {safe(gate.gate_id)}{closing}", as_text(gate.explanation, told)]
    return ("\n".join(lines) + "\n").encode()


def _why(output: Struct, line: Mapping[str, object]) -> str | None:
    held = isinstance(output, Opened) and isinstance(output.outcome, Held)
    held = held or (isinstance(output, ScenarioRunReport) and bool(output.unmet_gates))
    named = " ".join(quote(str(line[each])) for each in ("scenario", "run"))
    return f"interlock scenario explain {named}" if held else None


PRESENTATION = Presentation(
    columns={"list.items": ("scenario", "namespace", "spec_hash")},
    text={"lint": lint_text, "explain": _explained},
    people={
        "trigger": _opened,
        "next": _opened,
        "runs": _runs,
        "status": _status,
        "start": _status,
        "backtest": _backtest,
    },
    empty={"list": "no scenarios", "runs": "no runs"},
    follow={"trigger": _why, "next": _why, "status": _why},
)
