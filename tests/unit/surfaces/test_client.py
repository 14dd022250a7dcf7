"""The client: the one door to the product, and what it lets through."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Raw, Struct

from interlock.base.bounds import JSON_BYTES_MAX
from interlock.base.canonical import canonical
from interlock.base.errors import Invalid
from interlock.base.ids import RunId
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import local_principal
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.client import Client

Service = TypeVar("Service")


class Inner(Struct, frozen=True, forbid_unknown_fields=True):
    depth: Annotated[int, Meta(ge=0, le=9)] = 0


class Given(Struct, frozen=True):
    name: Annotated[str, Meta(min_length=1, max_length=8, description="A name.")]
    run: Annotated[RunId | None, Meta(description="A run: a UUID.")] = None
    by: Annotated[int, Meta(ge=1, le=5)] = 1
    free: Raw | None = None
    open: Any = None
    inner: Inner | None = None
    labels: tuple[str, ...] = ()


class Answer(Struct, frozen=True):
    given: Given
    actor: str
    command_id: str | None
    thread: str


async def echo(ctx: CallContext, given: Given) -> Answer:
    return Answer(given, ctx.principal.id, ctx.command_id, threading.current_thread().name)


class NoServices:
    def get(self, kind: type[Service]) -> Service:
        raise KeyError(kind.__name__)


CLIENT = Client(
    Catalogue(
        [
            Command(
                "thing",
                "echo",
                Given,
                Answer,
                echo,
                "Give back what was given.",
                "interlock thing echo",
                "thing.echo",
                Effect.READS,
            )
        ]
    ),
    local_principal("ada"),
    NoServices(),
)


def call(given: Struct | Mapping[str, object], command_id: str | None = None) -> Answer:
    answer = asyncio.run(CLIENT.call("thing.echo", given, command_id=command_id))
    assert isinstance(answer, Answer)
    return answer


def refusal(given: Struct | Mapping[str, object]) -> Invalid:
    with pytest.raises(Invalid) as refused:
        call(given)
    return refused.value


def test_a_call_runs_the_handler_for_the_principal_of_the_client() -> None:
    answer = call({"name": "a", "by": 2}, command_id="once")

    assert answer.given == Given("a", by=2)
    assert (answer.actor, answer.command_id) == ("local:ada", "once")


def test_a_record_is_as_good_as_a_mapping() -> None:
    record = Given("a", by=3, free=Raw(b'{"b": 1.0, "a": 2}'), inner=Inner(4), labels=("x",))
    answer = call(record)

    assert answer.given.inner == Inner(4)
    assert answer.given.labels == ("x",)
    assert answer.given.free is not None
    assert bytes(answer.given.free) == b'{"a":2,"b":1}'


def test_a_record_with_wrong_values_is_refused_like_a_mapping() -> None:
    assert refusal(Given("", by=1)).details["place"] == "name"


def test_an_absent_free_value_stays_absent_and_null_is_null() -> None:
    assert call({"name": "a"}).given.free is None
    assert call(Given("a")).given.free is None
    found = call({"name": "a", "free": None}).given.free
    assert found is not None
    assert bytes(found) == b"null"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
        max_leaves=8,
    )
)
def test_free_json_arrives_as_its_canonical_bytes(value: Any) -> None:
    found = call({"name": "a", "free": value, "open": value}).given

    assert found.free is not None
    assert bytes(found.free) == canonical(value)
    assert found.open == value


@pytest.mark.parametrize(
    ("given", "code", "place", "words"),
    [
        ({}, "input_invalid", "name", "needed"),
        ({"name": "a", "nmae": 1}, "input_invalid", "nmae", "did you mean name?"),
        ({"name": ""}, "input_invalid", "name", "1 to 8 characters"),
        ({"name": "much too long"}, "input_invalid", "name", "1 to 8 characters"),
        ({"name": 5}, "input_invalid", "name", "expected `str`, got `int`"),
        ({"name": "a", "by": 0}, "input_invalid", "by", "1 to 5"),
        ({"name": "a", "by": "2"}, "input_invalid", "by", "expected `int`, got `str`"),
        ({"name": "a", "run": "nope"}, "input_invalid", "run", "A run: a UUID."),
        ({"name": "a", "inner": {"depth": 10}}, "input_invalid", "inner.depth", "<= 9"),
        ({"name": "a", "inner": {"width": 1}}, "input_invalid", "inner.width", "not known"),
        ({"name": "a", "labels": ["x", 2]}, "input_invalid", "labels[1]", "expected `str`"),
        ({"name": "a", "open": object()}, "input_invalid", "open", "not JSON"),
        ({"name": "a", "open": {1: 2}}, "json_type", "open/0", "key"),
        ({"name": "a", "free": float("nan")}, "json_non_finite", "free", "finite"),
        ({"name": "a", "free": 2**53}, "json_integer_range", "free", "2^53"),
        ({"name": "a\ud800"}, "json_surrogate", "name", "surrogate"),
    ],
)
def test_what_cannot_be_accepted_is_refused_with_its_place(
    given: dict[str, object], code: str, place: str, words: str
) -> None:
    refused = refusal(given)

    assert refused.code == code
    assert refused.details["place"] == place
    assert words in refused.message


def test_a_refusal_never_repeats_the_value() -> None:
    for values in (
        {"name": "hunter2 hunter2"},
        {"name": "a", "run": "hunter2"},
        {"name": "a", "by": "hunter2"},
    ):
        assert "hunter2" not in str(refusal(values)) + str(refusal(values).details)


def test_input_beyond_the_bound_is_refused() -> None:
    half = "x" * (JSON_BYTES_MAX // 2)

    assert refusal({"name": "a", "free": half, "open": half}).code == "json_too_large"


def test_free_json_may_be_nested_as_deep_as_any_document() -> None:
    deep: object = 1
    for _ in range(64):
        deep = [deep]

    assert call({"name": "a", "free": deep}).given.free is not None
    assert refusal({"name": "a", "free": [deep]}).code == "json_too_deep"


def test_a_bad_command_id_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        call({"name": "a"}, command_id="x" * 201)

    assert refused.value.code == "id_invalid"


def test_the_sync_twin_needs_no_loop() -> None:
    answer = CLIENT.call_sync("thing.echo", {"name": "a"})

    assert isinstance(answer, Answer)
    assert answer.given.name == "a"


def test_the_sync_twin_runs_on_the_loop_of_the_application() -> None:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the loop")
    thread.start()
    try:
        client = Client(CLIENT.catalogue, local_principal("ada"), NoServices(), loop=loop)
        answer = client.call_sync("thing.echo", {"name": "a"})
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    assert isinstance(answer, Answer)
    assert answer.thread == "the loop"
