"""Data shapes on real stores: registered once, found again, listed page by page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.clock import SeededEntropy, SystemClock
from interlock.base.errors import InterlockError
from interlock.base.part import CallContext
from interlock.base.principal import Principal
from interlock.gates.records import DataShapeRecord, SigningMetadata
from interlock.gates.shapes import registry
from interlock.gates.shapes.check import SCHEMA_BYTES_MAX
from interlock.gates.shapes.commands import COMMANDS
from interlock.gates.shapes.kept import EVENTS, ShapeKey, index_key, shape_stream
from interlock.gates.shapes.registry import INLINE_BYTES_MAX, Shapes
from interlock.gates.values import Logical, UnixMillis
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.ports import Store
from interlock.journal.runner import Runner, RunnerSettings
from interlock.stores.memory import MemoryStore
from interlock.stores.sqlite import open_sqlite

ADA = Principal(id="local:ada")
EVE = Principal(id="local:eve", tenant="other")
TEXT = {"type": "string"}
Opened = Callable[[], AbstractAsyncContextManager[Store]]


class Process:
    """One process that keeps shapes on a store."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.journal = Journal(store, EventCatalogue(EVENTS), SystemClock(), SeededEntropy(7))
        self.runner = Runner(self.journal, RunnerSettings(), "0" * 64)
        self.shapes = Shapes(self.journal, self.runner)

    def get(self, kind: type[Any]) -> Any:
        return {Journal: self.journal, Runner: self.runner}[kind]

    async def call(self, verb: str, **given: Any) -> Any:
        [command] = [each for each in COMMANDS if each.verb == verb]
        return await command.handler(CallContext(ADA, self), command.input(**given))


def shape(schema_id: str = "s", version: str = "1", **members: Any) -> DataShapeRecord:
    usual: dict[str, Any] = {"tenant_id": 1, "namespace_id": 1, "schema": TEXT, "created_at": Logical(1)}
    return DataShapeRecord(schema_id=schema_id, version=version, **{**usual, **members})


def key(schema_id: str = "s", version: str = "1", tenant_id: int = 1, namespace_id: int = 1) -> ShapeKey:
    return ShapeKey(tenant_id, namespace_id, schema_id, version)


async def refused(work: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        await work
    return caught.value


@pytest.fixture(params=["memory", "sqlite"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opened:
    @asynccontextmanager
    async def memory() -> AsyncIterator[Store]:
        yield MemoryStore()

    @asynccontextmanager
    async def sqlite() -> AsyncIterator[Store]:
        store = await open_sqlite(tmp_path / "store.db")
        yield store
        await store.close()

    return memory if request.param == "memory" else sqlite


def on(opened: Opened, work: Callable[[Process], Any]) -> None:
    async def main() -> None:
        async with opened() as store:
            await work(Process(store))

    asyncio.run(main())


LARGE = {"enum": ["x" * INLINE_BYTES_MAX]}
RECORDS = [
    shape(),
    shape("a:b", "c"),
    shape("a", "b:c"),
    shape("é 😀/%.", "1.0", description="a name that needs escapes"),
    shape("numbers", schema={"maximum": 2**64 - 1, "multipleOf": 1.0}),
    shape("signed", created_at=UnixMillis(-5), signing=SigningMetadata("k", "s", "ed25519")),
    shape("large", schema=LARGE),
    shape("anything", schema=True),
    shape("elsewhere", tenant_id=2**64 - 1, namespace_id=2**64 - 1),
]


def test_what_was_registered_comes_back_as_it_was(opened: Opened) -> None:
    async def work(one: Process) -> None:
        for record in RECORDS:
            assert await one.shapes.register(record, ADA) == record
        for record in RECORDS:
            wanted = ShapeKey(record.tenant_id, record.namespace_id, record.schema_id, record.version)
            found = await Process(one.store).shapes.get(wanted, ADA)
            assert found == record
            assert repr(found.schema) == repr(record.schema)

    on(opened, work)


def test_a_shape_never_changes(opened: Opened) -> None:
    async def work(one: Process) -> None:
        await one.shapes.register(shape(), ADA)
        for again in (shape(), shape(schema=True), shape(schema=LARGE)):
            assert (await refused(one.shapes.register(again, ADA))).code == "shape_exists"
            assert (await refused(Process(one.store).shapes.register(again, ADA))).code == "shape_exists"
        await one.shapes.register(shape(version="2", schema=True), ADA)

        assert (await one.shapes.get(key(), ADA)).schema == TEXT
        assert await one.store.artifacts.scan("", 10) == []

    on(opened, work)


def test_the_same_command_again_is_no_conflict(opened: Opened) -> None:
    async def work(one: Process) -> None:
        for record in (shape(), shape("large", schema=LARGE)):
            for _ in range(2):
                assert await one.shapes.register(record, ADA, f"once-{record.schema_id}") == record
        other = one.shapes.register(shape(schema=True), ADA, "once-s")
        assert (await refused(other)).code == "command_id_conflict"

    on(opened, work)


def test_of_two_processes_that_register_at_once_one_is_refused(opened: Opened) -> None:
    async def work(one: Process) -> None:
        two = Process(one.store)
        both = await asyncio.gather(
            one.shapes.register(shape(), ADA),
            two.shapes.register(shape(schema=True), ADA),
            return_exceptions=True,
        )

        [fault] = [each for each in both if isinstance(each, BaseException)]
        assert isinstance(fault, InterlockError)
        assert fault.code == "shape_exists"

    on(opened, work)


def test_nobody_sees_the_shapes_of_another_tenant_or_namespace(opened: Opened) -> None:
    async def work(one: Process) -> None:
        await one.shapes.register(shape(), ADA)

        for other in (key(tenant_id=2), key(namespace_id=2), key("t"), key(version="2")):
            assert (await refused(one.shapes.get(other, ADA))).code == "shape_not_found"
        assert (await refused(one.shapes.get(key(), EVE))).code == "shape_not_found"
        assert (await one.shapes.page(1, 1, None, 10, EVE)).items == []
        for tenant_id, namespace_id in ((1, 11), (11, 1), (2, 1), (1, 2)):
            assert (await one.shapes.page(tenant_id, namespace_id, None, 10, ADA)).items == []

    on(opened, work)


def test_pages_follow_the_order_of_ids_and_versions(opened: Opened) -> None:
    names = [("a", "1"), ("a", "10"), ("a", "2"), ("a.b", "0"), ("aa", "1"), ("é", "1"), ("\ud7ff", "1"), ("😀", "1")]

    async def work(one: Process) -> None:
        for schema_id, version in reversed(names):
            await one.shapes.register(shape(schema_id, version), ADA)
        found = []
        after: tuple[str, str] | None = None
        for size, more in ((3, True), (3, True), (2, False)):
            page = await one.shapes.page(1, 1, after, 3, ADA)
            assert (len(page.items), page.more) == (size, more)
            found += [(each.schema_id, each.version) for each in page.items]
            after = found[-1]

        assert found == names
        assert [each.schema_id for each in (await one.shapes.page(1, 1, ("a", "3"), 2, ADA)).items] == ["a.b", "aa"]

    on(opened, work)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=4), st.text(min_size=1, max_size=4)), unique=True))
def test_keys_are_in_the_order_of_ids_and_versions(names: list[tuple[str, str]]) -> None:
    wanted = sorted(names, key=lambda each: (each[0].encode(), each[1].encode()))

    assert sorted(names, key=lambda each: index_key(key(*each))) == wanted
    assert len({shape_stream("default", key(*each)) for each in names}) == len(names)


def test_more_shapes_than_are_read_at_once_are_listed_by_the_verbs_with_their_cursors(opened: Opened) -> None:
    async def work(one: Process) -> None:
        ids = [f"s{number:03}" for number in range(registry.ROWS_READ + 5)]
        for schema_id in ids:
            await one.shapes.register(shape(schema_id), ADA)
        found: list[str] = []
        cursor = None
        for _ in range(3):
            listed = await one.call("list", tenant_id=1, namespace_id=1, limit=52, cursor=cursor)
            found += [each.schema_id for each in listed.items]
            cursor = listed.next

        assert (found, cursor) == (ids, None)
        everything = await one.call("list", tenant_id=1, namespace_id=1, limit=1000)
        assert ([each.schema_id for each in everything.items], everything.next) == (ids, None)

    on(opened, work)


def test_a_page_ends_early_where_it_would_hold_too_many_bytes(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "PAGE_BYTES_MAX", 3 * INLINE_BYTES_MAX)

    async def work(one: Process) -> None:
        for schema_id in "abcd":
            await one.shapes.register(shape(schema_id, schema=LARGE), ADA)
        await one.shapes.register(shape("huge", schema={"enum": ["x" * 4 * INLINE_BYTES_MAX]}), ADA)

        first = await one.shapes.page(1, 1, None, 10, ADA)
        assert ([each.schema_id for each in first.items], first.more) == (["a", "b"], True)
        last = await one.shapes.page(1, 1, ("d", "1"), 10, ADA)
        assert ([each.schema_id for each in last.items], last.more) == (["huge"], False)

    on(opened, work)


def test_the_verbs_register_and_show_a_shape(opened: Opened) -> None:
    async def work(one: Process) -> None:
        record = {
            "tenant_id": 1,
            "namespace_id": 1,
            "schema_id": "s",
            "version": "1",
            "schema": TEXT,
            "created_at": {"kind": "logical", "value": 1},
        }
        registered = await one.call("register", record=record)
        got = await one.call("get", tenant_id=1, namespace_id=1, schema_id="s", version="1")

        assert registered == got
        assert got.record == shape()
        assert (await refused(one.call("register", record={**record, "tenant_id": 0}))).code == "gate_input_invalid"
        broken = one.call("list", tenant_id=1, namespace_id=1, cursor="x")
        assert (await refused(broken)).code == "cursor_invalid"

    on(opened, work)


WRONG: list[tuple[DataShapeRecord, str]] = [
    (shape(" "), "shape_invalid"),
    (shape(version="\t"), "shape_invalid"),
    (shape("x" * 400, "y" * 100), "shape_invalid"),
    (shape("é" * 100), "shape_invalid"),
    (shape(schema={"type": "strng"}), "shape_schema_invalid"),
    (shape(schema=3), "shape_schema_invalid"),
    (shape(schema={"pattern": "("}), "shape_schema_invalid"),
    (shape(schema={"$ref": "https://example.com/other.json"}), "shape_schema_invalid"),
    (shape(schema={"$ref": "#/$defs/nobody"}), "shape_schema_invalid"),
    (shape(schema={"$schema": "https://example.com/dialect"}), "shape_schema_invalid"),
    (shape(schema={"const": "x" * SCHEMA_BYTES_MAX}), "shape_too_large"),
]


@pytest.mark.parametrize(("record", "code"), WRONG, ids=[f"{number}-{row[1]}" for number, row in enumerate(WRONG)])
def test_what_cannot_be_a_shape_is_refused_and_leaves_nothing(record: DataShapeRecord, code: str) -> None:
    async def main() -> None:
        one = Process(MemoryStore())

        assert (await refused(one.shapes.register(record, ADA))).code == code
        assert await one.store.events.position("default") == 0
        assert await one.store.artifacts.scan("", 10) == []

    asyncio.run(main())


def test_the_largest_schema_is_kept() -> None:
    async def main() -> None:
        one = Process(MemoryStore())
        largest = shape(schema={"const": "x" * (SCHEMA_BYTES_MAX - 12)})

        await one.shapes.register(largest, ADA)

        assert await one.shapes.get(key(), ADA) == largest

    asyncio.run(main())


def test_a_tenant_of_the_journal_that_is_none_is_refused_as_such() -> None:
    with pytest.raises(InterlockError) as caught:
        shape_stream("No Tenant", key())
    assert caught.value.code == "id_invalid"
