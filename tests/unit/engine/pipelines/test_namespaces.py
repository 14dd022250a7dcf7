"""What a state of an operation sees of the context: its own keys, what it imports, and the input of the run."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.merkle_map import MerkleMap
from interlock.engine.context import Context, RunContext
from interlock.engine.pipelines.namespaces import OpContext
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.simulation.operations import sums


class Sample(Struct, frozen=True):
    """A record."""

    depth: int


def contexts() -> tuple[Context, OpContext, OpContext]:
    """The context of an attempt, as the run sees it, as `m.one` does, and as `m.two`, which imports `x` of `m.one`."""
    whole = Context(RunContext(MerkleMap.empty(), MemoryStore().artifacts))
    return whole, OpContext(whole, "m.one", {}), OpContext(whole, "m.two", {"x": "m.one"})


def test_a_key_is_kept_under_the_op_path() -> None:
    async def scenario() -> None:
        whole, one, two = contexts()
        one.write("y", 1)
        two.write("y", 2)

        assert await whole.dump() == {"m.one.y": 1, "m.two.y": 2}
        assert [await one.read("y"), await two.read("y"), await whole.read("y")] == [1, 2, None]

    run(scenario())


def test_an_imported_key_is_read_from_its_exporter_even_where_it_is_written_locally() -> None:
    async def scenario() -> None:
        whole, one, two = contexts()
        one.write("x", "of one")
        two.write("x", "of two")
        assert await two.read("x") == "of one"
        two.delete("x")

        assert await two.read("x") == "of one"
        assert await whole.dump() == {"m.one.x": "of one"}

    run(scenario())


def test_a_dump_shows_the_local_keys_alone() -> None:
    async def scenario() -> None:
        whole, one, two = contexts()
        whole.write("input", {"a": 1})
        one.write("x", 1)
        two.write("y.z", 2)

        assert await two.dump() == {"y.z": 2}

    run(scenario())


def test_values_are_read_by_their_type_wherever_they_stand() -> None:
    async def scenario() -> None:
        _, one, two = contexts()
        one.write("x", Sample(3))

        assert await two.read_typed("x", Sample) == Sample(3)
        assert await two.require("x", Sample) == Sample(3)
        assert await two.read_typed("missing", Sample) is None
        with pytest.raises(InterlockError, match="context_missing_key"):
            await two.require("missing", Sample)
        with pytest.raises(InterlockError, match="context_deserialize_failed"):
            await two.read_typed("x", int)

    run(scenario())


@pytest.mark.parametrize("path", ["m.one", "m.two"])
def test_every_operation_reads_the_input_of_the_run_and_none_writes_it(path: str) -> None:
    async def scenario() -> None:
        whole = Context(RunContext(MerkleMap.empty(), MemoryStore().artifacts))
        whole.write("input", {"a": 1})
        context = OpContext(whole, path, {})

        assert await context.read("input") == {"a": 1}
        with pytest.raises(InterlockError, match="context_key_reserved"):
            context.write("input", 2)
        with pytest.raises(InterlockError, match="context_key_reserved"):
            context.delete("input")
        assert await whole.read("input") == {"a": 1}

    run(scenario())


@pytest.mark.parametrize("key", ["", "a\nb", "k" * 510])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(InterlockError, match="id_invalid"):
        contexts()[1].write(key, 1)


def test_the_last_operation_that_exports_a_key_gives_it() -> None:
    async def scenario() -> dict[str, Any]:
        app = memory_app()
        result = await app.runs.start(sums(), {"count": 3})
        assert result.phase == "completed"
        return await app.runs.read.context(result.run_id)

    context = run(scenario())
    del context["pipeline"]
    assert context == {
        "input": {"count": 3},
        "sums.get.draft": [1, 2, 3],
        "sums.get.numbers": [10, 20, 30],
        "sums.first.numbers": [20, 40, 60],
        "sums.second.numbers": [40, 80, 120],
        "sums.end.total": 240,
        "sums.end.announce": "total 240",
    }
