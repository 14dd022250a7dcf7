"""The verb `run graph`: a run, or a plan without one, as text tree, Mermaid or SVG.

What it does: fetches the outline and the steps, and has them drawn. What it does not do: it changes nothing, and
decides nothing about a run.

Rule: naming a plan imports its module, which runs its code, so only the user of this machine may (docs/threats.md, T3).
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from interlock.base.clock import rfc3339
from interlock.base.errors import Category, ErrorCode
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.engine.document.plans import is_document
from interlock.engine.graph.mermaid import mermaid_text
from interlock.engine.graph.model import Graph, plan_graph, run_graph
from interlock.engine.graph.shape import STATES_DRAWN_MAX, fitted
from interlock.engine.graph.svg import svg_text
from interlock.engine.graph.tree import tree_text
from interlock.engine.plan import PlanOutline
from interlock.engine.runs import Runs
from interlock.journal.journal import Journal

Format = Literal["tree", "mermaid", "svg"]

GRAPH_SUBJECT_UNCLEAR = ErrorCode(
    "graph_subject_unclear", Category.INVALID, "Name a run, or give --plan MODULE:PLAN, not both."
)
GRAPH_PLAN_REFUSED = ErrorCode(
    "graph_plan_refused", Category.REFUSED, "Name a run instead, or draw the plan where its code is."
)
ERRORS = (GRAPH_SUBJECT_UNCLEAR, GRAPH_PLAN_REFUSED)


class GraphInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to draw, and how."""

    run: Annotated[str | None, Meta(description="The run's id, a UUID; or a plan document.")] = None
    plan: Annotated[str | None, Meta(description="A plan instead of a run: MODULE:PLAN, file.py:PLAN, a document.")] = (
        None
    )
    format: Annotated[Format, Meta(description="A tree of text, Mermaid for Markdown, or SVG.")] = "tree"
    full: Annotated[bool, Meta(description=f"Draw parallel siblings one by one, up to {STATES_DRAWN_MAX} states.")] = (
        False
    )


class Drawing(Struct, frozen=True):
    """The drawing, in the form that was asked for."""

    format: Format
    text: str


async def _graph(ctx: CallContext, given: GraphInput) -> Drawing:
    run, plan = _subject(given)
    if run is not None and plan is None:
        graph = await _of_run(ctx, run)
    elif plan is not None and run is None:
        graph = _of_plan(ctx, plan)
    else:
        raise GRAPH_SUBJECT_UNCLEAR.error("choose exactly one of a run and a plan")
    return Drawing(given.format, drawn(graph, given.format, full=given.full))


def drawn(graph: Graph, form: Format, *, full: bool = False) -> str:
    """The graph as text of a form; `full` keeps parallel siblings apart where the bounds allow it."""
    match form:
        case "tree":
            return tree_text(fitted(graph, full=full))
        case "mermaid":
            return mermaid_text(fitted(graph, full=full))
        case "svg":  # siblings stay together, in a frame: one arrow for each would hide what they point at
            return svg_text(fitted(graph), open_groups=full and len(graph.nodes) <= STATES_DRAWN_MAX)


async def _of_run(ctx: CallContext, run_id: str) -> Graph:
    read = ctx.services.get(Runs).read
    report = await read.report(run_id, tenant=ctx.principal.tenant)
    outline = await read.outline(run_id, tenant=ctx.principal.tenant)
    until_ms = None if report.waiting is None else report.waiting.until_ms
    return run_graph(
        report.op_id,
        f"run {run_id}",
        report.phase,
        outline,
        report.steps,
        waiting=report.waiting,
        until="" if until_ms is None else rfc3339(until_ms),
        now_ms=ctx.services.get(Journal).now_ms(),
    )


def _subject(given: GraphInput) -> tuple[str | None, str | None]:
    """The run and the plan that are named: a document may stand where a run does."""
    if given.run is not None and given.plan is None and is_document(given.run):
        return None, given.run
    return given.run, given.plan


def _of_plan(ctx: CallContext, source: str) -> Graph:
    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise GRAPH_PLAN_REFUSED.error("only the user of this machine may have a plan's code imported")
    plan = ctx.services.get(Runs).plans.load(source)
    outline = msgspec.json.decode(plan.outline, type=PlanOutline)
    return plan_graph(plan.op_id, f"plan, version {plan.version}", outline)


def _reads_store(given: GraphInput) -> bool:
    run, plan = _subject(given)
    return run is not None and plan is None


COMMANDS = (
    Command(
        "run",
        "graph",
        GraphInput,
        Drawing,
        _graph,
        "Draw a run with the states of its steps, or a plan without one.",
        "interlock run graph 01890a5d-ac96-774b-bcce-b302099a8057 --format svg > run.svg",
        "run.read",
        Effect.READS,
        positional=("run",),
        reads_store=_reads_store,
    ),
)
