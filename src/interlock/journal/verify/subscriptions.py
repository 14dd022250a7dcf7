"""Whether what subscriptions have written of their progress can be true.

What it does: compares cursors with the feed, and the streams that are held back with their heads and places. What it
does not do: it cannot tell whether what lies before a cursor was delivered; the outside knows that alone.

Rule: the table of a subscription that was overtaken while it was read is left out.
"""

from __future__ import annotations

from interlock.base.errors import Corruption
from interlock.journal.ports import EMPTY
from interlock.journal.subscriptions.progress import CURSOR, Lane, Progress, read_progress, tables_of
from interlock.journal.verify.report import Examination, Finding
from interlock.journal.verify.tables import Compared, settled


async def check_subscriptions(examination: Examination, partition: str) -> None:
    """Examine the progress of every subscription of a partition."""
    for table in await tables_of(examination.store, partition):
        await _check(examination, partition, table)


async def _check(examination: Examination, partition: str, table: str) -> None:
    store, place = examination.store, f"{partition}/{table}"

    async def mark() -> int:
        return await store.views.position(partition, table)

    async def compare(_revision: int) -> Compared:
        try:
            progress = await read_progress(store, partition, table)
        except Corruption as fault:
            return Compared([Finding(fault.code, place, fault.message)], 0)
        wrong = await _wrong(examination, partition, progress)
        findings = [Finding("subscription_row_wrong", f"{place}/{key}", message) for key, message in wrong.items()]
        return Compared(findings, len(progress.lanes))

    await settled(examination, place, "view_rows", mark, compare)


async def _wrong(examination: Examination, partition: str, progress: Progress) -> dict[str, str]:
    """What cannot be, by the key of the row."""
    if progress.cursor is None:
        return dict.fromkeys(progress.lanes, "it is held back, and there is no cursor")
    wrong: dict[str, str] = {}
    end = await examination.store.events.position(partition)
    position = progress.cursor.position
    if not 0 <= position <= end:
        wrong[CURSOR] = f"it stands at {position}, and the feed ends at {end}"
    for key, lane in progress.lanes.items():
        why = await _why_wrong(examination, key, lane, position)
        if why is not None:
            wrong[key] = why
    return wrong


async def _why_wrong(examination: Examination, key: str, lane: Lane, cursor: int) -> str | None:
    if lane.key != key or not 0 <= lane.after < lane.goal:
        return "the row contradicts itself"
    [head] = await examination.store.events.heads([lane.stream])
    if head == EMPTY or lane.goal > head.seq:
        return f"it is held back up to event {lane.goal}, and the stream ends at {head.seq}"
    [goal] = await examination.store.events.read(lane.stream, lane.goal - 1, 1)
    return None if goal.position <= cursor else "the feed was not read up to what it is held back for"
