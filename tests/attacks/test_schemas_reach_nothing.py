"""Schemas of waits that name places outside (docs/threats.md): nothing is ever fetched, in no part of a run's life."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

from interlock import App, Io, Plan
from interlock.base.canonical import canonical
from interlock.base.principal import local_principal
from interlock.engine.answer_schema import OUTSIDE, fault_in, validator
from interlock.engine.answer_work import LOST, NESTED
from interlock.engine.document.lint import Linter
from interlock.engine.part import PART
from interlock.engine.steps.call import StepHandlers
from interlock.engine.waits import misfit, misplaced

ADA = local_principal("ada")
RUN, OTHER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
SCHEMAS: dict[str, Any] = {
    "dialect": {"$schema": "URI"},
    "dialect of a member": {"properties": {"a": {"$schema": "URI"}}},
    "dialect of an embedded resource": {"properties": {"a": {"$id": "#k", "$schema": "URI"}}},
    "reference": {"$ref": "URI"},
    "reference in a list": {"anyOf": [{"type": "string"}, {"$ref": "URI#/a"}]},
    "dynamic reference": {"$dynamicRef": "URI"},
    "recursive reference": {"$schema": "https://json-schema.org/draft/2019-09/schema", "$recursiveRef": "URI"},
    "base of a reference": {"$id": "URI", "$ref": "other"},
    "base of a dynamic reference": {"$id": "URI", "$dynamicRef": "other"},
    "file": {"$ref": "file:///etc/hostname"},
}
OLD = {"$schema": "http://json-schema.org/draft-04/schema#", "id": "URI", "properties": {"a": {"$ref": "other"}}}


class Door:
    """A listening socket that nobody should come to."""

    def __init__(self, listening: socket.socket) -> None:
        self._listening = listening
        self.uri = f"http://127.0.0.1:{listening.getsockname()[1]}/meta"

    def schema(self, name: str) -> dict[str, Any]:
        """A schema whose places are behind this door."""
        found: dict[str, Any] = json.loads(json.dumps(SCHEMAS[name]).replace("URI", self.uri))
        return found

    def assert_unopened(self) -> None:
        """Nobody has connected: the kernel would hold the connection, with or without an accept."""
        try:
            connection, _ = self._listening.accept()
        except BlockingIOError:
            return
        connection.close()
        pytest.fail("somebody came to fetch")


@pytest.fixture
def door() -> Iterator[Door]:
    with door_that_listens() as found:
        yield found


@contextmanager
def door_that_listens() -> Iterator[Door]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        door = Door(listening)
        yield door
        door.assert_unopened()


def test_the_door_sees_who_comes() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        socket.create_connection(listening.getsockname()).close()
        with pytest.raises(pytest.fail.Exception):
            Door(listening).assert_unopened()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_document_with_such_a_schema_is_refused_and_reaches_nothing(door: Door, name: str) -> None:
    given = {"schema": door.schema(name), "timeout": "5m", "default": 1}
    document = {"pipeline": "x", "version": "1", "steps": [{"name": "a", "handler": "wait", "with": given}]}

    linted = Linter(StepHandlers(PART.steps)).content(json.dumps(document).encode(), "x.json")

    assert [each.rule for each in linted.findings] == ["schema_invalid"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_plan_that_asks_with_such_a_schema_reaches_nothing_in_all_its_life(
    door: Door, name: str, tmp_path: Path
) -> None:
    plan = Plan("ask")

    @plan.state
    async def first(io: Io) -> None:
        await io.wait("ready")

    @plan.state
    async def wait(io: Io) -> Any:
        return await io.wait("go", schema=door.schema(name))

    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            await app.runs.start(plan, run_id=RUN)
            await app.runs.control.signal(RUN, "wait", "go", {"a": 1}, principal=ADA)
            await app.runs.control.signal(RUN, "first", "ready", 1, principal=ADA)
            await app.runs.resume(RUN)
            ended = await app.runs.read.result(RUN)
            assert ended.phase == "failed"
            assert ended.error is not None
            assert ended.error.code == "wait_invalid"
            assert (await app.runs.replay(RUN)).divergence is None
            await app.runs.fork(RUN, "wait", run_id=OTHER)

    asyncio.run(main())


@pytest.mark.parametrize("name", [*SCHEMAS, "old"])
def test_an_answer_to_a_wait_that_was_recorded_with_such_a_schema_is_refused(door: Door, name: str) -> None:
    schema = door.schema(name) if name in SCHEMAS else json.loads(json.dumps(OLD).replace("URI", door.uri))
    raw = Raw(json.dumps(schema).encode())

    assert misfit(raw, b'{"a":1}') == "signal_invalid"
    assert misplaced(raw, b'{"a":1}') == "the schema itself is none"


def test_the_library_fetches_nothing_even_where_a_place_is_not_seen_before(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.engine.answer_schema.refers_outside", lambda _schema: False)

    for name in SCHEMAS:
        try:
            validator(door.schema(name)).is_valid({"a": 1})
        except ValueError:
            continue


@pytest.mark.parametrize(
    "dialect",
    [
        "http://json-schema.org/draft-04/schema#",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ],
)
def test_the_published_drafts_need_no_network(dialect: str) -> None:
    schema = {
        "$schema": dialect,
        "type": "object",
        "properties": {"$ref": {"type": "string"}, "id": {"type": "string"}},
    }
    raw = Raw(json.dumps(schema).encode())

    assert misfit(raw, b'{"$ref":"http://elsewhere/"}') is None
    assert misfit(raw, b"3") == "signal_invalid"


HARMLESS: dict[str, tuple[dict[str, Any], bytes, bytes]] = {
    "name of its own": ({"$id": "https://example.com/a.json", "type": "string"}, b'"x"', b"3"),
    "reference by its own name": (
        {"$id": "https://example.com/a.json", "$ref": "a.json#/$defs/x", "$defs": {"x": {"type": "string"}}},
        b'"x"',
        b"3",
    ),
    "reference by its whole name": (
        {
            "$id": "https://example.com/a",
            "$ref": "https://example.com/a#y",
            "$defs": {"x": {"$anchor": "y", "type": "null"}},
        },
        b"null",
        b"3",
    ),
    "constant": ({"const": {"$schema": "v1"}}, b'{"$schema":"v1"}', b"3"),
    "choice": ({"enum": [{"$ref": "http://elsewhere"}]}, b'{"$ref":"http://elsewhere"}', b"3"),
    "example": ({"type": "null", "examples": [{"$id": "x", "$ref": "y"}]}, b"null", b"3"),
    "default": ({"type": "null", "default": {"$dynamicRef": "y"}}, b"null", b"3"),
    "name in an old draft": (
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "$ref": "#y",
            "definitions": {"x": {"$id": "#y", "const": 1}},
        },
        b"1",
        b"3",
    ),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_only_looks_like_a_place_outside_is_taken(name: str) -> None:
    schema, fits, misfits = HARMLESS[name]

    assert fault_in(schema) is None
    assert misfit(Raw(canonical(schema)), fits) is None
    assert misfit(Raw(canonical(schema)), misfits) == "signal_invalid"


@pytest.mark.parametrize(
    ("schema", "fault"),
    [
        ({"$id": "https://example.com/a.json", "$ref": "b.json#/$defs/x"}, OUTSIDE),
        ({"$id": "https://json-schema.org/draft/2020-12/schema", "$ref": "#"}, OUTSIDE),
        ({"$id": "https://[a", "$ref": "b"}, OUTSIDE),
        ({"$id": "https://example.com/", "$ref": "https://[b"}, OUTSIDE),
        ({"properties": {"default": {"$ref": "http://elsewhere"}}}, OUTSIDE),
        ({"properties": {"a": {"$id": "https://example.com/b.json"}}}, NESTED),
        ({"properties": {"a": {"$id": "#b"}}}, NESTED),
        ({"$schema": "http://json-schema.org/draft-04/schema#", "not": {"id": "http://example.com/b"}}, NESTED),
        ({"$ref": "#/default", "default": {"$ref": "http://elsewhere"}}, LOST),
        ({"$ref": "#/enum/0/x", "enum": [{"x": {"type": "null"}}]}, LOST),
        ({"$ref": "#/$defs/y", "$defs": {"x": {}}}, LOST),
        ({"$ref": "#y", "$defs": {"x": {"$anchor": "y"}, "z": {"$anchor": "y"}}}, LOST),
    ],
)  # fmt: skip
def test_each_reference_that_cannot_be_followed_has_its_own_reason(schema: dict[str, Any], fault: str) -> None:
    assert fault_in(schema) == fault


def test_a_plan_is_told_that_its_schema_refers_outside(tmp_path: Path) -> None:
    plan = Plan("ask")

    @plan.state
    async def wait(io: Io) -> Any:
        return await io.wait("go", schema={"$ref": "http://elsewhere.example/x.json"})

    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            result = await app.runs.start(plan)
            assert result.error is not None
            assert "refers to another document" in result.error.message

    asyncio.run(main())
