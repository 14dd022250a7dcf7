"""The catalogue of event types: what it can prove canonical, what it refuses, and old versions."""

from __future__ import annotations

import enum
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta, Raw, Struct

from interlock.base.canonical import canonical
from interlock.base.errors import Corruption, InterlockError, Invalid
from interlock.base.events import EventType
from interlock.journal.catalogue import EventCatalogue
from tests.unit.journal.bank import CATALOGUE, Deposited, Noted


class Colour(enum.Enum):
    RED = "red"


class Inner(Struct, frozen=True):
    a: int
    b: str | None


class Tagged(Struct, frozen=True, tag="tagged", tag_field="a"):
    b: int


class Sound(Struct, frozen=True):
    """Every kind of member that has a proven form."""

    colour: Colour
    free: Raw
    inner: Inner
    limited: Annotated[int, Meta(ge=0)]
    listed: list[str]
    literal: Literal["x", "y"]
    maybe: Inner | None
    pair: tuple[int, str]
    several: tuple[Inner, ...]
    tagged: Tagged
    text: str
    yes: bool


class Unordered(Struct, frozen=True):
    b: str
    a: str


class UnorderedWithin(Struct, frozen=True):
    item: tuple[Unordered, ...]


class TagBehind(Struct, frozen=True, tag="late", tag_field="type"):
    name: str


class Fraction(Struct, frozen=True):
    share: float


class Mapped(Struct, frozen=True):
    names: dict[str, int]


class Mixed(Struct, frozen=True):
    names: set[str]


class Frozenset(Struct, frozen=True):
    names: frozenset[str]


class Binary(Struct, frozen=True):
    content: bytes


class Free(Struct, frozen=True):
    value: Any


class MaybeFraction(Struct, frozen=True):
    share: str | float | None


class PairWithFraction(Struct, frozen=True):
    pair: tuple[int, float]


class Changeable(Struct):
    text: str


class HoldsChangeable(Struct, frozen=True):
    part: Changeable | None


class Loop(Struct, frozen=True):
    below: tuple[Loop, ...]


class Surrogates(Struct, frozen=True, rename={"a": "\uffff", "b": "\U0001f600"}):
    """In order by code points, not by the UTF-16 code units that RFC 8785 sorts by."""

    a: str
    b: str


class Many(Struct, frozen=True):
    counts: tuple[int, ...]
    free: Raw
    inner: Inner | None
    pair: tuple[str, int]


def catalogue(record: type[Struct]) -> EventCatalogue:
    return EventCatalogue([EventType("bank.tried", 1, record)])


def refused(*types: EventType) -> str:
    with pytest.raises(Invalid) as caught:
        EventCatalogue(types)
    assert caught.value.code == "event_type_unsound"
    return caught.value.message


# Soundness


def test_a_sound_record_is_encoded_to_the_canonical_bytes_of_its_members() -> None:
    text = '\x00\x1f\x7f\b\t\n\f\r"\\/\u2028é\U0001f600'
    record = Sound(
        Colour.RED,
        Raw(b'{"a":1.5,"b":[]}'),
        Inner(-1, None),
        7,
        ["b", "a"],
        "y",
        Inner(0, text),
        (2**53 - 1, "x"),
        (Inner(1, "1"), Inner(2, "2")),
        Tagged(3),
        text,
        yes=True,
    )

    kind, data = catalogue(Sound).encode(record)

    assert kind.name == "bank.tried"
    assert data == canonical(msgspec.json.decode(data))
    assert catalogue(Sound).decode("bank.tried", 1, data) == record


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Unordered, "alphabetical"),
        (UnorderedWithin, "item[]: members are not in alphabetical"),
        (TagBehind, "alphabetical"),
        (Surrogates, "alphabetical"),
        (Fraction, "share: FloatType"),
        (MaybeFraction, "share: FloatType"),
        (PairWithFraction, "pair[1]: FloatType"),
        (Mapped, "names: DictType"),
        (Mixed, "names: SetType"),
        (Frozenset, "names: FrozenSetType"),
        (Binary, "content: BytesType"),
        (Free, "value: AnyType"),
        (Changeable, "not frozen"),
        (HoldsChangeable, "part: a record is not frozen"),
        (Loop, "contains itself"),
    ],
)
def test_a_record_without_a_proven_form_is_refused_with_the_member_that_lacks_it(
    record: type[Struct], why: str
) -> None:
    assert why in refused(EventType("bank.tried", 1, record))


@pytest.mark.parametrize("name", ["tried", "bank.tried.twice", "Bank.tried", "bank.", "bank.tried\n", ""])
def test_a_type_is_named_by_its_part_and_itself(name: str) -> None:
    with pytest.raises(Invalid) as caught:
        EventCatalogue([EventType(name, 1, Deposited)])
    assert caught.value.code == "id_invalid"


def test_versions_count_from_1() -> None:
    refused(EventType("bank.tried", 0, Deposited))


def test_one_version_is_declared_once() -> None:
    old = EventType("bank.tried", 1, Deposited)

    assert "twice" in refused(old, EventType("bank.tried", 1, Noted))


def test_one_version_of_a_type_is_current_and_one_type_of_a_record() -> None:
    old = EventType("bank.tried", 1, Deposited)

    assert "current twice" in refused(old, EventType("bank.tried", 2, Noted))
    assert "current twice" in refused(old, EventType("bank.other", 1, Deposited))


# Values


@pytest.mark.parametrize(
    "record",
    [
        Many((1, 2**53), Raw(b"1"), None, ("x", 1)),
        Many((), Raw(b"1"), Inner(-(2**53), None), ("x", 1)),
        Many((), Raw(b"1"), None, ("x", 2**80)),
    ],
)
def test_an_integer_that_json_would_not_keep_is_refused(record: Many) -> None:
    with pytest.raises(Invalid) as caught:
        catalogue(Many).encode(record)
    assert caught.value.code == "json_integer_range"
    assert str(2**53) not in str(caught.value)


def test_the_largest_integers_are_kept_and_free_json_is_left_as_it_is() -> None:
    record = Many((2**53 - 1, 1 - 2**53), Raw(b"100000000000000000"), Inner(1, None), ("x", 0))

    _, data = catalogue(Many).encode(record)

    assert b"[9007199254740991,-9007199254740991]" in data
    assert b'"free":100000000000000000' in data


def test_text_with_half_a_character_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        CATALOGUE.encode(Noted("\ud800"))
    assert caught.value.code == "json_surrogate"


def test_a_record_of_no_part_is_refused() -> None:
    with pytest.raises(InterlockError) as caught:
        CATALOGUE.encode(Inner(1, None))
    assert caught.value.code == "event_type_unknown"


# Reading


def test_an_unknown_type_and_an_unknown_version_are_corruption() -> None:
    for name, version in (("bank.unheard", 1), ("bank.deposited", 2), ("bank.deposited", 0)):
        with pytest.raises(Corruption) as caught:
            CATALOGUE.decode(name, version, b'{"amount":1}')
        assert caught.value.details == {"type": name, "version": version}


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"amount":"1"}', b"{}", b'{"amount":1}x', b'{"text":"\xff"}'])
def test_data_that_is_not_of_its_type_is_corruption(data: bytes) -> None:
    for name in ("bank.deposited", "bank.noted"):
        with pytest.raises(Corruption) as caught:
            CATALOGUE.decode(name, 1, data)
        assert caught.value.code == "event_corrupt"


class Paid(Struct, frozen=True):
    """Today's record of `bank.paid`, version 3."""

    cents: int
    currency: str


def _from_1(data: bytes) -> Paid:
    return Paid(100 * msgspec.json.decode(data, type=dict[str, int])["euros"], "EUR")


def _from_2(data: bytes) -> Paid:
    return Paid(msgspec.json.decode(data, type=dict[str, int])["cents"], "EUR")


HISTORY = (
    (1, b'{"euros":5}', Paid(500, "EUR")),
    (2, b'{"cents":512}', Paid(512, "EUR")),
    (3, b'{"cents":7,"currency":"CHF"}', Paid(7, "CHF")),
)
VERSIONED = EventCatalogue(
    [
        EventType("bank.paid", 1, Paid, upcast=_from_1),
        EventType("bank.paid", 2, Paid, upcast=_from_2),
        EventType("bank.paid", 3, Paid),
    ]
)


@pytest.mark.parametrize(("version", "data", "record"), HISTORY)
def test_every_recorded_version_is_read_as_todays_record(version: int, data: bytes, record: Paid) -> None:
    assert VERSIONED.decode("bank.paid", version, data) == record


def test_only_todays_version_is_written() -> None:
    kind, data = VERSIONED.encode(Paid(7, "CHF"))

    assert (kind.version, data) == HISTORY[2][:2]


def test_an_old_version_whose_bytes_do_not_fit_is_corruption() -> None:
    with pytest.raises(Corruption):
        VERSIONED.decode("bank.paid", 1, b'{"euros":"five"}')


def test_a_declaration_can_be_found_again() -> None:
    found = VERSIONED.type_of("bank.paid", 2)

    assert found is not None
    assert found.version == 2
    assert VERSIONED.type_of("bank.paid", 4) is None
