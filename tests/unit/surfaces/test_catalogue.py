"""The catalogue: unique names, lookup with suggestions, schemas, permissions, and what it refuses to show."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError, Invalid
from interlock.base.part import Effect
from interlock.surfaces.catalogue import Catalogue, Permission
from tests.surfaces.toy import TOY, command

CATALOGUE = Catalogue(TOY.commands)


class StoreInput(Struct, frozen=True):
    store: str = ""


def test_a_command_is_found_by_noun_and_verb() -> None:
    assert CATALOGUE.get("counter.add").verb == "add"
    assert CATALOGUE.get("where").machine
    assert "counter.add" in CATALOGUE
    assert "counter.ad" not in CATALOGUE


def test_an_unknown_name_suggests_the_nearest() -> None:
    with pytest.raises(Invalid) as refused:
        CATALOGUE.get("counter.lst")

    assert refused.value.code == "command_unknown"
    assert "did you mean counter.list?" in refused.value.message


def test_a_name_that_is_far_from_all_suggests_nothing() -> None:
    with pytest.raises(Invalid) as refused:
        CATALOGUE.get("zzz\x1b[31m")

    assert "did you mean" not in refused.value.message
    assert "\x1b" not in refused.value.message


def test_nouns_and_their_verbs_keep_the_order_of_declaration() -> None:
    assert CATALOGUE.nouns() == ("counter", "run")
    assert [each.verb for each in CATALOGUE.verbs("counter")][:2] == ["add", "list"]
    assert [each.name for each in CATALOGUE.verbs("")] == ["where"]


def test_the_permission_table_has_one_row_for_each_command() -> None:
    rows = CATALOGUE.permissions()

    assert Permission("counter.add", "counter.add", Effect.CHANGES) in rows
    assert [row.command for row in rows] == [each.name for each in CATALOGUE]


def test_the_schema_of_an_input_refuses_unknown_members() -> None:
    schema = CATALOGUE.input_schema(CATALOGUE.get("counter.add"))
    definitions = schema["$defs"]

    assert isinstance(definitions, Mapping)
    assert definitions["AddInput"]["additionalProperties"] is False
    assert definitions["AddInput"]["properties"]["by"]["maximum"] == 100
    assert definitions["AddInput"]["required"] == ["name"]


def test_the_schema_of_an_output_names_its_records() -> None:
    schema = CATALOGUE.output_schema(CATALOGUE.get("counter.list"))

    assert schema["$ref"] == "#/$defs/ListOutput"


def test_every_schema_can_be_made() -> None:
    for each in CATALOGUE:
        assert CATALOGUE.input_schema(each)["$defs"]
        assert CATALOGUE.output_schema(each)["$defs"]


def test_a_name_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InterlockError, match="declared twice") as refused:
        Catalogue([*TOY.commands, TOY.commands[0]])

    assert refused.value.code == "command_unsound"


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        ({"noun": "Counter"}, "lower-case words"),
        ({"noun": "", "example": "interlock peek"}, "have no noun"),
        ({"positional": ("nope",)}, "no member nope"),
        ({"input": StoreInput}, "--store belongs to every verb"),
        ({"example": "interlock counter poke"}, "example does not show it"),
        ({"summary": " "}, "no summary"),
    ],
)
def test_a_declaration_that_no_surface_could_show_is_refused(declaration: dict[str, object], reason: str) -> None:
    with pytest.raises(InterlockError, match=reason) as refused:
        Catalogue([command("peek", handler=None, **declaration)])

    assert refused.value.code == "command_unsound"
