"""The generated command line: what a line means, and that only the named noun is built."""

from __future__ import annotations

import shlex
from typing import Annotated

import pytest
from cyclopts import App, CycloptsError
from msgspec import Meta, Raw, Struct

from interlock.base.part import Command, Effect
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.build import Invocation, build
from interlock.surfaces.part import PART as SURFACES
from tests.surfaces.toy import TOY, command

CATALOGUE = Catalogue([*TOY.commands, *SURFACES.commands])


class Shapes(Struct, frozen=True):
    first: str
    second: str | None = None
    on: bool = True
    maybe: bool | None = None
    numbers: tuple[Annotated[int, Meta(ge=0)], ...] = ()
    free: Raw | None = None


SHAPES = command(
    "shape",
    input=Shapes,
    handler=None,
    positional=("first", "second"),
    example="interlock counter shape x",
)


def parsed(line: str, commands: tuple[Command, ...] = tuple(CATALOGUE)) -> Invocation:
    tokens = shlex.split(line)
    invocation = build(Catalogue(commands), only=tokens[0])(
        tokens, exit_on_error=False, print_error=False, result_action="return_value"
    )
    assert isinstance(invocation, Invocation)
    return invocation


def test_a_line_gives_the_members_that_it_names_and_no_others() -> None:
    found = parsed("counter add apples --by 3 --labels a --labels b --dry-run --note '[1]'")

    assert found.command.name == "counter.add"
    assert found.given == {
        "name": "apples",
        "by": 3,
        "labels": ["a", "b"],
        "dry_run": True,
        "note": "[1]",
    }
    assert parsed("counter add apples").given == {"name": "apples"}


@pytest.mark.parametrize(
    ("line", "given"),
    [
        ("counter shape a", {"first": "a"}),
        ("counter shape a b", {"first": "a", "second": "b"}),
        ("counter shape a --no-on", {"first": "a", "on": False}),
        ("counter shape a --maybe", {"first": "a", "maybe": True}),
        ("counter shape a --no-maybe", {"first": "a", "maybe": False}),
        ("counter shape a --numbers 1", {"first": "a", "numbers": [1]}),
        ("counter shape a --numbers 1 --numbers 2", {"first": "a", "numbers": [1, 2]}),
        ("counter shape a --free -", {"first": "a", "free": "-"}),
    ],
)
def test_every_shape_of_member_has_its_form(line: str, given: dict[str, object]) -> None:
    assert parsed(line, (SHAPES,)).given == given


def test_texts_that_look_like_json_lists_stay_texts() -> None:
    found = parsed("""counter add a --labels '["x"]' --labels y""")
    numbers = ("counter shape a --numbers '[1]'", (SHAPES,))

    assert found.given["labels"] == ['["x"]', "y"]
    with pytest.raises(CycloptsError):
        parsed(*numbers)


def test_options_of_every_verb_are_parsed_with_it() -> None:
    found = parsed("counter list --store a.db --config b.toml --json")

    assert (found.store, found.config, found.json) == ("a.db", "b.toml", True)


def test_a_document_that_is_needed_comes_from_standard_input_by_default() -> None:
    assert parsed("canonical").given == {"value": "-"}
    assert parsed("canonical 3 --digest").given == {"value": "3", "digest": True}


def test_a_machine_verb_takes_its_store_from_the_option_of_every_verb() -> None:
    found = parsed("where --store a.db")

    assert (found.given, found.store) == ({}, "a.db")


def test_only_the_verbs_of_the_named_noun_are_built() -> None:
    other = command("peek", noun="box", handler=None, example="interlock box peek")
    app = build(Catalogue([*TOY.commands, other]), only="box")

    assert verbs(app["box"]) == {"peek"}
    assert verbs(app["counter"]) == set()
    assert "where" in verbs(app)


def test_without_a_name_everything_is_built() -> None:
    assert verbs(build(CATALOGUE)["counter"]) == {each.verb for each in CATALOGUE.verbs("counter")}


def verbs(app: App) -> set[str]:
    return {name for name in app if not name.startswith("-")}


def test_the_example_of_every_toy_command_is_a_line_that_it_takes() -> None:
    for each in CATALOGUE:
        line = each.example.rpartition("interlock ")[2].partition(">")[0]
        assert parsed(line).command is each


def test_effects_do_not_change_the_line() -> None:
    forms = [
        command("shape", input=Shapes, handler=None, example="interlock counter shape", effect=effect)
        for effect in Effect
    ]

    assert [parsed("counter shape --first a", (form,)).given for form in forms] == [{"first": "a"}] * 3


class Pairs(Struct, frozen=True):
    input: Raw | None = None


def test_a_plug_in_that_loads_pydantic_does_not_change_what_a_line_means() -> None:
    import pydantic

    taking = command("take", input=Pairs, handler=None, example="interlock counter take")
    assert pydantic.VERSION
    assert parsed('counter take --input \'{"name": "Ada"}\'', (taking,)).given == {"input": '{"name": "Ada"}'}
    assert parsed("counter shape x --numbers 1 --free '[1]'", (SHAPES,)).given["free"] == "[1]"
