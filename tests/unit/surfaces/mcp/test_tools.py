"""The catalogue as tools: names, schemas, what is allowed, and what a call takes."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.part import CallContext, Command, Effect
from interlock.parts import PARTS
from interlock.surfaces.mcp.schemas import rooted
from interlock.surfaces.mcp.tools import Toolbox, encoded, form_of, tool_name, within, without_command_id

COMMANDS = [command for part in PARTS for command in part.commands]


class Given(Struct, frozen=True):
    """A tree of names."""

    name: str
    below: list[Given] = []


async def never(_ctx: CallContext, _given: Any) -> Given:
    raise AssertionError("no test calls it")


def command(verb: str, effect: Effect, *, machine: bool = False, noun: str = "tree-house") -> Command:
    noun = "" if machine else noun
    return Command(noun, verb, Given, Given, never, "Do it.", f"interlock {noun} {verb}", "p", effect, machine=machine)


READS, CHANGES = command("read-all", Effect.READS), command("change", Effect.CHANGES)
STARTS, MACHINE = command("start", Effect.STARTS), command("up", Effect.STARTS, machine=True)
BOX = [READS, CHANGES, STARTS, MACHINE]


@pytest.mark.parametrize(
    ("allowed", "offered"),
    [
        ("reads", ["tree_house_read_all"]),
        ("changes", ["tree_house_read_all", "tree_house_change"]),
        ("starts", ["tree_house_read_all", "tree_house_change", "tree_house_start"]),
    ],
)
def test_only_what_is_allowed_is_offered_and_never_a_verb_about_the_machine(allowed: Any, offered: list[str]) -> None:
    toolbox = Toolbox(BOX, within(allowed))
    assert [form.name for form in toolbox.offered()] == offered
    assert [toolbox.command(name).name for name in offered] == [each.name for each in BOX[: len(offered)]]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("tree_house_start", "mcp_tool_not_allowed"),
        ("up", "command_unknown"),
        ("tree_house_chang", "command_unknown"),
        ("", "command_unknown"),
    ],
)
def test_every_other_tool_is_refused_with_a_code(name: str, code: str) -> None:
    with pytest.raises(InterlockError) as refused:
        Toolbox(BOX, within("reads")).command(name)
    assert refused.value.code == code


def test_what_changes_something_takes_an_id_under_which_it_takes_effect_once() -> None:
    assert "command_id" in form_of(CHANGES).input_schema["properties"]
    assert "command_id" not in form_of(READS).input_schema["properties"]
    assert without_command_id(CHANGES, {"name": "a", "command_id": "c"}) == ({"name": "a"}, "c")
    assert without_command_id(CHANGES, {"name": "a"}) == ({"name": "a"}, None)
    assert without_command_id(READS, {"command_id": "c"}) == ({"command_id": "c"}, None)


def test_a_record_that_names_itself_keeps_its_definition() -> None:
    schema = form_of(READS).output_schema
    assert schema["type"] == "object"
    assert jsonschema_rs.is_valid(schema, {"name": "a", "below": [{"name": "b", "below": []}]})
    assert not jsonschema_rs.is_valid(schema, {"name": "a", "below": [{"name": 1}]})


def test_a_schema_without_a_record_at_its_top_is_left_alone() -> None:
    assert rooted({"type": "string", "pattern": r"\Aa\Z"}) == {"type": "string", "pattern": "^a$"}


def test_an_output_is_text_and_the_same_as_a_value() -> None:
    assert encoded(Given("a")) == ('{"name":"a","below":[]}', {"name": "a", "below": []})


@pytest.mark.parametrize("found", [each for each in COMMANDS if not each.machine], ids=lambda each: each.name)
def test_every_command_of_the_product_has_sound_schemas_and_an_honest_description(found: Command) -> None:
    form = form_of(found)
    for schema in (form.input_schema, form.output_schema):
        assert schema["type"] == "object"
        jsonschema_rs.validator_for(schema)
    assert form.input_schema["additionalProperties"] is False
    words = {Effect.READS: "only reads", Effect.CHANGES: "changes something", Effect.STARTS: "starts work"}
    assert form.description == f"{found.summary} It {words[found.effect]}."
    assert form.reads == (found.effect is Effect.READS)


def test_no_two_commands_have_one_tool() -> None:
    names = [tool_name(each) for each in COMMANDS if not each.machine]
    assert len(set(names)) == len(names)
