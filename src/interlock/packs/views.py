"""Views of a run for people, derived from its events alone: report, drawings, timeline.

What it does: makes the bytes of each view, the same for the same events. What it does not do: it reads no clock, no
claim and no setting; who drives the run now is not in its pack.

Rule: any change of these bytes is another `VIEWS_VERSION`: an older pack keeps its views, and `verify` says that it
cannot make them anew.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.canonical import canonical
from interlock.base.clock import rfc3339
from interlock.base.ids import step_name
from interlock.engine.config import RunManifest
from interlock.engine.graph.commands import drawn
from interlock.engine.graph.model import run_graph
from interlock.engine.plan import PlanOutline
from interlock.engine.reports.details import (
    ChildReport,
    EarlyReport,
    EffectReport,
    OrderReport,
    Totals,
    WaitReport,
    children_of,
    early_of,
    in_doubt,
    orders_of,
    totals_of,
    waits_of,
)
from interlock.engine.reports.reader import passed_over
from interlock.engine.reports.records import RUNNING, StepReport, Waiting, steps_of, waiting_of
from interlock.engine.run_state import RunState
from interlock.journal.chain import Recorded
from interlock.packs.manifest import VIEWS

CONTRACT = "contract.jsonl"
TIMELINE = "timeline.jsonl"


class RunView(Struct, frozen=True):
    """A run as its pack has it; what it waits for is what it waited for when it was exported."""

    children: list[ChildReport]
    deadline_ms: int | None
    early: list[EarlyReport]
    events: int
    facts: int
    final_snapshot_id: str | None
    forked_from: str | None
    from_step: str | None
    in_doubt: list[EffectReport]
    input: Any
    manifest_id: str
    op_id: str
    orders: list[OrderReport]
    parent_run_id: str | None
    phase: str
    plan_fingerprint: str
    plan_source: str | None
    plan_version: str
    run_id: str
    skips_tags: tuple[str, ...]
    started_ms: int
    steps: list[StepReport]
    totals: Totals
    updated_ms: int
    waiting: Waiting | None
    waits: list[WaitReport]


def view_member(run_id: str, view: str) -> str:
    """The member that holds a view of a run."""
    return f"{VIEWS}/{run_id}/{view}"


def views_of(run_id: str, state: RunState, manifest: RunManifest, outline: PlanOutline) -> dict[str, bytes]:
    """The views that are made of the folded run, by the name of the file."""
    waiting = waiting_of(state, None)
    skips = manifest.run_config.skip_tags
    steps = steps_of(state, outline.order(), passed_over(outline, skips))
    phase = RUNNING if state.status is None else state.status.value
    until_ms = None if waiting is None else waiting.until_ms
    graph = run_graph(
        state.op_id,
        f"run {run_id}",
        phase,
        outline,
        steps,
        waiting=waiting,
        until="" if until_ms is None else rfc3339(until_ms),
        now_ms=state.at_ms,
    )
    view = RunView(
        children=children_of(state),
        deadline_ms=state.deadline_ms,
        early=early_of(state),
        events=state.seq,
        facts=len(state.facts),
        final_snapshot_id=state.final_snapshot_id if state.status is not None else state.checkpoint or None,
        forked_from=None if state.fork is None else state.fork.run_id,
        from_step=None if state.fork is None else step_name(state.fork.from_state),
        in_doubt=in_doubt(state),
        input=manifest.input_params,
        manifest_id=state.manifest_id,
        op_id=state.op_id,
        orders=orders_of(state),
        parent_run_id=None if state.parent is None else state.parent.run_id,
        phase=phase,
        plan_fingerprint=state.fingerprint,
        plan_source=state.plan_source,
        plan_version=state.plan_version,
        run_id=run_id,
        skips_tags=tuple(skips),
        started_ms=state.started_ms,
        steps=steps,
        totals=totals_of(state),
        updated_ms=state.at_ms,
        waiting=waiting,
        waits=waits_of(run_id, state),
    )
    return {
        "graph.mmd": drawn(graph, "mermaid").encode(),
        "graph.svg": drawn(graph, "svg").encode(),
        "report.json": canonical(msgspec.to_builtins(view)) + b"\n",
    }


def timeline_line(event: Recorded) -> bytes:
    """One event as a line of the timeline."""
    record = event.record
    line = {
        "actor": event.envelope.actor,
        "at": rfc3339(event.envelope.at_ms),
        "erased": record is None,
        "key": getattr(record, "key", None) or getattr(record, "fact_key", None),
        "seq": event.envelope.seq,
        "state_id": getattr(record, "state_id", None),
        "type": event.envelope.type,
    }
    return canonical({name: value for name, value in line.items() if value not in (None, False)}) + b"\n"
