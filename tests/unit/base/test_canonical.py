"""Canonical JSON: exact order and spelling, and a refusal with code and place for all that is not JSON."""

from __future__ import annotations

import enum
import hashlib
import json
import uuid
from collections import OrderedDict
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

import msgspec
import orjson
import pytest

from interlock.base.bounds import INTEGER_MAX, JSON_DEPTH_MAX
from interlock.base.canonical import (
    Json,
    canonical,
    canonical_digest,
    digest,
    encode_checked,
    is_canonical,
    parse,
)
from interlock.base.errors import Invalid

HUGE = 10**5_000
# U+FB33 sorts before U+1F600 by code point, and after it by UTF-16 unit.
HEBREW, EMOJI = "\ufb33", "\U0001f600"


class Word(enum.StrEnum):
    A = "a"


class Number(enum.IntEnum):
    ONE = 1


class Pair(NamedTuple):
    left: int
    right: int


class Text(str):
    __slots__ = ()


def refused(value: object) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        canonical(value)
    return refusal.value


def refused_text(text: bytes | str) -> Invalid:
    with pytest.raises(Invalid) as refusal:
        parse(text)
    return refusal.value


def nested(levels: int, inner: Json = 0) -> Json:
    value = inner
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


# Order and spelling


def test_m12_keys_sort_by_utf_16_units_and_not_by_code_points() -> None:
    assert canonical({HEBREW: 1, EMOJI: 2}) == f'{{"{EMOJI}":2,"{HEBREW}":1}}'.encode()
    assert canonical([{HEBREW: [{EMOJI: 1, HEBREW: 2}]}]) == f'[{{"{HEBREW}":[{{"{EMOJI}":1,"{HEBREW}":2}}]}}]'.encode()


@pytest.mark.parametrize("common", ["", "a", "é", "\ud7ff", "\ue000", EMOJI])
def test_two_keys_sort_by_their_first_different_unit_wherever_it_stands(common: str) -> None:
    value = {common + HEBREW: 1, common + EMOJI: 2, common + "z": 3, common: 4}
    by_units = sorted(value, key=lambda key: key.encode("utf-16-be"))

    assert list(json.loads(canonical(value))) == by_units


def test_an_emoji_in_a_value_leaves_the_order_of_plain_keys_alone() -> None:
    assert canonical({"b": EMOJI, "a": HEBREW}) == f'{{"a":"{HEBREW}","b":"{EMOJI}"}}'.encode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (-0.0, b"0"),
        (1.0, b"1"),
        (1e21, b"1e+21"),
        (1e-7, b"1e-7"),
        (5e-324, b"5e-324"),
        (float(2**53), b"9007199254740992"),
        (INTEGER_MAX, b"9007199254740991"),
        (-INTEGER_MAX, b"-9007199254740991"),
        ((1, (2.5, [])), b"[1,[2.5,[]]]"),
        ([None, True, False, {}], b"[null,true,false,{}]"),
        ('\x00\x1f\x7f"\\/\b\t\n\f\r', b'"\\u0000\\u001f\x7f\\"\\\\/\\b\\t\\n\\f\\r"'),
        ("A\u030a", '"A\u030a"'.encode()),
    ],
    ids=repr,
)
def test_a_value_is_spelled_as_the_rfc_says(value: object, expected: bytes) -> None:
    assert canonical(value) == expected
    assert is_canonical(expected)


def test_a_float_anywhere_is_spelled_right_also_deep_among_plain_values() -> None:
    assert canonical({"a": [{"b": 1, "c": [1.0, 1e-7, 2]}]}) == b'{"a":[{"b":1,"c":[1,1e-7,2]}]}'


def test_beside_a_float_keys_are_sorted_and_texts_are_spelled_as_without_one() -> None:
    plain = {HEBREW: "\x1f\x7f", 'b"': (None, True, {}), "a": [[], 7], "a\n": "é", "": "\u2028"}
    beside = {**plain, "zz": 0.5}

    assert canonical(beside) == canonical({**plain, "zz": 7}).replace(b'"zz":7', b'"zz":0.5')


def test_a_digest_is_the_sha_256_of_the_canonical_bytes() -> None:
    assert digest(b"abc") == hashlib.sha256(b"abc").hexdigest()
    assert canonical_digest({"b": 1, "a": 2}) == hashlib.sha256(b'{"a":2,"b":1}').hexdigest()


# What canonical refuses


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("astral", [False, True])
def test_a_number_that_is_not_finite_is_refused_at_its_place(number: float, astral: bool) -> None:
    fault = refused({"a": 1, EMOJI if astral else "b": ["x", number]})

    assert (fault.code, fault.details["place"]) == ("json_non_finite", "/1/1")


@pytest.mark.parametrize(
    "number",
    [INTEGER_MAX + 1, -INTEGER_MAX - 1, 2**63, 2**64, HUGE, -HUGE],
    ids=["2^53", "-2^53", "2^63", "2^64", "huge", "-huge"],
)
@pytest.mark.parametrize("beside", [1, 0.5])
def test_an_integer_beyond_53_bits_is_refused_at_its_place(number: int, beside: float) -> None:
    fault = refused([beside, {"n": number}])

    assert (fault.code, fault.details["place"]) == ("json_integer_range", "/1/0")
    assert "string" in fault.advice


@pytest.mark.parametrize(
    "value",
    [
        "\ud800",
        ["a", "\udfff"],
        {"\ud800": 1},
        {"a": "\udc00"},
        {f"{EMOJI}\udc00": 1},
        {HEBREW: 0.5, EMOJI: "x\ud83dx"},
        [0.5, "\ud800"],
    ],
)
def test_a_lone_surrogate_is_refused_in_text_and_in_keys_on_every_path(value: object) -> None:
    assert refused(value).code == "json_surrogate"


NOT_JSON: dict[str, object] = {
    "integer key": {1: 2},
    "null key": {None: 1},
    "key of a subclass": {Text("a"): 1},
    "enum key": {Word.A: 1},
    "text of a subclass": Text("a"),
    "string enum": Word.A,
    "integer enum": Number.ONE,
    "uuid": uuid.UUID(int=0),
    "time": datetime(2026, 1, 1, tzinfo=UTC),
    "decimal": Decimal(1),
    "bytes": b"a",
    "set": {1, 2},
    "named tuple": Pair(1, 2),
    "ordered dict": OrderedDict(a=1),
    "fragment": orjson.Fragment(b"1"),
    "raw": msgspec.Raw(b"1"),
    "object": object(),
}


@pytest.mark.parametrize("value", NOT_JSON.values(), ids=NOT_JSON.keys())
@pytest.mark.parametrize("beside", [0, 0.5, {EMOJI: 1}], ids=["plain", "float", "astral"])
def test_what_is_not_exactly_a_json_type_is_refused(value: object, beside: object) -> None:
    fault = refused([beside, value])

    assert fault.code == "json_type"
    assert str(fault.details["place"]).startswith("/1")


@pytest.mark.parametrize("inner", [0, 0.5, EMOJI], ids=["plain", "float", "astral"])
def test_nesting_is_bounded_to_the_level(inner: Json) -> None:
    assert canonical(nested(JSON_DEPTH_MAX, inner)).count(b"[") == JSON_DEPTH_MAX // 2
    assert refused(nested(JSON_DEPTH_MAX + 1, inner)).code == "json_too_deep"


def test_a_value_that_holds_itself_is_refused_as_too_deep() -> None:
    loop: list[object] = [0.5]
    loop += [loop, loop]
    circle: dict[str, object] = {}
    circle.update(a=circle, b=circle)

    assert refused(loop).code == "json_too_deep"
    assert refused(circle).code == "json_too_deep"
    assert refused(nested(100_000)).code == "json_too_deep"


def test_no_refusal_repeats_a_value_or_a_key() -> None:
    canary = "canary7f3a"
    for value in ({canary: float("nan")}, {canary: {1, canary}}, [canary, canary + "\ud800"], {canary: HUGE}):
        fault = refused(value)
        assert canary not in f"{fault}{fault.details}{fault!r}"


def test_a_typed_encoder_gets_the_same_code_for_a_lone_surrogate() -> None:
    assert encode_checked(msgspec.json.encode, {"a": 1}) == b'{"a":1}'
    with pytest.raises(Invalid) as refusal:
        encode_checked(msgspec.json.encode, ["\ud800"])
    assert refusal.value.code == "json_surrogate"


# The door


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ('{"a": 1,\n "a": 2}', "json_duplicate_key", 2, 2),
        ('[{"a": 1}, {"b": {"a": 1, "\\u0061": 2}}]', "json_duplicate_key", 1, 27),
        ('{"a": {"b": 1}, "b": {"a": 1},\n\n"a": [}', "json_invalid", 3, 7),
        ('["a",\n"\\ud800"]', "json_surrogate", 2, 1),
        ('["\\ud83d\\ude00", "\\\\ud800", "\\uDBFFx"]', "json_surrogate", 1, 29),
        ('{"a\\udc00": 1}', "json_surrogate", 1, 2),
        ("[1, NaN]", "json_non_finite", 1, 5),
        ("[Infinity]", "json_non_finite", 1, 2),
        ("\n-Infinity", "json_non_finite", 2, 1),
        ("[1e308,\n 1e400]", "json_non_finite", 2, 2),
        ("[-1e400]", "json_non_finite", 1, 2),
        (f"[{INTEGER_MAX}, {INTEGER_MAX + 1}]", "json_integer_range", 1, 20),
        (f"{-INTEGER_MAX - 1}", "json_integer_range", 1, 1),
        ("[" * 64 + "\n[", "json_invalid", 2, 2),
        ("[" * 64 + "\n[" + "]" * 65, "json_too_deep", 2, 1),
        ('{"a":' * 65 + "1" + "}" * 65, "json_too_deep", 1, 321),
        ("[" * 1_000_000, "json_too_deep", 1, 65),
        ('{"":' * 1_000_000, "json_too_deep", 1, 257),
        ("\ufeff{}", "json_invalid", 1, 1),
        ("{} {}", "json_invalid", 1, 4),
        ("", "json_invalid", 1, 1),
        ("[1,,2]", "json_invalid", 1, 4),
        ("{'a': 1}", "json_invalid", 1, 2),
        ('"a\nb"', "json_invalid", 1, 3),
        ("01", "json_invalid", 1, 2),
        ("+1", "json_invalid", 1, 1),
        ("1.", "json_invalid", 1, 2),
        ("\u0661", "json_invalid", 1, 1),
        ("nul", "json_invalid", 1, 1),
        ('"\\x41"', "json_invalid", 1, 2),
        ("\xa01", "json_invalid", 1, 1),
    ],
)
def test_a_text_that_is_not_sound_is_refused_with_code_and_place(text: str, code: str, line: int, column: int) -> None:
    for content in (text, text.encode()):
        fault = refused_text(content)

        assert (fault.code, fault.details) == (code, {"line": line, "column": column})
        assert f"line {line}, column {column}" in fault.message


def test_a_raw_lone_surrogate_is_refused_at_its_place() -> None:
    fault = refused_text('["a",\n "\ud800"]')

    assert (fault.code, fault.details) == ("json_surrogate", {"line": 2, "column": 3})
    assert refused_text('{"\udfff": 1}').code == "json_surrogate"


@pytest.mark.parametrize("content", [b'"\xff"', b'"\xed\xa0\x80"', b"\xff\xfe1\x00", b'"\xc0\xaf"'])
def test_bytes_that_are_not_utf_8_are_refused_at_their_byte(content: bytes) -> None:
    fault = refused_text(content)

    assert fault.code == "json_invalid"
    assert content[int(str(fault.details["byte"])) :]


@pytest.mark.parametrize("content", ['"éé"', '"éé"'.encode()], ids=["str", "bytes"])
def test_size_is_counted_in_bytes_of_utf_8_also_for_text(content: str | bytes) -> None:
    assert parse(content, bytes_max=6) == "éé"
    with pytest.raises(Invalid) as refusal:
        parse(content, bytes_max=5)
    assert (refusal.value.code, refusal.value.details) == ("json_too_large", {"limit_bytes": 5})


def test_no_refusal_of_a_text_repeats_it() -> None:
    canary = "canary7f3a"
    for text in (
        f'{{"{canary}": 1, "{canary}": 2}}',
        f'["{canary}\\ud800"]',
        f"[{canary}]",
        f'{{"{canary}": "\\{canary}"}}',
        f'{{"{canary}": NaN}}',
    ):
        fault = refused_text(text)
        assert canary not in f"{fault}{fault.details}{fault!r}"


def test_brackets_inside_strings_are_no_nesting() -> None:
    text = '{"a": "' + "[{" * 100 + '", "b": "\\"' + "[" * 100 + '"}'

    assert parse(text) == {"a": "[{" * 100, "b": '"' + "[" * 100}


def test_sixty_four_levels_enter_beside_any_number_of_brackets() -> None:
    text = "[" + "[]," * 200 + "[" * 63 + "]" * 64

    assert canonical(parse(text)) == text.encode()


def test_what_is_sound_enters_as_it_is() -> None:
    text = ' {"a": [1, -0, -0.0, 2.5e3, "\\ud83d\\ude00\\u0041", true, null, {}], "b": {"a": {"a": 1}}}\n'

    assert parse(text) == {"a": [1, 0, 0.0, 2500.0, "\U0001f600A", True, None, {}], "b": {"a": {"a": 1}}}
    assert canonical(parse(text)) == '{"a":[1,0,0,2500,"\U0001f600A",true,null,{}],"b":{"a":{"a":1}}}'.encode()


def test_a_float_that_reads_back_as_a_large_integer_is_refused_at_the_door() -> None:
    assert canonical(1e17) == b"100000000000000000"
    assert refused_text(canonical(1e17)).code == "json_integer_range"
    assert parse(canonical(1e21)) == 1e21


LONG = 4_000_000


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("1" * LONG, "json_integer_range"),
        ("1" * LONG + ".5", "json_non_finite"),
        ("1e" + "9" * LONG, "json_non_finite"),
        ('"' + "\\" * LONG, "json_invalid"),
        ('"\\"' * (LONG // 3), "json_invalid"),
        ("[" * LONG, "json_too_deep"),
        ('{"a":1,"a":' * (LONG // 11), "json_too_deep"),
        ('["' + "\\ud83d\\ude00" * (LONG // 12) + '", "\\ud800"]', "json_surrogate"),
    ],
    ids=["digits", "float", "exponent", "escapes", "quotes", "brackets", "members", "pairs"],
)
def test_a_hostile_text_of_millions_of_characters_is_refused_in_linear_time(text: str, code: str) -> None:
    assert refused_text(text).code == code  # a quadratic step would run into the time limit of every test


def test_a_long_number_within_range_is_read() -> None:
    assert parse("0." + "1" * LONG) == 1 / 9
    assert parse("-" + "0." + "0" * LONG + "1") == 0


# Whether bytes are canonical


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1, "b":2}',
        b'{"b":1,"a":2}',
        b'{"a":1,"a":1}',
        b"1.0",
        b"-0",
        b"1E5",
        b"1e21",
        b'"\\u0041"',
        b'"\\/"',
        b" 1",
        b"9007199254740993",
        b'"\\ud800"',
        b"NaN",
        b"1e400",
        b"\xff",
        b"",
        b"[" * 100_000,
        f'{{"{HEBREW}":1,"{EMOJI}":2}}'.encode(),
    ],
)
def test_other_spellings_are_not_canonical(content: bytes) -> None:
    assert not is_canonical(content)


@pytest.mark.parametrize("content", [b"null", b"100000000000000000", b"1e+21", b"9007199254740991", b'{"a":[1.5]}'])
def test_what_canonical_writes_is_canonical(content: bytes) -> None:
    assert is_canonical(content)
