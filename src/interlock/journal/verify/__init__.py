"""Whether a store still holds what was written: the logical half of `interlock doctor`.

What it does: walks every stream, the feed, the artifacts, the index and the views of an opened store through its
ports, and names everything that is not what the events say. What it does not do: it mends and writes nothing, and
it knows no file; whether the pages of a database are sound is for its adapter to say.

Rules: damage is never raised, it becomes a finding that names one thing; what rests on a damaged event is not
judged, so that one damage is one finding; memory is bounded and cost grows with what the store holds; a store
that is in use may be examined: what writers move meanwhile is looked at again, and then left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.base.part import View
from interlock.journal.journal import Fold, Journal
from interlock.journal.verify.artifacts import NamedArtifacts, check_artifacts, named_artifacts
from interlock.journal.verify.feed import check_feed
from interlock.journal.verify.folds import check_folds
from interlock.journal.verify.index import check_index
from interlock.journal.verify.report import Examination, Examined, Finding, Progress, Report
from interlock.journal.verify.streams import check_streams
from interlock.journal.verify.subscriptions import check_subscriptions
from interlock.journal.verify.views import check_view
from interlock.journal.views import table_of

__all__ = ["Finding", "Progress", "Report", "named_artifacts", "verify", "verify_events"]


async def verify(
    journal: Journal,
    folds: Sequence[Fold[Any]] = (),
    views: Sequence[View] = (),
    progress: Progress | None = None,
) -> Report:
    """Examine the whole store of `journal`.

    `folds` are those whose snapshots are compared with full folds, `views` those whose tables are compared with
    a rebuild. `progress` is called after every page. Raises only what is no damage, such as `store_closed`.
    """
    examination = Examination(journal, progress)
    reading = examination.reading
    ends = await _check_events(examination)
    await reading("artifacts", check_artifacts(examination))
    for partition in ends:
        await reading(partition, check_index(examination, partition))
        await reading(partition, check_folds(examination, partition, folds))
        await reading(partition, check_subscriptions(examination, partition))
        for view in views:
            await reading(f"{partition}/{table_of(view)}", check_view(examination, partition, view))
    return examination.report()


async def verify_events(examined: Examined, progress: Progress | None = None) -> Report:
    """Examine streams and feed alone, as bytes: nothing is decoded, and what is derived or named is not judged.

    An event of a type that no part explains is sound if its bytes are. Raises only what is no damage.
    """
    examination = Examination(examined, progress, decodes=False)
    await _check_events(examination)
    return examination.report()


async def _check_events(examination: Examination) -> dict[str, int]:
    """Examine streams, feed, and whether what events name is there; return the ends of the partitions."""
    reading = examination.reading
    ends = await reading("store", examination.ends()) or {}
    artifacts = NamedArtifacts(examination)
    for partition, end in ends.items():
        in_streams = await reading(partition, check_streams(examination, partition, end, artifacts))
        if in_streams is not None:
            await reading(partition, check_feed(examination, partition, end, in_streams))
    return ends
