"""`interlock doctor`: examine a store that nobody trusts yet.

What it does: asks the store's file for its physical soundness and `journal.verify` for the logical one, and joins what
both name. What it does not do: it mends nothing, writes nothing and leaves nothing behind; a damage never stops it.

Rule: the store is opened read-only; one that cannot be opened at all is itself the finding.
"""

from __future__ import annotations

from pathlib import Path

from interlock.base.clock import SystemClock, SystemEntropy
from interlock.base.errors import Corruption
from interlock.engine.fold import RUN_FOLD
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.runner import fold_of
from interlock.journal.verify import Finding, Progress, Report, verify
from interlock.stores.sqlite import check_integrity, open_sqlite


async def examine(path: Path, progress: Progress | None = None) -> Report:
    """Examine the store at `path`; `progress` hears what is looked at.

    Raises: `store_not_found`, `store_foreign`, `store_from_future`, `store_busy`; `store_unwritable` for a log that
    cannot be read without writing beside it; damage is never raised.
    """
    from interlock.parts import installed_parts

    parts = installed_parts()
    findings = [Finding(f.check, f.place, f.message) for f in await check_integrity(path)]
    try:
        store = await open_sqlite(path, read_only=True)
    except Corruption as fault:
        findings.append(Finding("store", path.name, fault.message))
        return Report(findings, {}, complete=False)
    try:
        catalogue = EventCatalogue(kind for part in parts for kind in part.events)
        journal = Journal(store, catalogue, SystemClock(), SystemEntropy())
        deciders = [decider for part in parts for decider in part.deciders]
        # A decider that only reads snapshots shares the fold of those who write them.
        folds = [fold_of(decider) for decider in deciders if decider.snapshots and decider.snapshots.save]
        report = await verify(journal, [RUN_FOLD, *folds], [view for part in parts for view in part.views], progress)
    finally:
        await store.close()
    return Report([*findings, *report.findings], report.counts, report.complete)
