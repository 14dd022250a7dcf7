"""Which attributes a CloudEvent may have, and where a wrong one is named."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.cloud_attributes import ATTRIBUTE_CHARACTERS_MAX, EXTENSIONS_MAX, incoming
from interlock.base.errors import Invalid

SOUND: dict[str, Any] = {"specversion": "1.0", "id": "1", "source": "/a", "type": "t"}


def place_of(attributes: dict[str, Any]) -> object:
    with pytest.raises(Invalid) as caught:
        incoming(attributes, "")
    assert caught.value.code == "cloud_event_malformed"
    return caught.value.details["place"]


@pytest.mark.parametrize("name", SOUND)
def test_a_required_attribute_that_is_missing_is_named(name: str) -> None:
    assert place_of({each: value for each, value in SOUND.items() if each != name}) == name


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("specversion", "0.3"),
        ("specversion", 1.0),
        ("id", ""),
        ("id", 7),
        ("id", "a\nb"),
        ("id", "\ufffe"),
        ("source", "no spaces here"),
        ("source", "/a%2"),
        ("source", ""),
        ("type", True),
        ("subject", ""),
        ("time", "2026-02-30T00:00:00Z"),
        ("time", "2026-01-01 00:00:00Z"),
        ("time", "2026-01-01T24:00:00Z"),
        ("time", "2026-01-01T00:00:00"),
        ("time", "٢026-01-01T00:00:00Z"),
        ("datacontenttype", "json"),
        ("datacontenttype", "application/json;;;=x"),
        ("dataschema", "/relative"),
        ("number", 2**31),
        ("number", -(2**31) - 1),
        ("number", 1.5),
        ("list", ["a"]),
        ("object", {"a": 1}),
        ("text", "\x85"),
        ("text", "a" * (ATTRIBUTE_CHARACTERS_MAX + 1)),
    ],
)
def test_a_value_that_breaks_its_form_is_named_and_not_repeated(name: str, value: object) -> None:
    assert place_of({**SOUND, name: value}) == name


@pytest.mark.parametrize("name", ["Upper", "with-hyphen", "under_score", "", "data", "data_base64", "é", "a" * 65])
def test_a_name_is_lower_case_letters_and_digits(name: str) -> None:
    assert place_of({**SOUND, name: "x"}) == "an attribute"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("source", "urn:uuid:6e8bc430-9c3a-11d9-9669-0800200c9a66"),
        ("source", "https://[::1]/a?b=c#d"),
        ("source", "cloudevents/spec/pull/123"),
        ("time", "2018-04-05T17:31:00.123456789Z"),
        ("time", "1937-01-01T12:00:27.87+00:20"),
        ("time", "1990-12-31T23:59:60Z"),
        ("datacontenttype", 'multipart/form-data; boundary="a b"'),
        ("datacontenttype", "application/vnd.api+json; charset=utf-8"),
        ("dataschema", "https://schemas.example/a.json"),
        ("subject", "mynewfile.jpg"),
        ("type", "Καλημέρα 🦉"),
    ],
)
def test_what_the_specification_allows_is_taken_as_it_is(name: str, value: str) -> None:
    assert getattr(incoming({**SOUND, name: value}, ""), name) == value


def test_extensions_keep_their_types_and_their_number_is_bounded() -> None:
    given = {"flag": False, "number": -(2**31), "text": ""}

    assert incoming({**SOUND, **given}, "").extensions == given
    assert place_of({**SOUND, **{f"x{n}": 1 for n in range(EXTENSIONS_MAX + 1)}}) == "extensions"


@given(st.dictionaries(st.text(max_size=12), st.one_of(st.text(max_size=12), st.integers(), st.none(), st.floats())))
def test_whatever_is_given_is_an_event_or_refused_with_a_place(members: dict[str, Any]) -> None:
    try:
        event = incoming({**SOUND, **members}, "7/")
    except Invalid as fault:
        assert str(fault.details["place"]).startswith("7/")
    else:
        assert event.id
