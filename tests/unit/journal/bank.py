"""A small domain for tests of the journal: accounts, and money that moves between them.

It declares events, deciders and a view as a part would, and makes journals on a store in memory. It asserts
nothing. Money is neither made nor lost by a transfer, which is what tests look for after a race.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw, Struct

from interlock.base.clock import Clock, SeededEntropy
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.events import EventType, IndexRow, Place, Row
from interlock.base.ids import ArtifactId
from interlock.base.part import DecideContext, Decider, Decision, Refusal, View
from interlock.base.principal import Principal
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship, Recorded, seal
from interlock.journal.journal import Fold, Journal
from interlock.journal.ports import Append, Appended, Blob, EventLog, Head, Store, StoredEvent
from interlock.journal.runner import Runner, RunnerSettings
from interlock.journal.streams import stream_id
from interlock.stores.memory import MemoryStore
from interlock.testing.clock import VirtualClock

ADA = Principal(id="local:ada")
NOW_MS = 1_767_225_600_000
SHORT = ErrorCode("funds_short", Category.REFUSED, "Deposit first.")


class Deposited(Struct, frozen=True):
    amount: int


class Withdrawn(Struct, frozen=True):
    amount: int


class Declined(Struct, frozen=True):
    """What a refusal leaves behind."""

    amount: int


class Named(Struct, frozen=True):
    """A name that one account only can have."""

    name: str


class Noted(Struct, frozen=True):
    """Erasable: what a person wrote."""

    text: str


class Filed(Struct, frozen=True):
    """Names artifacts, plainly and in records."""

    document_id: ArtifactId
    pages: tuple[Page, ...]
    terms_snapshot_id: ArtifactId | None


class Page(Struct, frozen=True):
    number: int
    scan_id: ArtifactId


class Closed(Struct, frozen=True):
    reason: Raw


def _name_row(place: Place, record: Struct) -> Sequence[Row]:
    assert isinstance(record, Named)
    return (IndexRow("name", record.name, place.stream.encode(), fresh=True),)


EVENTS = (
    EventType("bank.deposited", 1, Deposited),
    EventType("bank.withdrawn", 1, Withdrawn),
    EventType("bank.declined", 1, Declined),
    EventType("bank.named", 1, Named, index=_name_row),
    EventType("bank.noted", 1, Noted, erasable=True),
    EventType("bank.filed", 1, Filed),
    EventType("bank.closed", 1, Closed),
)
CATALOGUE = EventCatalogue(EVENTS)


class Account(Struct, frozen=True):
    balance: int = 0
    events: int = 0
    name: str = ""
    last_ms: int = 0
    last_actor: str = ""


def evolve(account: Account, record: Struct, place: Place) -> Account:
    change = 0
    if isinstance(record, Deposited | Withdrawn):
        change = record.amount if isinstance(record, Deposited) else -record.amount
    name = record.name if isinstance(record, Named) else account.name
    return Account(account.balance + change, account.events + 1, name, place.at_ms, place.actor)


class Deposit(Struct, frozen=True):
    account: str
    amount: int
    memo: str = ""
    tags: tuple[str, ...] = ()


class Transfer(Struct, frozen=True):
    source: str
    target: str
    amount: int


class Rename(Struct, frozen=True):
    account: str
    name: str


def account(name: str) -> str:
    return stream_id("default", "account", name)


def _deposit(_states: Mapping[str, Any], command: Deposit, _context: DecideContext) -> Decision:
    return {command.account: (Deposited(command.amount),)} if command.amount else {}


def _transfer(states: Mapping[str, Any], command: Transfer, _context: DecideContext) -> Decision:
    if states[command.source].balance < command.amount:
        error = SHORT.error("the account has too little", balance=states[command.source].balance)
        return Refusal(error, {command.source: (Declined(command.amount),)})
    return {command.source: (Withdrawn(command.amount),), command.target: (Deposited(command.amount),)}


def _rename(_states: Mapping[str, Any], command: Rename, _context: DecideContext) -> Decision:
    return {command.account: (Named(command.name),)}


def _moved(events: Mapping[str, Sequence[Struct]], _command: Struct) -> dict[str, int]:
    """What a command moved, by stream."""
    changes = (Deposited, Withdrawn)
    return {
        stream: sum(each.amount for each in records if isinstance(each, changes)) for stream, records in events.items()
    }


DEPOSIT = Decider("bank.deposit", lambda command: (command.account,), lambda _: Account(), _deposit, evolve, _moved)
TRANSFER = Decider(
    "bank.transfer",
    lambda command: (command.source, command.target),
    lambda _: Account(),
    _transfer,
    evolve,
    _moved,
)
RENAME = Decider("bank.rename", lambda command: (command.account,), lambda _: Account(), _rename, evolve, _moved)


class Balance(Struct, frozen=True):
    stream: str
    amount: int
    number: int


def _balance(row: Balance | None, place: Place, record: Struct) -> Balance | None:
    if isinstance(record, Closed):
        return None
    change = record.amount if isinstance(record, Deposited) else 0
    change -= record.amount if isinstance(record, Withdrawn) else 0
    return Balance(place.stream, (row.amount if row else 0) + change, row.number if row else place.at_ms)


BALANCES = View(
    name="balances",
    version=1,
    row=Balance,
    key=lambda place, _record: place.stream,
    evolve=_balance,
    order=lambda row: row.number,
    terms=lambda row: {"state": "some" if row.amount else "none"},
    types=frozenset({"bank.deposited", "bank.withdrawn", "bank.closed"}),
)

ACCOUNT_FOLD: Fold[Account] = Fold(
    "account",
    1,
    lambda _: Account(),
    evolve,
    save=msgspec.json.Encoder(order="deterministic").encode,
    restore=msgspec.json.Decoder(Account).decode,
)


def open_journal(store: Store, clock: Clock | None = None) -> Journal:
    """A journal of the bank on a store; runs under the virtual clock unless it is given another."""
    return Journal(store, CATALOGUE, clock or VirtualClock(), SeededEntropy(7))


def open_runner(journal: Journal, **settings: int) -> Runner:
    return Runner(journal, RunnerSettings(**settings), "0" * 64)


async def write(
    journal: Journal, stream: str, *records: Struct, blobs: Sequence[Blob] = (), at_ms: int = NOW_MS
) -> Head:
    """Append records at the stream's head, as a single writer does."""
    [head] = await journal.store.events.heads([stream])
    author = Authorship(ADA.id, salt_key=journal.entropy.random_bytes(32))
    sealed = seal(journal.catalogue, stream, head, records, at_ms, author)
    await journal.commit(Append([sealed.append], sealed.rows, blobs))
    return sealed.append.head


async def recorded(journal: Journal, stream: str) -> list[Recorded]:
    return [event async for page in journal.read(stream) for event in page]


async def records(journal: Journal, stream: str) -> list[Struct | None]:
    return [event.record for event in await recorded(journal, stream)]


async def balance(journal: Journal, stream: str) -> int:
    """What a full fold says, without any cache."""
    return (await journal.load(ACCOUNT_FOLD, stream)).state.balance


class CountedEvents:
    """An event log that counts what is read from it."""

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.events_read = 0
        self.appends = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)

    async def read(self, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        page = await self._log.read(stream, after_seq, limit)
        self.events_read += len(page)
        return page

    async def append(self, appends: Sequence[Append]) -> list[Appended | InterlockError]:
        self.appends += len(appends)
        return await self._log.append(appends)


def damage(store: MemoryStore, stream: str, seq: int, /, **changes: Any) -> StoredEvent:
    """Change a stored event behind the store's back, in its stream and in the feed; return it."""
    data = store._handle.data
    event = data.streams[stream][seq - 1]
    damaged = msgspec.structs.replace(event, **changes)
    data.streams[stream][seq - 1] = damaged
    data.feeds[data.partition_of[stream]][event.position - 1] = damaged
    return damaged


def flipped(content: bytes, place: int, bit: int = 0) -> bytes:
    """The bytes with one bit of one byte turned over."""
    return content[:place] + bytes([content[place] ^ (1 << bit)]) + content[place + 1 :]
