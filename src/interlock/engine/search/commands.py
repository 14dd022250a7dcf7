"""The verbs that find runs, and those about saved filters.

What it does: records of input and output, and thin handlers. What it does not do: no rule of searching (`pages`), no
presentation.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.canonical import canonical
from interlock.base.ids import shown
from interlock.base.part import CallContext, Command, Effect
from interlock.base.secret_scan import refuse_secrets
from interlock.engine.search.errors import FILTER_NOT_FOUND
from interlock.engine.search.filters import (
    FILTERS_KEPT,
    FilterRow,
    RemoveFilter,
    SaveFilter,
    filter_stream,
)
from interlock.engine.search.pages import Search
from interlock.engine.search.where import Where, check, combined, where_of
from interlock.engine.views import BACKOFF, PARKED, RunRow
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner
from interlock.journal.views import Views

NameArgument = Annotated[str, Meta(description="The filter's name: a-z, 0-9, - and _.")]


class ListInput(Where, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which runs to list, newest first."""

    filter: Annotated[str | None, Meta(description="A saved filter; what else is given narrows it.")] = None
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class ListedRun(Struct, frozen=True):
    """A run in a list. `error_code` is that of a run that failed, or of a step that waits because it failed."""

    run_id: str
    op_id: str
    state: str
    started_ms: int
    ended_ms: int | None
    error_code: str | None
    parent_run_id: str | None
    attributes: dict[str, Any]
    manifest_id: str


class RunList(Struct, frozen=True):
    """A page of runs; `examined` counts the runs whose input or output was looked into."""

    items: list[ListedRun]
    next: str | None
    examined: int | None = None


class SaveInput(Where, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to keep, and under which name."""

    name: NameArgument


class NamedFilter(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which filter."""

    name: NameArgument


class FilterKept(Struct, frozen=True):
    """A filter as it is from now on; `changed` is False where it was so already."""

    name: str
    where: Where
    changed: bool


class FilterGone(Struct, frozen=True):
    """A filter that is no more."""

    name: str


class FiltersInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which page of the filters."""

    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class FilterList(Struct, frozen=True):
    """A page of saved filters, newest first."""

    items: list[FilterRow]
    next: str | None


def search_of(ctx: CallContext) -> Search:
    """The search of the application."""
    return Search(ctx.services.get(Journal), ctx.services.get(Views))


def listed(row: RunRow) -> ListedRun:
    """A row of the list as people and programs see it."""
    code = row.error_code if row.ended_ms is not None or row.state in (BACKOFF, PARKED) else None
    return ListedRun(
        row.run_id,
        row.op_id,
        row.state,
        row.started_ms,
        row.ended_ms,
        code,
        row.parent_run_id,
        row.attributes,
        row.manifest_id,
    )


async def filter_of(ctx: CallContext, given: Where, name: str | None) -> Where:
    """The filter that is meant: what is given, narrowing a saved one. Raises: `filter_not_found`."""
    where = where_of(given)
    if name is None:
        return where
    tenant = ctx.principal.tenant
    filter_stream(tenant, name)
    row: FilterRow | None = await ctx.services.get(Views).row(tenant, "filters", name)
    if row is None:
        raise FILTER_NOT_FOUND.error(f"no filter is called {shown(name)}")
    return combined(row.where, where)


async def _list(ctx: CallContext, given: ListInput) -> RunList:
    where = await filter_of(ctx, given, given.filter)
    page = await search_of(ctx).page(ctx.principal.tenant, where, given.cursor, given.limit)
    return RunList([listed(row) for row in page.rows], page.next, page.examined)


async def _save(ctx: CallContext, given: SaveInput) -> FilterKept:
    where = where_of(given)
    check(where, ctx.services.get(Journal).now_ms())
    refuse_secrets(canonical(msgspec.to_builtins(where)), "filter")
    command = SaveFilter(filter_stream(ctx.principal.tenant, given.name), where)
    changed = await ctx.services.get(Runner).execute(FILTERS_KEPT, command, ctx.principal, ctx.command_id)
    return FilterKept(given.name, where, changed)


async def _remove(ctx: CallContext, given: NamedFilter) -> FilterGone:
    command = RemoveFilter(filter_stream(ctx.principal.tenant, given.name))
    await ctx.services.get(Runner).execute(FILTERS_KEPT, command, ctx.principal, ctx.command_id)
    return FilterGone(given.name)


async def _filters(ctx: CallContext, given: FiltersInput) -> FilterList:
    page = await ctx.services.get(Views).query(ctx.principal.tenant, "filters", {}, given.cursor, given.limit)
    return FilterList(page.items, page.next)


COMMANDS = (
    Command(
        "run",
        "list",
        ListInput,
        RunList,
        _list,
        "List runs, newest first.",
        "interlock run list --state waiting --attribute team=blue --since 2h",
        "run.read",
        Effect.READS,
    ),
    Command(
        "filter",
        "save",
        SaveInput,
        FilterKept,
        _save,
        "Keep a filter under a name, for `run list` and `run batch`.",
        "interlock filter save stuck --state parked --since 7d",
        "filter.save",
        Effect.CHANGES,
        positional=("name",),
    ),
    Command(
        "filter",
        "list",
        FiltersInput,
        FilterList,
        _filters,
        "List the saved filters, newest first.",
        "interlock filter list",
        "run.read",
        Effect.READS,
    ),
    Command(
        "filter",
        "remove",
        NamedFilter,
        FilterGone,
        _remove,
        "Forget a saved filter.",
        "interlock filter remove stuck",
        "filter.save",
        Effect.CHANGES,
        positional=("name",),
    ),
)
