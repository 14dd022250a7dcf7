"""P14 for claims: random wakes, claims, renewals, releases and deaths of two owners against a plain model."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from interlock.base.errors import InterlockError
from interlock.base.events import Claim, Hold, Rest, Row, Wake
from interlock.journal.ports import Append, Held, Store
from interlock.stores.memory import MemoryStore
from interlock.stores.postgres import open_postgres
from interlock.stores.sqlite import open_sqlite
from interlock.testing.contracts.harness import onto, stream
from interlock.testing.loop import run
from tests.postgres import EXAMPLES_ON_A_SERVER, fresh_schema

Result = TypeVar("Result")

KIND_OF = {stream("a"): "run", stream("b"): "run", stream("c"): "job"}
STREAMS = tuple(KIND_OF)
START_MS = 1_000
LEASE_MS = 50
DEAD_MS = 0

streams = st.sampled_from(STREAMS)
several_kinds = st.lists(st.sampled_from(["run", "job", "none"]), min_size=1, unique=True)
owners = st.integers(0, 1)
times = st.integers(-10, 80)
numbers = st.integers(0, 10_000)


@dataclass
class Entry:
    """What a store should know about one stream."""

    due_ms: int | None = None
    epoch: int = 0
    claim: Claim | None = None

    def open_ms(self) -> int | None:
        return self.due_ms if self.claim is None else self.claim.expires_ms

    def living(self, now_ms: int) -> Claim | None:
        return self.claim if self.claim is not None and self.claim.expires_ms > now_ms else None

    def was_left_by_the_dead(self) -> bool:
        return self.claim is not None and self.claim.expires_ms == DEAD_MS

    def is_ours(self, claim: Claim) -> bool:
        return self.claim is not None and (self.claim.owner, self.claim.epoch) == (claim.owner, claim.epoch)


class ActivationMachine(RuleBasedStateMachine):
    """Works as two owners of one store and on the model, and compares."""

    def fresh(self) -> Coroutine[Any, Any, Store]:
        raise NotImplementedError

    def again(self) -> Coroutine[Any, Any, Store]:
        raise NotImplementedError

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        raise NotImplementedError

    @initialize()
    def open(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.given: list[Claim] = []
        self.now_ms = START_MS
        self.stores = [self.drive(self.fresh())]
        self.stores.append(self.drive(self.again()))

    def teardown(self) -> None:
        for store in getattr(self, "stores", []):
            self.drive(store.close())

    # What happens outside

    @rule(by_ms=st.integers(1, 40))
    def time_passes(self, by_ms: int) -> None:
        self.now_ms += by_ms

    @rule(owner=owners)
    def an_owner_dies_and_another_comes(self, owner: int) -> None:
        name = self.stores[owner].owner
        self.drive(self.stores[owner].close())
        for entry in self.entries.values():
            if entry.claim is not None and entry.claim.owner == name:
                entry.claim = self.ended(entry.claim)
        self.stores[owner] = self.drive(self.again())

    @staticmethod
    def ended(claim: Claim) -> Claim:
        return Claim(claim.stream, claim.kind, claim.owner, claim.epoch, DEAD_MS)

    # What appends record

    def append(self, *rows: Row) -> bool:
        """Append an event with rows; whether the store took it."""

        async def work() -> Any:
            log = self.stores[0].events
            [head] = await log.heads([stream("writer")])
            return (await log.append([Append([onto(head, stream("writer"))], rows)]))[0]

        outcome = self.drive(work())
        if isinstance(outcome, InterlockError):
            assert outcome.code == "claim_lost"
            return False
        return True

    @rule(stream_id=streams, in_ms=times)
    def wake(self, stream_id: str, in_ms: int) -> None:
        due_ms = self.now_ms + in_ms
        assert self.append(Wake(stream_id, KIND_OF[stream_id], due_ms))
        entry = self.entries.setdefault(stream_id, Entry())
        entry.due_ms = due_ms if entry.due_ms is None else min(entry.due_ms, due_ms)

    @rule(stream_id=streams)
    def rest(self, stream_id: str) -> None:
        assert self.append(Rest(stream_id))
        self.entries.pop(stream_id, None)

    @rule(number=numbers, ahead=st.integers(0, 2))
    def hold(self, number: int, ahead: int) -> None:
        if not self.given:
            return
        old = self.given[number % len(self.given)]
        claim = Claim(old.stream, old.kind, self.stores[0].owner, old.epoch + ahead, self.now_ms + LEASE_MS)
        entry = self.entries.get(claim.stream) or Entry()
        other = entry.claim is not None and entry.claim.owner != claim.owner
        lost = claim.epoch < entry.epoch or (claim.epoch == entry.epoch and other)
        assert self.append(Hold(claim)) == (not lost)
        if not lost:
            renewed = entry.claim is not None and entry.epoch == claim.epoch
            if renewed and entry.claim is not None and entry.claim.expires_ms > claim.expires_ms:
                claim = entry.claim
            if entry.epoch == 0:
                entry.due_ms = None
            entry.epoch, entry.claim = claim.epoch, claim
            self.entries[claim.stream] = entry
            self.given.append(claim)

    # What owners do

    def claimed(self, stream_id: str, owner: int) -> Claim:
        entry = self.entries[stream_id]
        entry.epoch += 1
        entry.due_ms = None
        entry.claim = Claim(
            stream_id, KIND_OF[stream_id], self.stores[owner].owner, entry.epoch, self.now_ms + LEASE_MS
        )
        self.given.append(entry.claim)
        return entry.claim

    def open_streams(self, among: Sequence[str]) -> list[tuple[int, str]]:
        found = ((entry.open_ms(), name) for name, entry in self.entries.items() if KIND_OF[name] in among)
        return sorted((open_ms, name) for open_ms, name in found if open_ms is not None)

    @rule(owner=owners, among=several_kinds, limit=st.integers(0, 3))
    def claim(self, owner: int, among: list[str], limit: int) -> None:
        store = self.stores[owner]
        claims = self.drive(store.activations.claim("default", among, store.owner, limit, self.now_ms, LEASE_MS))
        ready = [name for open_ms, name in self.open_streams(among) if open_ms <= self.now_ms]
        names = [each.stream for each in claims]
        if not any(self.entries[name].was_left_by_the_dead() for name in ready):
            assert names == ready[:limit]
        # Since when a dead owner's stream waits is not said, so its place is not either.
        assert len(names) == len(set(names) & set(ready)) == min(limit, len(ready))
        assert claims == [self.claimed(name, owner) for name in names]

    @rule(owner=owners, stream_id=streams, steal=st.booleans())
    def take(self, owner: int, stream_id: str, steal: bool) -> None:
        store, kind = self.stores[owner], KIND_OF[stream_id]
        answer = self.drive(store.activations.take(stream_id, kind, store.owner, self.now_ms, LEASE_MS, steal=steal))
        living = self.entries.setdefault(stream_id, Entry()).living(self.now_ms)
        if living is not None and not steal:
            assert answer == Held(living)
        else:
            assert answer == self.claimed(stream_id, owner)

    def picked(self, owner: int, chosen: list[int]) -> list[Claim]:
        """Claims that were given to an owner, at most one a stream."""
        given = [claim for claim in self.given if claim.owner == self.stores[owner].owner]
        by_stream = {claim.stream: claim for claim in (given[n % len(given)] for n in chosen if given)}
        return list(by_stream.values())

    @rule(owner=owners, chosen=st.lists(numbers, max_size=3))
    def renew(self, owner: int, chosen: list[int]) -> None:
        claims = self.picked(owner, chosen)
        kept = self.drive(self.stores[owner].activations.renew(claims, self.now_ms, LEASE_MS))
        for claim, is_kept in zip(claims, kept, strict=True):
            entry = self.entries.get(claim.stream)
            assert is_kept == (entry is not None and entry.is_ours(claim))
            if entry is not None and is_kept:
                entry.claim = Claim(claim.stream, claim.kind, claim.owner, claim.epoch, self.now_ms + LEASE_MS)

    @rule(owner=owners, chosen=st.lists(numbers, max_size=3), in_ms=st.none() | times)
    def release(self, owner: int, chosen: list[int], in_ms: int | None) -> None:
        claims = self.picked(owner, chosen)
        until_ms = None if in_ms is None else self.now_ms + in_ms
        self.drive(self.stores[owner].activations.release(claims, until_ms))
        for claim in claims:
            entry = self.entries.get(claim.stream)
            if entry is not None and entry.is_ours(claim):
                entry.claim = None
                due = [each for each in (entry.due_ms, until_ms) if each is not None]
                entry.due_ms = min(due, default=None)

    # What everybody sees

    @invariant()
    def holders_agree(self) -> None:
        entries = [getattr(self, "entries", {}).get(name) for name in STREAMS]
        living = [entry.living(self.now_ms) if entry is not None else None for entry in entries]
        for store in getattr(self, "stores", []):
            assert self.drive(self.holders(store)) == living

    async def holders(self, store: Store) -> list[Claim | None]:
        return [await store.activations.holder(name, self.now_ms) for name in STREAMS]

    @rule(owner=owners, among=several_kinds)
    def due(self, owner: int, among: list[str]) -> None:
        found = self.drive(self.stores[owner].activations.due("default", among, self.now_ms))
        first = next((open_ms for open_ms, _ in self.open_streams(among)), None)
        if first is None or first > self.now_ms:
            assert found == first
        else:
            assert found is not None
            assert found <= self.now_ms


class MemoryMachine(ActivationMachine):
    async def fresh(self) -> Store:
        return MemoryStore()

    async def again(self) -> Store:
        assert isinstance(self.stores[0], MemoryStore)
        return self.stores[0].reopen()

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        return run(work)


class SqliteMachine(ActivationMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.runner = asyncio.Runner()

    async def fresh(self) -> Store:
        return await open_sqlite(Path(self.folder.name, "store"))

    again = fresh

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def teardown(self) -> None:
        super().teardown()
        self.runner.close()
        self.folder.cleanup()


class PostgresMachine(ActivationMachine):
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self.schema = fresh_schema(self.url)
        self.runner = asyncio.Runner()

    async def fresh(self) -> Store:
        return await open_postgres(self.schema)

    again = fresh

    def drive(self, work: Coroutine[Any, Any, Result]) -> Result:
        return self.runner.run(work)

    def teardown(self) -> None:
        super().teardown()
        self.runner.close()


TestMemory = MemoryMachine.TestCase
TestSqlite = SqliteMachine.TestCase


def test_the_claims_in_a_database_agree_with_the_model(postgres_url: str) -> None:
    PostgresMachine.url = postgres_url
    run_state_machine_as_test(PostgresMachine, settings=settings(max_examples=EXAMPLES_ON_A_SERVER))
