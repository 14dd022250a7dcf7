"""The verbs about batches: one order to all runs that a filter matches.

What it does: records of input and output, and thin handlers. What it does not do: no rule of a batch (`batches`).
"""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta, Struct

from interlock.base import ids
from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.canonical import digest
from interlock.base.part import CallContext, Command, Effect
from interlock.engine.runs import Runs
from interlock.engine.search.batch import BatchAction, BatchRow, BatchState, row_of
from interlock.engine.search.batches import BATCH_RUNS_LIMIT, Batches, Order, Outcome, SearchSettings
from interlock.engine.search.commands import ListedRun, filter_of, listed, search_of
from interlock.engine.search.errors import BATCH_NOT_FOUND
from interlock.engine.search.where import Where, options_of
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner
from interlock.journal.views import Views

SHOWN_MAX = 10
"""Runs that a batch shows before it acts."""

BatchArgument = Annotated[
    str, Meta(min_length=1, max_length=80, pattern=r"\A[A-Za-z0-9_-]+\Z", description="The batch's id.")
]


class BatchInput(Where, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to order, and of which runs; runs that have ended are never meant."""

    action: Annotated[BatchAction, Meta(description="What each run is told.")]
    reason: Annotated[str, Meta(min_length=1, max_length=2000, description="Why; recorded with your name.")]
    expect: Annotated[
        Annotated[int, Meta(ge=0, le=BATCH_RUNS_LIMIT)] | None,
        Meta(
            description="Act, if exactly so many runs match, at most `search.batch_runs_max` of the settings; "
            "without it they are only shown."
        ),
    ] = None
    filter: Annotated[str | None, Meta(description="A saved filter; what else is given narrows it.")] = None
    reset: Annotated[bool, Meta(description="With retry: each step gets its whole budget again.")] = False
    batch_id: Annotated[
        BatchArgument | None, Meta(description="An id of your own; the same order again completes that batch.")
    ] = None


class BatchAnswer(Struct, frozen=True, kw_only=True):
    """What matches, or what was done; `next` is the line that goes on."""

    acted: bool
    action: str
    matches: int
    told: int = 0
    refused: int = 0
    batch_id: str | None = None
    next: str | None = None
    runs: list[ListedRun] = []
    outcomes: list[Outcome] = []


class NamedBatch(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which batch."""

    batch: BatchArgument


class BatchReport(Struct, frozen=True):
    """A batch: who ordered what of which runs, and what came of it."""

    batch: BatchRow
    where: Where
    codes: dict[str, int]
    outcomes: list[Outcome]


class BatchesInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which batches to list, newest first."""

    state: Annotated[Literal["running", "done"] | None, Meta(description="Only batches in this state.")] = None
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class BatchList(Struct, frozen=True):
    """A page of batches."""

    items: list[BatchRow]
    next: str | None


def _batches(ctx: CallContext) -> Batches:
    services = ctx.services
    return Batches(
        services.get(Journal),
        services.get(Runner),
        services.get(Runs),
        search_of(ctx),
        services.get(SearchSettings),
    )


async def _batch(ctx: CallContext, given: BatchInput) -> BatchAnswer:
    where = await filter_of(ctx, given, given.filter)
    batches = _batches(ctx)
    if given.expect is None:
        rows = await batches.matching(ctx.principal.tenant, where)
        return BatchAnswer(
            acted=False,
            action=given.action.value,
            matches=len(rows),
            next=_line(given, where, len(rows)) if rows else None,
            runs=[listed(row) for row in rows[:SHOWN_MAX]],
        )
    batch_id = given.batch_id or _fresh_id(ctx)
    order = Order(given.action, where, given.reason, given.reset)
    state = await batches.act(batch_id, order, given.expect, ctx.principal)
    report = await _report(batches, batch_id, state)
    return BatchAnswer(
        acted=True,
        action=given.action.value,
        matches=report.batch.count,
        told=report.batch.told or 0,
        refused=report.batch.refused or 0,
        batch_id=batch_id,
        next=f"interlock batch show {batch_id}",
        outcomes=report.outcomes,
    )


def _fresh_id(ctx: CallContext) -> str:
    """An id for a batch that was given none: that of its command, if it has one, so that it is the same again."""
    if ctx.command_id is not None:
        return digest(ctx.command_id.encode())[:32]
    return ids.run_id_from_entropy(ctx.services.get(Journal).entropy.random_bytes(16))


def _line(given: BatchInput, where: Where, count: int) -> str:
    """The line that does what was shown."""
    words = ["interlock run batch", given.action.value, options_of(where), "--reset" if given.reset else ""]
    return " ".join(filter(None, [*words, f"--reason {shlex.quote(given.reason)}", f"--expect {count}"]))


async def _report(batches: Batches, batch_id: str, state: BatchState) -> BatchReport:
    row = row_of(batch_id, state)
    if row is None or state.started is None:
        raise BATCH_NOT_FOUND.error("there is no such batch", batch_id=ids.shown(batch_id))
    outcomes = await batches.outcomes(state)
    codes = Counter(outcome.outcome for outcome in outcomes if outcome.outcome)
    return BatchReport(row, state.started.where, dict(codes), outcomes)


async def _show(ctx: CallContext, given: NamedBatch) -> BatchReport:
    batches = _batches(ctx)
    return await _report(batches, given.batch, await batches.state(ctx.principal.tenant, given.batch))


async def _resume(ctx: CallContext, given: NamedBatch) -> BatchReport:
    batches = _batches(ctx)
    return await _report(batches, given.batch, await batches.complete(given.batch, ctx.principal))


async def _list(ctx: CallContext, given: BatchesInput) -> BatchList:
    terms = {} if given.state is None else {"state": given.state}
    page = await ctx.services.get(Views).query(ctx.principal.tenant, "batches", terms, given.cursor, given.limit)
    return BatchList(page.items, page.next)


_BATCH = "7f1c2b5e-9c4d-4e2a-8f6b-7d1c2e3f4a5b"
COMMANDS = (
    Command(
        "run",
        "batch",
        BatchInput,
        BatchAnswer,
        _batch,
        "Cancel, pause, unpause or retry all runs that match: first look, then act on as many as you saw.",
        "interlock run batch cancel --op ship --attribute team=blue --reason 'wrong input' --expect 3",
        "run.batch",
        Effect.CHANGES,
        positional=("action",),
    ),
    Command(
        "batch",
        "show",
        NamedBatch,
        BatchReport,
        _show,
        "Show a batch: who ordered what of which runs, and what came of it.",
        f"interlock batch show {_BATCH}",
        "run.read",
        Effect.READS,
        positional=("batch",),
    ),
    Command(
        "batch",
        "list",
        BatchesInput,
        BatchList,
        _list,
        "List the batches, newest first.",
        "interlock batch list --state running",
        "run.read",
        Effect.READS,
    ),
    Command(
        "batch",
        "resume",
        NamedBatch,
        BatchReport,
        _resume,
        "Complete a batch that was interrupted.",
        f"interlock batch resume {_BATCH}",
        "run.batch",
        Effect.CHANGES,
        positional=("batch",),
    ),
)
