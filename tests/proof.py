"""What holds in every store when a test has ended, whatever the test was about.

What it does: `prove` examines the content of a store with the product's own verification and with the checks of
`CHECKS`. What it does not do: it writes nothing, and it does not know how a test came to its store; `witness` does.

Rules: a check gives one sentence for each thing that is wrong, and nothing for a sound store; it may look into the
adapters, because it asks for more than the ports tell. To prove something more after every test (leases, timers,
entries of an inbox), write one more check and list it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw

from interlock.base.clock import SeededEntropy, SystemClock
from interlock.base.errors import InterlockError
from interlock.base.merkle_node import ArtifactRef, Inner, read_node, value_of
from interlock.base.part import View
from interlock.engine.events import RunStarted
from interlock.engine.flow.limits import FLOW
from interlock.engine.fold import RUN_FOLD
from interlock.engine.reports.records import waiting_of
from interlock.engine.run_state import RunState
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.leases.events import lease_stream
from interlock.journal.leases.fold import LEASE_FOLD
from interlock.journal.ports import Store
from interlock.journal.streams import parse_stream, tenant_of
from interlock.journal.verify import named_artifacts, verify
from interlock.stores.activation import Activation
from interlock.stores.memory import MemoryStore
from interlock.stores.memory.data import MemoryData
from interlock.stores.postgres import open_postgres
from interlock.stores.postgres.address import Address
from interlock.stores.sqlite import open_sqlite

Content = MemoryData | Path | Address
"""What outlives an opened store: the content in memory, the file, or the schema of a database."""

_PAGE = 1000


@dataclass(frozen=True)
class Proof:
    """A content, opened by somebody who only looks. `calm` means that no owner on it died."""

    journal: Journal
    views: Sequence[View]
    activations: Mapping[str, Activation]
    calm: bool = True

    @property
    def store(self) -> Store:
        """The opened store."""
        return self.journal.store

    async def streams(self) -> AsyncIterator[str]:
        """Every stream, in order."""
        for partition in await self.store.events.partitions():
            after = ""
            while page := await self.store.events.streams(partition, after, _PAGE):
                for stream, _ in page:
                    yield stream
                after = page[-1][0]

    async def runs(self) -> AsyncIterator[RunState]:
        """Every run as its events tell it; none where the journal knows no runs."""
        if self.journal.catalogue.current_type(RunStarted) is None:
            return
        async for stream in self.streams():
            name = parse_stream(stream)
            if name.kind == "run" and not name.inbox:
                yield (await self.journal.load(RUN_FOLD, stream)).state


Check = Callable[[Proof], AsyncIterator[str]]


async def sound(proof: Proof) -> AsyncIterator[str]:
    """Chains, feed, index, fold snapshots, artifacts and views are what the events make of them."""
    report = await verify(proof.journal, [RUN_FOLD], proof.views)
    for finding in report.findings:
        yield f"{finding.kind} at {finding.place}: {finding.message}"


async def nothing_held(proof: Proof) -> AsyncIterator[str]:
    """Nobody holds a claim any more: what was taken was given back, or ended with its owner."""
    for stream in proof.activations:
        holder = await proof.store.activations.holder(stream, 0)
        if holder is not None:
            yield f"{stream} is still held by {holder.owner}"


async def runs_wanted(proof: Proof) -> AsyncIterator[str]:
    """A run that has ended wants no owner; one that can go on will find one."""
    async for run in proof.runs():
        activation = proof.activations.get(run.stream)
        wanted = activation is not None and activation.open_ms is not None
        if run.status is not None and wanted:
            yield f"{run.stream} has ended and still wants an owner"
        waiting = waiting_of(run, None)
        if waiting is not None and waiting.kind == "queued" and await _wakes(proof, run):
            continue
        if waiting is not None and waiting.kind in ("queued", "backoff") and not wanted:
            yield f"{run.stream} can go on and nobody will ever be asked to drive it"


async def _wakes(proof: Proof, run: RunState) -> bool:
    """Whether a unit that a run waits for will wake it: its request waits in the lease."""
    for each in run.queued:
        lease = (await proof.journal.load(LEASE_FOLD, lease_stream(tenant_of(run.stream), each.lease))).state
        request = lease.queue.get(each.request_id)
        if request is not None and request.wake == run.stream:
            return True
    return False


async def no_lease_held(proof: Proof) -> AsyncIterator[str]:
    """No unit of a flow is held by a run that has ended or is idle, and none is waited for by one that has ended."""
    async for stream in proof.streams():
        name = parse_stream(stream)
        if name.kind != "lease" or not name.id.startswith(FLOW):
            continue
        lease = (await proof.journal.load(LEASE_FOLD, stream)).state
        for holder in lease.holders.values():
            run = (await proof.journal.load(RUN_FOLD, holder.holder)).state
            activation = proof.activations.get(holder.holder)
            if run.status is not None or activation is None or activation.open_ms is None:
                yield f"{holder.holder} holds a unit of {name.id} and has ended or is idle"
        for request in lease.queue.values():
            if (await proof.journal.load(RUN_FOLD, request.holder)).state.status is not None:
                yield f"{request.holder} has ended and still waits for a unit of {name.id}"


async def timers_owned(proof: Proof) -> AsyncIterator[str]:
    """A run that has ended has no timer left, and one that waits until a time has the timer that ends the wait."""
    async for run in proof.runs():
        dues = {wait.token for waits in run.waits.values() for wait in waits.values() if wait.due_ms is not None}
        partition = tenant_of(run.stream)
        found = {
            timer.timer_id
            for timer in await proof.store.timers.scan(partition, "", _PAGE)
            if timer.stream == run.stream
        }
        if run.status is not None and found:
            yield f"{run.stream} has ended and still has a timer"
        for token in dues - found:
            untaken = await proof.store.events.heads([f"{run.stream}/inbox"])
            if run.status is None and untaken[0].seq <= run.inbox_seq:
                yield f"{run.stream} waits for the timer {token}, which is not set"


async def inbox_taken(proof: Proof) -> AsyncIterator[str]:
    """What reached the inbox of a run that goes on was taken, or will be: the run is due."""
    async for run in proof.runs():
        [head] = await proof.store.events.heads([f"{run.stream}/inbox"])
        activation = proof.activations.get(run.stream)
        due = activation is not None and activation.open_ms is not None
        if run.status is None and head.seq > run.inbox_seq and not due:
            yield f"{run.stream} has something in its inbox, and nobody will be asked to take it"


async def no_orphan(proof: Proof) -> AsyncIterator[str]:
    """Every artifact is named by an event, or by a context that an event names."""
    if not proof.calm:
        return  # what a dying owner had put before the event that would have named it harms nobody
    named: set[str] = set()
    async for stream in proof.streams():
        async for page in proof.journal.read(stream):
            for event in page:
                for member, artifact in () if event.record is None else named_artifacts(event.record):
                    await _reach(
                        proof.store, artifact, named, "" if member.endswith(("snapshot_id", "view_id")) else None
                    )
    after = ""
    while ids := await proof.store.artifacts.scan(after, _PAGE):
        for artifact in ids:
            if artifact not in named:
                yield f"artifact {artifact} is named by no event"
        after = ids[-1]


async def _reach(store: Store, artifact: str, named: set[str], path: str | None) -> None:
    """Add an artifact; with a `path`, it is a node of a context there, and so are those below it."""
    if artifact in named:
        return
    named.add(artifact)
    if path is None:
        return
    [content] = await store.artifacts.get([artifact])
    node = read_node(artifact, content, path)
    if isinstance(node, Inner):
        for digit, child in enumerate(node.children):
            if isinstance(child, str):
                await _reach(store, child, named, path + f"{digit:x}")
    else:
        for key, member in node.entries.items():
            value = value_of(key, member)
            if isinstance(value, ArtifactRef):
                await _reach(store, value.id, named, None)


CHECKS: tuple[Check, ...] = (sound, nothing_held, runs_wanted, no_lease_held, timers_owned, inbox_taken, no_orphan)
"""What is proved after every test; a later check goes in here."""


async def prove(
    content: Content, catalogue: EventCatalogue, views: Sequence[View], checks: Sequence[Check], *, calm: bool = True
) -> list[str]:
    """What is wrong with a content: nothing, if every check holds. What no check can read is wrong, too."""
    try:
        store, activations = await _opened(content)
    except InterlockError as fault:
        return [str(fault)]
    wrong: list[str] = []
    try:
        journal = Journal(store, catalogue, SystemClock(), SeededEntropy(0))
        proof = Proof(journal, views, activations, calm)
        for check in checks:
            wrong += [each async for each in check(proof)]
    except InterlockError as fault:
        wrong.append(str(fault))
    finally:
        await store.close()
    return wrong


async def _opened(content: Content) -> tuple[Store, dict[str, Activation]]:
    """An opened store on the content, and all its activations."""
    if isinstance(content, MemoryData):
        return MemoryStore(SeededEntropy(0), owner="proof", content=content), dict(content.agenda._activations)
    if isinstance(content, Address):
        database = await open_postgres(content, read_only=True)
        scanned = await database.stored_activations.scan("", 1_000_000)
        return database, {each.stream: each for each in scanned}
    store = await open_sqlite(content, read_only=True)
    connection = apsw.Connection(str(content), flags=apsw.SQLITE_OPEN_READONLY)
    found: list[Any] = connection.execute(
        "SELECT stream, partition, kind, due_ms, epoch, owner, expires_ms FROM activation"
    ).fetchall()
    activations = {row[0]: Activation(*row) for row in found}
    connection.close()
    return store, activations
