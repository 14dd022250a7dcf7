"""Members of input records: the rows that the command line and the reference pages are made of."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Raw, Struct

from interlock.base.ids import RunId
from interlock.surfaces.members import Kind, default_text, members_of


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Struct):
    depth: int = 0


class Everything(Struct, frozen=True):
    text: Annotated[str, Meta(min_length=1, max_length=9, description="Some text.")]
    run: Annotated[RunId | None, Meta(description="A run.")] = None
    number: Annotated[int, Meta(ge=1, le=5)] = 3
    above: Annotated[int, Meta(gt=0)] | None = None
    flag: bool = False
    on: bool = True
    colour: Colour = Colour.RED
    mode: Literal["fast", "safe"] | None = None
    tags: tuple[Annotated[str, Meta(max_length=5)], ...] = ()
    numbers: list[int] = []
    free: Raw | None = None
    open: Any = None
    inner: Inner | None = None
    inners: tuple[Inner, ...] = ()
    either: int | str = 1


MEMBERS = {member.name: member for member in members_of(Everything)}


@pytest.mark.parametrize(
    ("name", "kind", "repeated"),
    [
        ("text", Kind.TEXT, False),
        ("run", Kind.TEXT, False),
        ("number", Kind.INTEGER, False),
        ("flag", Kind.FLAG, False),
        ("colour", Kind.CHOICE, False),
        ("mode", Kind.CHOICE, False),
        ("tags", Kind.TEXT, True),
        ("numbers", Kind.INTEGER, True),
        ("free", Kind.JSON, False),
        ("open", Kind.JSON, False),
        ("inner", Kind.JSON, False),
        ("inners", Kind.JSON, False),
        ("either", Kind.JSON, False),
    ],
)
def test_the_type_of_a_member_says_how_it_is_written(name: str, kind: Kind, repeated: bool) -> None:
    assert (MEMBERS[name].kind, MEMBERS[name].repeated) == (kind, repeated)


def test_bounds_are_a_phrase_for_people() -> None:
    assert [MEMBERS[name].bounds for name in ("text", "number", "above", "tags", "flag")] == [
        "1 to 9 characters",
        "1 to 5",
        "at least 1",
        "at most 5 characters",
        "",
    ]


def test_choices_and_descriptions_come_from_the_types() -> None:
    assert MEMBERS["colour"].choices == ("red", "blue")
    assert MEMBERS["mode"].choices == ("fast", "safe")
    assert MEMBERS["run"].description == "A run."
    assert MEMBERS["text"].description == "Some text."


def test_only_a_member_without_default_is_required() -> None:
    assert [name for name, member in MEMBERS.items() if member.required] == ["text"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("number", "3"),
        ("colour", "red"),
        ("on", "yes"),
        ("flag", ""),
        ("tags", ""),
        ("mode", ""),
        ("text", ""),
    ],
)
def test_a_default_is_shown_as_a_person_would_write_it(name: str, text: str) -> None:
    assert default_text(MEMBERS[name]) == text


def test_free_json_is_handed_over_as_bytes() -> None:
    assert MEMBERS["free"].raw
    assert not MEMBERS["open"].raw
