"""Schemas of waits that take more than they look like (docs/threats.md): refused at once, or never begun with."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from msgspec import Raw, Struct, defstruct

from interlock import App, Io, Plan
from interlock.base.canonical import Json, canonical
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine.answer_schema import WORK_MAX, fault_in
from interlock.engine.answer_work import BEYOND, ENDLESS, Unbounded, Work
from interlock.engine.document.lint import Linter
from interlock.engine.part import PART
from interlock.engine.steps.call import StepHandlers
from interlock.engine.waits import misfit, misplaced, schema_of

ADA = local_principal("ada")
SECONDS_MAX = 5.0
RUN = "11111111-1111-4111-8111-111111111111"


def chained(length: int, link: Any, last: Any = True) -> dict[str, Any]:
    """Definitions of which each uses the next one, in `link(reference)`."""
    links = {f"a{n}": link({"$ref": f"#/$defs/a{n + 1}"}) for n in range(length)}
    return {"$ref": "#/$defs/a0", "$defs": {**links, f"a{length}": last}}


def nested(depth: int, value: Json = "x", *, name: str | None = "x") -> Json:
    """A value so deep, in members of a name or in lists."""
    for _ in range(depth):
        value = [value] if name is None else {name: value}
    return value


BOMBS: dict[str, dict[str, Any]] = {
    "all": chained(40, lambda ref: {"allOf": [ref, ref]}),
    "any": chained(40, lambda ref: {"anyOf": [ref, ref]}, {"type": "integer"}),
    "one": chained(40, lambda ref: {"oneOf": [ref, ref]}),
    "not": chained(40, lambda ref: {"not": ref, "allOf": [ref]}),
    "if": chained(40, lambda ref: {"if": ref, "then": ref, "else": ref}),
    "dependent": chained(40, lambda ref: {"dependentSchemas": {"x": ref, "y": ref}}),
    "members": chained(40, lambda ref: {"properties": {"x": ref}, "patternProperties": {"x": ref}}),
    "elements": chained(40, lambda ref: {"items": ref, "contains": ref}),
    "height": chained(300, lambda ref: {"allOf": [ref]}),
    "anchors": {
        "$ref": "#a0",
        "$defs": {f"a{n}": {"$anchor": f"a{n}", "allOf": [{"$ref": f"#a{n + 1}"}] * 2} for n in range(40)}
        | {"a40": {"$anchor": "a40"}},
    },
}
SLOW: dict[str, tuple[dict[str, Any], Json]] = {
    "members": ({"properties": {"x": {"$ref": "#"}}, "patternProperties": {"x": {"$ref": "#"}}}, nested(40)),
    "branches": ({"anyOf": [{"properties": {"x": {"$ref": "#"}}}] * 3}, nested(40)),
    "left over": ({"allOf": [{"additionalProperties": {"$ref": "#"}}], "unevaluatedProperties": True}, nested(40)),
    "elements": ({"items": {"$ref": "#"}, "contains": {"$ref": "#"}}, nested(40, name=None)),
    "wide": ({"items": {"allOf": [{"minimum": 0}] * 2_000}}, list(range(10_000))),
}


@pytest.fixture(autouse=True)
def in_a_moment() -> Iterator[None]:
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < SECONDS_MAX


@pytest.mark.parametrize("name", BOMBS)
def test_a_document_with_a_schema_that_unfolds_is_told_so_in_a_moment(name: str) -> None:
    given = {"schema": BOMBS[name], "timeout": "5m", "default": nested(5)}
    document = {"pipeline": "x", "version": "1", "steps": [{"name": "a", "handler": "wait", "with": given}]}

    linted = Linter(StepHandlers(PART.steps)).content(json.dumps(document).encode(), "x.json")

    assert [(each.rule, BEYOND in each.message) for each in linted.findings] == [("schema_invalid", True)]


@pytest.mark.parametrize("name", BOMBS)
def test_an_answer_to_a_wait_that_was_recorded_with_such_a_schema_is_refused(name: str) -> None:
    raw = Raw(canonical(BOMBS[name]))

    assert misfit(raw, canonical(nested(40))) == "signal_invalid"
    words = {"the schema itself is none", "the schema takes too much on a value of this size"}
    assert misplaced(raw, canonical(nested(40))) in words


@pytest.mark.parametrize("name", SLOW)
def test_a_value_on_which_a_schema_takes_too_much_is_refused(name: str) -> None:
    """The schema is one of few, and with smaller values it serves; the two together multiply."""
    schema, value = SLOW[name]
    raw, small = Raw(canonical(schema)), nested(3) if isinstance(value, dict) else nested(3, 1, name=None)

    assert fault_in(schema) is None
    assert misfit(raw, canonical(small)) is None
    assert misfit(raw, canonical(value)) == "signal_invalid"
    assert misplaced(raw, canonical(value)) == "the schema takes too much on a value of this size"


class Leaf(Struct):
    number: int


TYPE: Any = Leaf
for _level in range(6):
    TYPE = defstruct(f"Level{_level}", [(f"m{n}", TYPE | None, None) for n in range(6)])


def test_a_type_of_a_plan_is_held_against_small_answers_however_large_it_is() -> None:
    """A type is no stranger: only what it takes on the answer that is there counts."""
    raw = schema_of(TYPE, None)

    with pytest.raises(Unbounded, match=BEYOND):
        Work(msgspec.json.decode(raw)).check_expanded()
    assert misfit(raw, canonical({"m1": {"m2": None}})) is None
    assert misfit(raw, canonical({"m1": {"m2": 5}})) == "signal_invalid"


def test_a_place_is_not_looked_for_where_each_branch_would_tell_its_own() -> None:
    union = Raw(canonical({"items": {"anyOf": [{"type": "string"}, {"type": "boolean"}]}}))
    plain = Raw(canonical({"items": {"type": "string"}}))
    values = canonical([*["x"] * 30_000, 1])

    assert misfit(union, values) == "signal_invalid"
    assert misplaced(union, values) == "the schema takes too much on a value of this size"
    assert (
        misplaced(union, canonical(["x", 1]))
        == 'at $[1] the schema wants anyOf: [{"type":"string"},{"type":"boolean"}]'
    )
    assert misplaced(plain, values) == 'at $[30000] the schema wants type: "string"'


@pytest.mark.parametrize(
    "schema", [{"$ref": "#"}, {"allOf": [{"$ref": "#"}]}, chained(1, lambda ref: ref, {"$ref": "#"})]
)
def test_a_schema_that_is_itself_and_nothing_else_is_refused(schema: dict[str, Any]) -> None:
    assert fault_in(schema) == ENDLESS


JSON = {
    "$ref": "#/$defs/value",
    "$defs": {
        "value": {
            "anyOf": [
                {"type": ["string", "number", "boolean", "null"]},
                {"type": "array", "items": {"$ref": "#/$defs/value"}},
                {"type": "object", "additionalProperties": {"$ref": "#/$defs/value"}},
            ]
        }
    },
}
TREE = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "left": {"$ref": "#"},
        "right": {"$ref": "#"},
        "children": {"type": "array", "items": {"$ref": "#"}},
    },
}


def test_what_people_write_takes_little() -> None:
    """Schemas that refer back to themselves below, on deep values and on many: what meets one value does not grow."""
    deep: Json = {"name": "x"}
    for number in range(30):
        deep = {"name": "x", "children": [deep]} if number % 2 else {"name": "x", "left": deep, "right": {"name": "y"}}
    for schema, value in ((JSON, nested(60)), (JSON, [[{"a": [1, "x"]}] * 20_000]), (TREE, deep)):
        assert fault_in(schema) is None
        assert Work(schema).on(value, WORK_MAX) < WORK_MAX
        assert misfit(Raw(canonical(schema)), canonical(value)) is None


def test_a_plan_that_asks_with_a_schema_that_is_none_fails_at_once(tmp_path: Path) -> None:
    schemas = [{"type": "object", "required": 5}, BOMBS["all"], {"$ref": "#"}]
    words = ["the schema is no JSON Schema", BEYOND, ENDLESS]
    plan = Plan("ask")

    @plan.state
    async def wait(io: Io, number: int) -> Any:
        return await io.wait("go", schema=schemas[number])

    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            for number, said in enumerate(words):
                ended = await app.runs.start(plan, {"number": number})
                assert ended.error is not None
                assert (ended.error.code, ended.error.message) == ("wait_invalid", said)
                assert (await app.runs.replay(ended.run_id)).divergence is None

    asyncio.run(main())


def test_an_answer_to_a_wait_that_was_recorded_with_a_schema_that_is_none_is_refused_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan("ask")

    @plan.state
    async def wait(io: Io) -> Any:
        return await io.wait("go", schema={"type": "object", "required": 5})

    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            with monkeypatch.context() as patched:
                patched.setattr("interlock.engine.waits.fault_of", lambda _schema: None)
                await app.runs.start(plan, run_id=RUN)
            with pytest.raises(InterlockError) as refused:
                await app.runs.control.signal(RUN, "wait", "go", {"a": 1}, principal=ADA)
            assert refused.value.code == "signal_invalid"
            assert refused.value.message.endswith("the schema itself is none; what fits is a JSON object")

    asyncio.run(main())
