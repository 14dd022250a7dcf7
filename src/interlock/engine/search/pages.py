"""Pages of the runs that a filter matches, newest first.

What it does: asks the list of runs by terms, tells runs that a process drives from those that wait for an owner, keeps
to the filter's bounds of time, and looks into input and output where the filter asks for that. What it does not do: it
keeps no index of inputs and outputs.

Rules: a page that looks into runs looks into at most `EXAMINED_MAX` and may hold fewer rows than asked for; its cursor
goes on where it stopped; an input or output that is damaged or gone is an error, not a run that does not match.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.merkle_map import MerkleMap
from interlock.engine.config import read_manifest
from interlock.engine.context import RunContext
from interlock.engine.events import RUN
from interlock.engine.search.errors import BATCH_TOO_LARGE
from interlock.engine.search.where import (
    EXAMINED_MAX,
    Wanted,
    Where,
    bounds_of,
    holds,
    members_at,
    terms_of,
    wanted,
)
from interlock.engine.views import RUNNING, RunRow
from interlock.journal.cursor import listing, write_page
from interlock.journal.journal import Journal
from interlock.journal.streams import stream_id
from interlock.journal.views import Views

LOOKED_AT_MAX = 100_000
"""Runs that collecting every match may go through."""


QUEUED = "queued"
DRIVEN = frozenset({RUNNING, QUEUED})
"""States that differ by whether a process drives the run."""


class Found(Struct, frozen=True):
    """A page: rows, where to go on, and how many runs were looked into (None: none had to be)."""

    rows: list[RunRow]
    next: str | None
    examined: int | None = None


class Search:
    """Finds runs of one journal."""

    def __init__(self, journal: Journal, views: Views) -> None:
        self._journal = journal
        self._views = views

    async def page(self, tenant: str, where: Where, cursor: str | None, limit: int) -> Found:
        """A page of matching runs. Raises: `filter_invalid`, `time_invalid`, `cursor_invalid`, `cursor_foreign`."""
        terms, (since_ms, until_ms) = terms_of(where), bounds_of(where, self._journal.now_ms())
        inputs, outputs = wanted(where.input), wanted(where.output)
        examines = bool(inputs or outputs or where.state in DRIVEN)
        if cursor is None and until_ms is not None:
            cursor = write_page(listing(self._journal.store.id, tenant), (until_ms, ""))
        rows: list[RunRow] = []
        examined = 0
        while True:
            size = min(limit, EXAMINED_MAX - examined) if examines else limit
            page = await self._views.query(tenant, "runs", terms, cursor, size)
            for row in [await self._standing(tenant, each) for each in page.items]:
                if row.started_ms < since_ms:
                    return Found(rows, None, examined if examines else None)
                if not examines:
                    rows.append(row)
                    continue
                examined += 1
                if _stands(row, where) and await self._has(row, inputs, outputs):
                    rows.append(row)
                if len(rows) == limit or examined == EXAMINED_MAX:
                    more = page.next is not None or row.run_id != page.items[-1].run_id
                    return Found(rows, self._after(tenant, row) if more else None, examined)
            if page.next is None or not examines:
                return Found(rows, page.next, examined if examines else None)
            cursor = page.next

    async def every(self, tenant: str, where: Where, most: int) -> list[RunRow]:
        """Every matching run, at most `most` of them. Raises: `batch_too_large`, and as `page`."""
        found: list[RunRow] = []
        cursor: str | None = None
        looked_at = count = 0
        while True:
            page = await self.page(tenant, where, cursor, EXAMINED_MAX)
            count += len(page.rows)
            # Those beyond the limit are only counted.
            found += page.rows[: most + 1 - len(found)]
            looked_at += page.examined or len(page.rows)
            cursor = page.next
            if cursor is not None and looked_at <= LOOKED_AT_MAX:
                continue
            if count > most:
                text = f"{count}{'' if cursor is None else ' or more'} runs match, and one batch acts on at most {most}"
                raise BATCH_TOO_LARGE.error(text, limit=most, found=count)
            if cursor is None:
                return found
            raise BATCH_TOO_LARGE.error(f"more than {LOOKED_AT_MAX} runs would have to be looked into")

    async def _standing(self, tenant: str, row: RunRow) -> RunRow:
        """The row as it stands now: its events do not tell whether a process that drives it still lives."""
        if row.state != RUNNING:
            return row
        stream = stream_id(tenant, RUN, row.run_id)
        holder = await self._journal.store.activations.holder(stream, self._journal.now_ms())
        return row if holder is not None else msgspec.structs.replace(row, state=QUEUED)

    def _after(self, tenant: str, row: RunRow) -> str:
        return write_page(listing(self._journal.store.id, tenant), (row.started_ms, row.run_id))

    async def _has(self, row: RunRow, inputs: list[Wanted], outputs: list[Wanted]) -> bool:
        artifacts = self._journal.store.artifacts
        if inputs:
            [content] = await artifacts.get([row.manifest_id])
            given: Any = read_manifest(row.manifest_id, content).input_params
            if not all(holds(given, path, text) for path, text in inputs):
                return False
        if not outputs:
            return True
        if row.checkpoint is None:
            return False
        context = RunContext(MerkleMap.load(row.checkpoint), artifacts)
        for each in outputs:
            if not await _among(context, each):
                return False
        return True


def _stands(row: RunRow, where: Where) -> bool:
    """Whether a run is driven, or is not, as the filter asks."""
    return where.state not in DRIVEN or row.state == where.state


async def _among(context: RunContext, asked: Wanted) -> bool:
    path, text = asked
    for key, inside in members_at(path):
        content = await context.value(key)
        if content is not None:
            return holds(msgspec.json.decode(content), inside, text)
    return False
