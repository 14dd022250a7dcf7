"""What a run carries from state to state: isolated, checked, and named by its content."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.base.merkle_map import MerkleMap
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.context import Context, RunContext
from interlock.engine.errors import ErrorCategory, error_info
from interlock.engine.io.live import LiveIo
from interlock.journal.ports import Blob
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import over_seeds, run
from tests.simulation.crashes import World
from tests.simulation.plans import numbers, read, single

CANARY = "canary7f3a"


def empty() -> Context:
    return Context(RunContext(MerkleMap.empty(), MemoryStore().artifacts))


async def stored(base: RunContext, writes: dict[str, Any], store: MemoryStore) -> RunContext:
    context = Context(base)
    for key, value in writes.items():
        context.write(key, value)
    after, blobs = await base.updated(context.writes)
    await store.artifacts.put(blobs)
    return after


def test_a_key_that_was_never_written_is_nothing_and_no_error() -> None:
    async def scenario() -> None:
        context = empty()
        assert await context.read("missing") is None
        assert await context.read_typed("missing", int) is None
        context.delete("missing")
        assert await context.dump() == {}

    run(scenario())


def test_what_is_required_must_be_there() -> None:
    async def scenario() -> None:
        with pytest.raises(InterlockError, match="context_missing_key"):
            await empty().require("missing", int)

    run(scenario())


def test_a_written_null_is_there() -> None:
    async def scenario() -> None:
        context = empty()
        context.write("nothing", None)
        await context.require("nothing", type(None))
        assert await context.dump() == {"nothing": None}

    run(scenario())


class Point(Struct):
    """A record in the context."""

    x: int


def test_a_record_is_written_as_json_and_read_by_its_type() -> None:
    async def scenario() -> None:
        context = empty()
        context.write("point", Point(1))
        assert await context.read("point") == {"x": 1}
        assert await context.require("point", Point) == Point(1)
        with pytest.raises(InterlockError, match="context_deserialize_failed"):
            await context.read_typed("point", int)

    run(scenario())


class Shy:
    """No JSON, and its text is nobody's business."""

    def __repr__(self) -> str:
        return CANARY


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", object(), Shy()])
def test_what_is_not_json_is_refused_without_its_text(value: object) -> None:
    """P18."""
    with pytest.raises(InterlockError) as caught:
        empty().write("key", [CANARY, {CANARY: value}])
    assert caught.value.code == "context_serialize_failed"
    assert CANARY not in f"{caught.value} {caught.value.details} {caught.value.__cause__}"
    assert (error_info(caught.value).category, error_info(caught.value).retryable) == (ErrorCategory.CONTEXT, False)


@pytest.mark.parametrize("kind", [int, Point, list[int], dict[str, int]])
def test_a_value_of_another_type_is_refused_without_its_text(kind: type) -> None:
    """P18."""

    async def scenario() -> InterlockError:
        context = empty()
        context.write("key", {CANARY: CANARY})
        with pytest.raises(InterlockError) as caught:
            await context.require("key", kind)
        return caught.value

    fault = run(scenario())
    assert (fault.code, fault.details) == ("context_deserialize_failed", {"key": "key"})
    assert CANARY not in f"{fault} {fault.__cause__}"
    assert (error_info(fault).category, error_info(fault).retryable) == (ErrorCategory.CONTEXT, False)


def test_what_is_nested_without_end_is_refused() -> None:
    value: list[Any] = []
    value.append(value)

    with pytest.raises(InterlockError, match="context_serialize_failed"):
        empty().write("key", value)


@pytest.mark.parametrize("key", ["", "a\nb", "x" * 513])
def test_a_malformed_key_is_refused(key: str) -> None:
    with pytest.raises(InterlockError, match="id_invalid"):
        empty().write(key, 1)


def test_a_secret_is_refused() -> None:
    """P17."""
    with pytest.raises(InterlockError, match="secrets_detected"):
        empty().write("settings", {"password": "hunter2 hunter2"})


@over_seeds(0)
async def test_a_value_that_a_handler_changes_after_reading_it_stays_as_it_was() -> None:
    """P21: in the context, in the input and in facts."""
    seen: list[Json] = []

    async def only(ctx: Context, io: LiveIo, given: list[int]) -> None:
        given.append(9)
        first = await ctx.read("given")
        assert isinstance(first, list)
        first.append(9)
        answer = (await io.call(read("a"))).response
        answer["state"] = "changed"
        again = await io.call(read("a"))
        seen.extend([await ctx.read("given"), again.response["state"]])

    world = World(single(only), {"given": [1]})
    await world.live()

    assert seen == [[1], "after a"]
    assert await world.context() == {"given": [1]}


@over_seeds(0)
async def test_a_value_that_a_handler_changes_after_writing_it_stays_as_it_was_written() -> None:
    """P21."""

    async def only(ctx: Context) -> None:
        value = [1]
        ctx.write("value", value)
        value.append(2)

    world = World(single(only))
    await world.live()

    assert await world.context() == {"value": [1]}


@over_seeds(0)
async def test_a_later_state_reads_what_earlier_ones_wrote_and_not_what_they_deleted() -> None:
    world = World(numbers, {"start": 1})
    await world.live()

    assert await world.context() == {"start": 1, "one": 2, "two": 3, "sum": 7}


@over_seeds(0)
async def test_the_writes_of_a_failed_attempt_vanish() -> None:
    """C6."""

    async def only(ctx: Context) -> None:
        ctx.write("half", "done")
        raise RuntimeError

    world = World(single(only), {"given": 1})
    await world.live()

    assert await world.context() == {"given": 1}


def test_a_snapshot_is_named_by_content_and_not_by_history() -> None:
    """P22: no order of writes, and no detour, changes the id."""

    async def scenario() -> None:
        store = MemoryStore()
        base = RunContext(MerkleMap.empty(), store.artifacts)
        one = await stored(base, {"b": 1, "a": 2}, store)
        two = await stored(await stored(base, {"a": 9, "c": 3}, store), {"a": 2, "b": 1}, store)
        three, _ = await two.updated({"c": None})

        assert one.snapshot_id == three.snapshot_id != two.snapshot_id

    run(scenario())


def test_a_set_has_no_order_of_its_own() -> None:
    """P22: equal sets are walked in different orders, which must not show."""
    one, two = empty(), empty()
    one.write("set", {0, 8})
    two.write("set", {8, 0})

    assert one.writes == two.writes


def test_a_context_is_loaded_node_by_node_from_its_snapshot() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        values = {f"key {n}": n for n in range(500)} | {"large": "x" * 10_000}
        full = await stored(RunContext(MerkleMap.empty(), store.artifacts), values, store)
        again = Context(RunContext(MerkleMap.load(full.snapshot_id), store.artifacts))

        assert await again.read("key 77") == 77
        assert await again.read("large") == "x" * 10_000
        assert await again.dump() == dict(sorted(values.items()))

    run(scenario())


def test_a_missing_node_is_an_error_of_the_store_and_not_an_absent_key() -> None:
    """S4."""

    async def scenario() -> None:
        lost = RunContext(MerkleMap.load("0" * 64), MemoryStore().artifacts)
        with pytest.raises(InterlockError, match="artifact_not_found"):
            await Context(lost).read("key")

    run(scenario())


def test_an_overlay_that_changes_nothing_keeps_the_snapshot() -> None:
    async def scenario() -> None:
        store = MemoryStore()
        base = await stored(RunContext(MerkleMap.empty(), store.artifacts), {"a": 1}, store)
        same, blobs = await base.updated({"a": b"1"})
        blobs_of_nothing: list[Blob] = (await base.updated({}))[1]

        assert (same.snapshot_id, blobs, blobs_of_nothing) == (base.snapshot_id, [], [])

    run(scenario())


def test_tools_are_given_by_name_and_nothing_else_is_a_tool() -> None:
    plan = Plan("demo")

    @plan.state
    async def only(rec: Recorder) -> None:
        del rec

    assert plan.build().edges == ()
