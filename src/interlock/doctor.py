"""`interlock doctor`: examine a store that nobody trusts yet.

What it does: asks the store's file for its physical soundness and `journal.verify` for the logical one, compares the
activations with the runs, and joins what all name. What it does not do: it mends nothing, writes nothing and leaves
nothing behind; a damage never stops it.

Rule: the store is opened read-only; one that cannot be opened at all is itself the finding.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from interlock.base.clock import SystemClock, SystemEntropy
from interlock.base.errors import Corruption, InterlockError
from interlock.engine.events import RUN
from interlock.engine.fold import RUN_FOLD
from interlock.engine.reports.records import waiting_of
from interlock.engine.run_state import RunState
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.ports import EMPTY, Store
from interlock.journal.runner import fold_of
from interlock.journal.store_name import StoreName, is_url, shown_store
from interlock.journal.streams import parse_stream, tenant_of
from interlock.journal.verify import Finding, Progress, Report, verify
from interlock.stores.activation import Activation


class StoredActivations(Protocol):
    """The activations of a store as they are stored, whoever holds them."""

    async def stored(self, stream: str) -> Activation | None:
        """The activation of a stream."""
        ...

    async def scan(self, after: str, limit: int) -> list[Activation]:
        """Activations of streams after `after`, in order."""
        ...


class ExaminedStore(Store, Protocol):
    """A store that shows its activations to who examines it."""

    @property
    def stored_activations(self) -> StoredActivations:
        """The activations as they are stored."""
        ...


PAGE = 1_000
"""Streams or activations that are read at once."""

LOOKS_MAX = 3
"""How often a run is looked at that moves meanwhile; then it is left out."""


async def examine(name: StoreName, progress: Progress | None = None) -> Report:
    """Examine the store at `name`; `progress` hears what is looked at.

    Raises: `store_not_found`, `store_foreign`, `store_from_future`, `store_busy`; `store_unwritable` for a log that
    cannot be read without writing beside it; damage is never raised.
    """
    from interlock.parts import installed_parts

    parts = installed_parts()
    findings, place = await _physical(name)
    try:
        store = await _opened(name)
    except Corruption as fault:
        if fault.message not in [each.message for each in findings]:
            findings.append(Finding("store", place, fault.message))
        return Report(findings, {}, complete=False)
    try:
        catalogue = EventCatalogue(kind for part in parts for kind in part.events)
        journal = Journal(store, catalogue, SystemClock(), SystemEntropy())
        deciders = [decider for part in parts for decider in part.deciders]
        # A decider that only reads snapshots shares the fold of those who write them.
        folds = [fold_of(decider) for decider in deciders if decider.snapshots and decider.snapshots.save]
        report = await verify(journal, [RUN_FOLD, *folds], [view for part in parts for view in part.views], progress)
        findings += await _activations(store, journal)
    finally:
        await store.close()
    return Report([*findings, *report.findings], report.counts, report.complete)


async def _physical(name: StoreName) -> tuple[list[Finding], str]:
    """What is wrong with a store below what its events mean, and what it is called in findings."""
    if is_url(name):
        from interlock.stores.postgres import check_database

        return [Finding(*each) for each in await check_database(str(name))], shown_store(name)
    from interlock.stores.sqlite import check_integrity

    path = Path(name)
    return [Finding(f.check, f.place, f.message) for f in await check_integrity(path)], path.name


async def _opened(name: StoreName) -> ExaminedStore:
    if is_url(name):
        from interlock.stores.postgres import open_postgres

        return await open_postgres(str(name), read_only=True)
    from interlock.stores.sqlite import open_sqlite

    return await open_sqlite(Path(name), read_only=True)


async def _activations(store: ExaminedStore, journal: Journal) -> list[Finding]:
    """Where an activation is not what its run calls for: a run that nobody will drive, or none that is to be driven.

    What is damaged otherwise is not judged: it has been named.
    """
    findings = []
    try:
        async for stream, partition in _runs(store):
            findings += await _of_run(store, journal, stream, partition)
        after = ""
        while page := await store.stored_activations.scan(after, PAGE):
            for each in page:
                heads = await store.events.heads([each.stream, f"{each.stream}/inbox"])
                if each.kind == RUN and heads == [EMPTY, EMPTY]:
                    findings.append(_wrong(each.stream, "it is that of a run of which there is no event"))
            after = page[-1].stream
    except Corruption as fault:
        findings.append(Finding(fault.code, "activation", fault.message))
    return findings


async def _runs(store: Store) -> AsyncIterator[tuple[str, str]]:
    """Every run's stream and partition."""
    for partition in await store.events.partitions():
        after = ""
        while page := await store.events.streams(partition, after, PAGE):
            for stream, _ in page:
                with suppress(InterlockError):
                    name = parse_stream(stream)
                    if name.kind == RUN and not name.inbox:
                        yield stream, partition
            after = page[-1][0]


async def _of_run(store: ExaminedStore, journal: Journal, stream: str, partition: str) -> list[Finding]:
    """What is wrong with a run's activation, if that is so at one moment: in a store in use, both move."""
    for _ in range(LOOKS_MAX):
        heads = await store.events.heads([stream, f"{stream}/inbox"])
        try:
            state = (await journal.load(RUN_FOLD, stream)).state
        except Corruption:
            return []
        activation = await store.stored_activations.stored(stream)
        wrong = _mismatch(state, activation, partition, untaken=heads[1].seq > state.inbox_seq)
        if wrong is None:
            return []
        again = await store.events.heads([stream, f"{stream}/inbox"])
        if (again, await store.stored_activations.stored(stream)) == (heads, activation):
            return [_wrong(stream, wrong)]
    return []


def _mismatch(state: RunState, activation: Activation | None, partition: str, *, untaken: bool) -> str | None:
    """Why an activation does not fit the run as its events tell it; `untaken` if its inbox holds something."""
    if state.status is not None:
        idle = activation is None or activation.owner is not None or activation.due_ms is None
        return None if idle or untaken else "the run has ended, and it still asks for an owner"
    if activation is None:
        return "it is missing: nobody would be asked to drive the run"
    if (activation.partition, activation.kind) != (partition, RUN):
        return "it stands under another partition or kind, where nobody looks for the run"
    if activation.epoch < state.epoch:
        return f"it counts {activation.epoch} claims, and the run had {state.epoch} owners"
    waiting = waiting_of(state, None)
    can_go_on = untaken or (waiting is not None and waiting.kind in ("queued", "backoff"))
    return "the run can go on, and it asks for no owner" if can_go_on and activation.open_ms is None else None


def _wrong(stream: str, message: str) -> Finding:
    return Finding("activation_wrong", f"{tenant_of(stream)}/activation/{stream}", message)
