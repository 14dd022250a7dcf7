"""Calls under a key on every store: once, the same answer again, and nothing for another call, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import pytest
from msgspec import Meta, Struct

from interlock.app import App
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.part import CallContext, Command, Effect, Part
from interlock.base.principal import Principal, PrincipalKind, local_principal
from interlock.copying import copy
from interlock.journal.ports import Store
from interlock.journal.streams import parse_stream
from interlock.parts import PARTS
from interlock.stores.memory import MemoryStore
from interlock.stores.postgres import PostgresStore, open_postgres
from interlock.stores.sqlite import SqliteStore, open_sqlite
from interlock.surfaces.receipts.decide import INLINE_BYTES_MAX
from interlock.testing.contracts.harness import Contract, on_store
from tests.postgres import fresh_schema

ADA = local_principal("ada")
ZOE, YAN = (Principal(id=f"token:{name}", kind=PrincipalKind.TOKEN, roles=("admin",)) for name in ("zoe", "yan"))
REFUSED = ErrorCode("toy_refused", Category.REFUSED, "Try again.")
AUDIT = {"name": "audit", "sink": "log"}
PAUSE = {"name": "audit", "reason": "maintenance"}


class Given(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done."""

    what: Annotated[str, Meta(max_length=20)]
    letters: int = 0


class Done(Struct, frozen=True):
    """What was done, and as which of all."""

    what: str
    number: int
    letters: str


class World:
    """What a careless handler has done, which does not look at the id of its command."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.fails = False
        self.gate = asyncio.Event()
        self.gate.set()

    async def act(self, ctx: CallContext, given: Given) -> Done:
        await self.gate.wait()
        if self.fails:
            raise REFUSED.error("not now")
        self.done.append(given.what)
        return Done(given.what, len(self.done), "x" * given.letters)

    def part(self) -> Part:
        act, other = (
            Command("toy", verb, Given, Done, self.act, "Act.", f"interlock toy {verb} a", "toy.act", Effect.CHANGES)
            for verb in ("act", "other")
        )
        return Part(name="toy", commands=(act, other), errors=(REFUSED,))


@asynccontextmanager
async def opened(*stores: Store, world: World | None = None) -> AsyncIterator[list[App]]:
    """An application on each, as so many processes on one store."""
    async with AsyncExitStack() as stack:
        parts = [*PARTS, (world or World()).part()]
        yield [await stack.enter_async_context(App.open(store, parts=parts)) for store in stores]


async def act(app: App, key: str, what: str, by: Principal = ADA, verb: str = "act", **more: Any) -> Any:
    return await app.client(by).call(f"toy.{verb}", {"what": what, **more}, command_id=key)


def stuck(command: Command, done: asyncio.Event) -> Command:
    """`subscription.pause`, which does what it does and never comes back."""

    async def handler(ctx: CallContext, given: Any) -> Struct:
        await command.handler(ctx, given)
        done.set()
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    return replace(command, handler=handler) if command.name == "subscription.pause" else command


async def code_of(work: Any) -> str:
    try:
        await work
    except InterlockError as fault:
        return fault.code
    return "done"


async def kept(store: Store) -> list[bytes]:
    """The data of everything in receipts."""
    streams = [stream for stream, _ in await store.events.streams("default", "", 1000)]
    pages = [await store.events.read(each, 0, 100) for each in streams if parse_stream(each).kind == "receipt"]
    return [event.data or b"" for page in pages for event in page]


class ReceiptsContract(Contract):
    """What holds for keys on every store."""

    @on_store
    async def test_a_repetition_gets_the_first_answer_and_does_nothing_in_any_process(self, store: Store) -> None:
        async with opened(store, await self.again(store), world=(world := World())) as (one, two):
            first = await act(one, "k", "a")
            assert [await act(app, "k", "a") for app in (one, two, one)] == [first] * 3
            assert world.done == ["a"]

    @on_store
    async def test_a_late_repetition_of_what_changed_nothing_changes_nothing(self, store: Store) -> None:
        async with opened(store, await self.again(store)) as (one, two):
            call, late = one.client(ZOE).call, two.client(ZOE).call
            await call("subscription.add", AUDIT)
            await call("subscription.pause", PAUSE)
            nothing: Any = await call("subscription.pause", PAUSE, command_id="p")
            assert nothing.changed is False
            await call("subscription.resume", {"name": "audit"})

            assert await late("subscription.pause", PAUSE, command_id="p") == nothing
            shown: Any = await late("subscription.show", {"name": "audit"})
            assert shown.state == "active"

    @on_store
    async def test_another_call_under_the_key_is_refused_and_does_nothing(self, store: Store) -> None:
        async with opened(store, await self.again(store), world=(world := World())) as (one, two):
            await act(one, "k", "a")
            for app in (one, two):
                assert await code_of(act(app, "k", "b")) == "command_id_conflict"
                assert await code_of(act(app, "k", "a", letters=1)) == "command_id_conflict"
                assert await code_of(act(app, "k", "a", verb="other")) == "command_id_conflict"
                assert await code_of(app.client(ADA).call("subscription.add", AUDIT, command_id="k")) == (
                    "command_id_conflict"
                )
            assert world.done == ["a"]
            listed: Any = await one.client(ADA).call("subscription.list", {})
            assert listed.items == []

    @on_store
    async def test_keys_of_principals_say_nothing_to_one_another(self, store: Store) -> None:
        async with opened(store, world=(world := World())) as (app,):
            await app.client(ZOE).call("subscription.add", AUDIT, command_id="k")
            other = {"name": "other", "sink": "log"}
            answer: Any = await app.client(YAN).call("subscription.add", other, command_id="k")
            assert answer.changed
            assert (await act(app, "k", "a")).number == 1
            assert world.done == ["a"]

    @on_store
    async def test_of_different_calls_at_once_exactly_one_takes_effect(self, store: Store) -> None:
        async with opened(store, await self.again(store), world=(world := World())) as apps:
            for turn in range(5):
                calls = [act(app, f"k{turn}", f"{number}") for number in range(4) for app in apps]
                codes = await asyncio.gather(*map(code_of, calls))
                won = [number for number in range(4) if "done" in codes[2 * number : 2 * number + 2]]
                assert len(won) == 1
                assert {*codes} == {"done", "command_id_conflict"}
                assert {*world.done} == {f"{won[0]}"}
                world.done.clear()

    @on_store
    async def test_of_the_same_call_at_once_in_a_process_one_is_made(self, store: Store) -> None:
        async with opened(store, world=(world := World())) as (app,):
            world.gate.clear()
            calls = [asyncio.ensure_future(act(app, "k", "a")) for _ in range(5)]
            await asyncio.sleep(0.05)
            calls[0].cancel()  # who is first may go away: the next one makes it
            world.gate.set()
            await asyncio.wait(calls)
            assert [call.result() for call in calls[1:]] == [Done("a", 1, "")] * 4
            assert world.done == ["a"]

    @on_store
    async def test_an_error_is_not_kept_but_the_key_stays_with_its_call(self, store: Store) -> None:
        async with opened(store, await self.again(store), world=(world := World())) as (one, two):
            world.fails = True
            assert await code_of(act(one, "k", "a")) == "toy_refused"
            assert await code_of(act(two, "k", "a")) == "toy_refused"
            assert await code_of(act(two, "k", "b")) == "command_id_conflict"
            world.fails = False
            assert (await act(two, "k", "a")).number == 1
            assert await code_of(one.client(ADA).call("toy.act", {}, command_id="new")) == "input_invalid"
            assert (await act(one, "new", "b")).number == 2

    @on_store
    async def test_a_process_that_dies_before_it_answers_has_done_it_once(self, store: Store) -> None:
        done = asyncio.Event()
        parts = [replace(part, commands=tuple(stuck(each, done) for each in part.commands)) for part in PARTS]
        async with App.open(await self.again(store), parts=parts) as dying:
            call = dying.client(ZOE).call
            await call("subscription.add", AUDIT)
            lost = asyncio.ensure_future(call("subscription.pause", PAUSE, command_id="p"))
            await asyncio.wait_for(done.wait(), 20)
            await self.die(dying.store)
            lost.cancel()
            await asyncio.wait([lost])

        async with opened(store, await self.again(store)) as (one, two):
            assert await code_of(one.client(ZOE).call("subscription.remove", {"name": "audit"}, command_id="p")) == (
                "command_id_conflict"
            )
            again: Any = await one.client(ZOE).call("subscription.pause", PAUSE, command_id="p")
            assert again.changed is True
            await one.client(ZOE).call("subscription.resume", {"name": "audit"})
            assert await two.client(ZOE).call("subscription.pause", PAUSE, command_id="p") == again
            shown: Any = await two.client(ZOE).call("subscription.show", {"name": "audit"})
            assert shown.state == "active"

    @on_store
    async def test_a_long_answer_is_kept_whole_beside_the_event(self, store: Store) -> None:
        async with opened(store, await self.again(store), world=(world := World())) as (one, two):
            for key, letters in (("short", 10), ("long", INLINE_BYTES_MAX + 1)):
                first = await act(one, key, key, letters=letters)
                assert await act(two, key, key, letters=letters) == first
            assert world.done == ["short", "long"]
        assert max(map(len, await kept(store))) < INLINE_BYTES_MAX

    @on_store
    async def test_a_secret_answer_is_kept_nowhere(self, store: Store) -> None:
        async with opened(store) as (app,):
            given = {"name": "ci", "role": ["viewer"]}
            made: Any = await app.client(ADA).call("token.new", given, command_id="k")
            assert made.token is not None
            again: Any = await app.client(ADA).call("token.new", given, command_id="k")
            assert (again.id, again.token) == (made.id, None)
            assert await code_of(app.client(ADA).call("token.new", {**given, "name": "cd"}, command_id="k")) == (
                "command_id_conflict"
            )
        [taken] = await kept(store)
        assert b"token.new" in taken
        assert b"ci" not in taken

    @on_store
    async def test_only_calls_with_a_key_that_change_something_leave_a_receipt(self, store: Store) -> None:
        async with opened(store) as (app,):
            await app.client(ADA).call("subscription.add", AUDIT)
            await app.client(ADA).call("subscription.list", {}, command_id="k")
            assert await kept(store) == []


class TestInMemory(ReceiptsContract):
    async def make_store(self) -> Store:
        return MemoryStore()

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.reopen()

    async def die(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store.die()


class TestOnSqlite(ReceiptsContract):
    @pytest.fixture(autouse=True)
    def _in_a_folder(self, tmp_path: Path) -> None:
        self.folder = tmp_path

    async def make_store(self) -> Store:
        return await open_sqlite(self.folder / "a.store")

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, SqliteStore)
        return await open_sqlite(store.path)

    @on_store
    async def test_a_copied_store_knows_the_keys(self, store: Store) -> None:
        async with opened(store) as (app,):
            first = await app.client(ZOE).call("subscription.add", AUDIT, command_id="k")
            await app.client(ZOE).call("subscription.remove", {"name": "audit"})
        await copy(self.folder / "a.store", self.folder / "b.store", lambda *_: None)
        async with opened(await open_sqlite(self.folder / "b.store")) as (copied,):
            assert await copied.client(ZOE).call("subscription.add", AUDIT, command_id="k") == first
            listed: Any = await copied.client(ZOE).call("subscription.list", {})
            assert listed.items == []
            await copied.store.close()


class TestOnPostgres(ReceiptsContract):
    @pytest.fixture(autouse=True)
    def _on_a_server(self, postgres_url: str) -> None:
        self.url = fresh_schema(postgres_url)

    async def make_store(self) -> Store:
        return await open_postgres(self.url)

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, PostgresStore)
        return await open_postgres(self.url)
