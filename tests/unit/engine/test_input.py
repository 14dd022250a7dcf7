"""The input of a run: what is refused before anything is written, and what is left to the run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec
import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.context import Context
from interlock.engine.io.live import LiveIo
from interlock.stores.memory import MemoryStore
from interlock.testing.app import dump, memory_app
from interlock.testing.loop import run


class Size(StrEnum):
    """A choice."""

    SMALL = "small"


@dataclass
class Item:
    """A record within an input."""

    name: str
    sizes: tuple[Size, ...] = (Size.SMALL,)


class Order(Struct):
    """A whole input."""

    item: Item
    tags: frozenset[str] = frozenset()


def greeting() -> Plan:
    plan = Plan("greeting")

    @plan.state
    async def find(name: str) -> str:
        return name

    @plan.state
    async def greet(find: str, times: int = 1, note: str | None = None) -> str:
        return f"{find} {note}" * times

    return plan


def refused(plan: Plan, given: object, **options: Any) -> InterlockError:
    """The refusal of a start, after which nothing at all is stored."""

    async def scenario() -> InterlockError:
        store = MemoryStore()
        with pytest.raises(InterlockError) as caught:
            await memory_app(store).runs.start(plan, given, **options)
        assert await dump(store) == []
        return caught.value

    return run(scenario())


def ended(plan: Plan, given: object = None, **options: Any) -> tuple[str, dict[str, Any]]:
    """The phase of a run, and its context."""

    async def scenario() -> tuple[str, dict[str, Any]]:
        app = memory_app()
        result = await app.runs.start(plan, given, **options)
        return result.phase, await app.runs.read.context(result.run_id)

    return run(scenario())


NOT_JSON: dict[str, object] = {
    "a value of type set": {"name": {1, 2}},
    "a value of type frozenset": {"name": ["a", frozenset("b")]},
    "a key of type int": {1: 2},
    "a key of type bool": {"name": {"deep": {True: 1}}},
    "a value of type bytes": {"name": b"Ada"},
    "a value of type datetime": {"name": datetime(2026, 1, 1, tzinfo=UTC)},
    "a value of type UUID": {"name": UUID(int=1)},
    "a value of type object": {"name": object()},
    "a value of type type": {"name": Item},
    "a value of type generator": {"name": (each for each in "ab")},
}


@pytest.mark.parametrize(("reason", "given"), NOT_JSON.items(), ids=NOT_JSON)
def test_an_input_that_is_not_json_is_refused_and_never_made_something_else(reason: str, given: object) -> None:
    fault = refused(greeting(), given)

    assert fault.code == "run_input_invalid"
    assert fault.message == f"the input is not JSON: {reason}"


def test_an_input_that_holds_itself_is_refused() -> None:
    given: dict[str, Any] = {}
    given["name"] = given

    assert refused(greeting(), given).message == "the input is nested too deeply"


def test_records_and_choices_are_taken_wherever_they_stand() -> None:
    plan = Plan("orders")

    @plan.state
    async def count(item: Item, tags: list[str]) -> int:
        return len(item.sizes) + len(tags)

    whole = Order(Item("lamp"), frozenset({"b", "a"}))
    inner = {"item": Item("lamp"), "tags": ["a", "b"]}
    plain = {"item": {"name": "lamp", "sizes": [Size.SMALL]}, "tags": ("a", "b")}

    assert ended(plan, whole) == ended(plan, inner) == ended(plan, plain)
    assert ended(plan, whole)[1]["item"] == {"name": "lamp", "sizes": ["small"]}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({}, "the input has no name, which the state find takes"),
        (None, "the input has no name, which the state find takes"),
        ({"nmae": "Ada"}, "the input has no name, which the state find takes; it has nmae: did you mean name?"),
        ({"other": "Ada"}, "the input has no name, which the state find takes"),
        ({"name": 1}, "name of the input is not what the state find takes: str"),
        ({"name": None}, "name of the input is not what the state find takes: str"),
        ({"name": "Ada", "times": "twice"}, "times of the input is not what the state greet takes: int"),
        ({"name": "Ada", "note": 1}, "note of the input is not what the state greet takes: str | None"),
    ],
)
def test_an_input_that_the_functions_of_a_plan_cannot_take_is_refused(given: object, words: str) -> None:
    fault = refused(greeting(), given)

    assert (fault.code, fault.message) == ("run_input_invalid", words)


@pytest.mark.parametrize(
    "given",
    [{"name": "Ada"}, {"name": "Ada", "times": None}, {"name": "Ada", "note": None}, {"name": "Ada", "more": [1]}],
)
def test_what_has_a_default_may_be_left_out_or_null_and_more_may_be_given(given: object) -> None:
    assert ended(greeting(), given)[0] == "completed"


def test_the_value_of_a_mistyped_member_is_not_repeated() -> None:
    assert "hunter2" not in refused(greeting(), {"name": {"hunter2": 1}}).message


def test_what_an_earlier_state_may_write_is_left_to_the_run() -> None:
    plan = Plan("written")

    @plan.state
    async def prepare(ctx: Context) -> None:
        ctx.write("depth", 3)

    @plan.state(after=[prepare])
    async def use(depth: int) -> int:
        return depth + 1

    assert ended(plan)[1]["use"] == 4
    assert ended(plan, {"depth": "replaced"})[1]["use"] == 4


def test_what_a_state_of_another_kind_may_write_is_left_to_the_run() -> None:
    class Writes:
        def meta(self) -> Any:
            from interlock.engine.meta import StateMeta

            return StateMeta()

        async def handle(self, ctx: Context, _io: LiveIo, _rec: Recorder) -> None:
            ctx.write("depth", 3)

    plan = Plan("written").add("prepare", Writes())

    @plan.state(after=["prepare"])
    async def use(depth: int) -> int:
        return depth + 1

    assert ended(plan)[1]["use"] == 4


def test_a_state_that_is_skipped_asks_fornothing() -> None:
    plan = Plan("skipping")

    @plan.state(tags=["slow"])
    async def survey(site: str) -> str:
        return site

    assert ended(plan, config=RunConfig(skip_tags=("slow",)))[0] == "completed"
    assert refused(plan, None).message == "the input has no site, which the state survey takes"


def test_a_parent_learns_that_its_child_cannot_take_its_input() -> None:
    child = greeting()
    plan = Plan("parent")

    @plan.state
    async def ask(io: LiveIo) -> str:
        try:
            await io.child(child, {"name": 1}, name="it")
        except InterlockError as fault:
            return fault.code
        return "started"

    assert ended(plan)[1]["ask"] == "run_input_invalid"


def test_a_run_that_is_there_is_attached_to_by_its_manifest_alone() -> None:
    """A run that was started before a plan asked for more is not lost."""

    async def scenario() -> None:
        app = memory_app()
        lenient, strict = Plan("demo"), Plan("demo")

        @lenient.state(name="only")
        async def one(name: str = "x") -> str:
            return name

        @strict.state(name="only")
        async def two(name: str) -> str:
            return name

        first = await app.runs.start(lenient, run_id=str(UUID(int=1)))
        assert await app.runs.start(strict, run_id=str(UUID(int=1))) == first

    run(scenario())


# Bounds


def bounded(setting: str, limit_bytes: int, plan: Callable[[], Plan], given: object = None) -> str | None:
    """The code with which a run of `plan` is refused or fails under a bound; None if it completes."""

    async def scenario() -> str | None:
        app = memory_app(settings={"engine": {setting: limit_bytes}})
        try:
            result = await app.runs.start(plan(), given)
        except InterlockError as fault:
            return fault.code
        return None if result.error is None else result.error.code

    return run(scenario())


@pytest.mark.parametrize("given", [{"a": "x" * 50, "é": [1, 2.5]}, {"a": 1}, {}])
def test_an_input_is_bounded_to_the_byte(given: dict[str, Any]) -> None:
    def plan() -> Plan:
        plan = Plan("demo")
        plan.state(nothing)
        return plan

    size_bytes = len(msgspec.json.encode(given))

    assert bounded("input_bytes_max", size_bytes, plan, given) is None
    if size_bytes > 2:
        assert bounded("input_bytes_max", size_bytes - 1, plan, given) == "run_input_too_large"


async def nothing() -> None:
    await asyncio.sleep(0)


def test_an_input_above_the_bound_writesnothing_and_tells_the_bound() -> None:
    fault = refused(greeting(), {"name": "x" * (15 * 1024 * 1024)})

    assert fault.code == "run_input_too_large"
    assert fault.details == {"limit_bytes": 15 * 1024 * 1024}


def test_a_manifest_that_could_not_be_read_again_is_refused() -> None:
    config = RunConfig(skip_tags=("x" * 2_000_000,))

    assert refused(greeting(), {"name": "x" * (15 * 1024 * 1024 - 20)}, config=config).code == "run_input_too_large"


@pytest.mark.parametrize("way", ["returned", "written"])
def test_a_value_of_the_context_is_bounded_to_the_byte(way: str) -> None:
    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def only(ctx: Context) -> str | None:
            if way == "returned":
                return "x" * 98
            ctx.write("value", "x" * 98)
            return None

        return plan

    assert bounded("context_value_bytes_max", 100, plan) is None
    assert bounded("context_value_bytes_max", 99, plan) == "context_value_too_large"


@pytest.mark.parametrize("way", ["artifact", "fact"])
def test_an_artifact_is_bounded_to_the_byte(way: str) -> None:
    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def only(io: LiveIo, rec: Recorder) -> None:
            if way == "fact":
                await io.record_value("key", "x" * 98)
            else:
                await rec.artifact("Output", b"x" * 100)

        return plan

    assert bounded("artifact_bytes_max", 100, plan) is None
    assert bounded("artifact_bytes_max", 99, plan) == "artifact_too_large"
