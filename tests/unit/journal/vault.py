"""A store with one of everything, for tests that damage it: streams, artifacts, a map, index, folds and views.

It asserts nothing but that the store is sound before it is damaged.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.base.canonical import digest
from interlock.base.merkle_map import MerkleMap
from interlock.journal.chain import Authorship
from interlock.journal.journal import Journal, StreamWriter
from interlock.journal.ports import Blob, StoredEvent
from interlock.journal.verify import Finding, Report, verify
from interlock.journal.views import Views
from interlock.stores.memory import MemoryStore
from tests.unit.journal.bank import (
    ACCOUNT_FOLD,
    ADA,
    BALANCES,
    DEPOSIT,
    NOW_MS,
    RENAME,
    TRANSFER,
    Deposit,
    Deposited,
    Filed,
    Noted,
    Page,
    Rename,
    Transfer,
    account,
    open_journal,
    open_runner,
    write,
)

A, B, C = account("a"), account("b"), account("c")
DOCUMENT, SCAN, LOOSE = (Blob(digest(text), "file", text) for text in (b"contract", b"scan", b"loose"))
LARGE_VALUE = b'"' + b"x" * 5_000 + b'"'
MAP, MAP_BLOBS = MerkleMap.empty().update({f"key {n}": b"%d" % n for n in range(200)} | {"large": LARGE_VALUE})
NODES = [identity for identity, _ in MAP_BLOBS if identity not in (MAP.root_id, digest(LARGE_VALUE))]


async def fill(journal: Journal) -> None:
    """Ten events in three streams: A has 6, B has 3, C has 1."""
    runner = open_runner(journal)
    await runner.execute(DEPOSIT, Deposit(A, 100), ADA, "d-1")
    await runner.execute(TRANSFER, Transfer(A, B, 30), ADA, "t-1")
    await runner.execute(RENAME, Rename(A, "savings"), ADA)
    await write(journal, A, Noted("rent"))
    blobs = [DOCUMENT, SCAN, *(Blob(identity, "map", content) for identity, content in MAP_BLOBS)]
    await write(journal, A, Filed(DOCUMENT.id, (Page(1, SCAN.id),), MAP.root_id), blobs=blobs)
    await write(journal, B, Noted("food"), Deposited(1))
    await write(journal, C, Deposited(7))
    await journal.store.artifacts.put([LOOSE])
    loaded = await journal.load(ACCOUNT_FOLD, A)
    writer = StreamWriter(journal, A, loaded.head, loaded.at_ms, Authorship(ADA.id, salt_key=bytes(32)))
    await writer.append([Deposited(2)], NOW_MS, rows=[journal.fold_row(ACCOUNT_FOLD, A, loaded)])
    await Views(journal, [BALANCES]).catch_up("default", "balances")


async def filled() -> tuple[MemoryStore, Journal]:
    store = MemoryStore()
    journal = open_journal(store)
    await fill(journal)
    return store, journal


async def examined(journal: Journal) -> Report:
    return await verify(journal, [ACCOUNT_FOLD], [BALANCES])


async def findings(journal: Journal) -> list[tuple[str, str]]:
    """Kind and place of what an examination finds."""
    return named((await examined(journal)).findings)


def named(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return sorted((finding.kind, finding.place) for finding in found)


def remove(store: MemoryStore, stream: str, seq: int) -> StoredEvent:
    """Take an event out of its stream and out of the feed, leaving the head and all positions as they are."""
    data = store._handle.data
    event = data.streams[stream].pop(seq - 1)
    data.feeds["default"].remove(event)
    return event
