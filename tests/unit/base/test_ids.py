"""Identifiers: what each accepts and refuses, by construction and by decoding alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
import pytest

from interlock.base import ids
from interlock.base.errors import Invalid

LONGEST = "a" + "b" * 62
UUID_TEXT = "0b5a1f3e-9c4d-4e2a-8f6b-7d1c2e3f4a5b"
DIGEST = "0123456789abcdef" * 4

ACCEPTED: dict[str, list[str]] = {
    "op_id": ["a", "a0_", "release", LONGEST],
    "op_path": ["a.b", f"{LONGEST}.{LONGEST}"],
    "state_id": ["a.b.c", f"{LONGEST}.{LONGEST}.{LONGEST}"],
    "run_id": [UUID_TEXT, "0" * 8 + "-0000-0000-0000-" + "0" * 12],
    "artifact_id": [DIGEST],
    "fact_key": ["a", "acme/release #1", "ключ", "\U0001f600" * 512, "x" * 512, " ", '"\\'],
    "context_key": ["a", "x" * 512],
    "command_id": ["a", "x" * 200, "timer:9"],
    "tenant": ["default", "0", "a-b_c", "9" + "-" * 62],
}

SEGMENT_FAULTS = ["", "A", "0a", "_a", "a-b", "a b", " a", "a\n", "a\x00", "á", "a\u0661", "a" * 64, "\ud800"]
REFUSED: dict[str, list[str]] = {
    "op_id": [*SEGMENT_FAULTS, "a.b"],
    "op_path": ["a", "a.", ".a", "a..b", "a.b.c", "a.b\n", "a/b", "a.B", f"a.{LONGEST}b", f"{LONGEST}b.a"],
    "state_id": ["a.b", "a.b.c.d", "a..c", "a.b.", ".b.c", "a.b.c\n", "\na.b.c", "a.b.\u0661", f"a.b.{LONGEST}b"],
    "run_id": [
        "",
        UUID_TEXT.upper(),
        UUID_TEXT.replace("-", ""),
        f"{{{UUID_TEXT}}}",
        f"{UUID_TEXT}\n",
        f"urn:uuid:{UUID_TEXT}",
        UUID_TEXT[:-1] + "\uff11",
        UUID_TEXT[:-1] + "g",
    ],
    "artifact_id": ["", DIGEST[:-1], DIGEST + "0", DIGEST.upper(), DIGEST + "\n", "g" * 64, "../" + DIGEST],
    "fact_key": ["", "x" * 513, "a\n", "\x00", "a\x1f", "\x7f", "a\x80", "\x9f", "\ud800", "a\udfff"],
    "context_key": ["", "x" * 513, "a\tb", "\x85"],
    "command_id": ["", "x" * 201, "a\r"],
    "tenant": ["", "-a", "_a", "A", "a.b", "a/b", "a" * 64, "a\n", "é"],
}

TYPES: dict[str, Any] = {
    "op_id": ids.OpId,
    "op_path": ids.OpPath,
    "state_id": ids.StateId,
    "run_id": ids.RunId,
    "artifact_id": ids.ArtifactId,
    "fact_key": ids.FactKey,
    "context_key": ids.ContextKey,
    "command_id": ids.CommandId,
    "tenant": ids.Tenant,
}


def each(cases: dict[str, list[str]]) -> list[Any]:
    named = [(kind, value) for kind, values in cases.items() for value in values]
    return [pytest.param(kind, value, id=f"{kind}-{index}") for index, (kind, value) in enumerate(named)]


def constructor(kind: str) -> Callable[[object], str]:
    made: Callable[[object], str] = getattr(ids, kind)
    return made


@pytest.mark.parametrize(("kind", "value"), each(ACCEPTED))
def test_a_value_of_the_form_is_accepted_by_constructor_and_decoder(kind: str, value: str) -> None:
    assert constructor(kind)(value) == value
    assert msgspec.json.decode(msgspec.json.encode(value), type=TYPES[kind]) == value
    assert msgspec.convert(value, TYPES[kind]) == value


@pytest.mark.parametrize(("kind", "value"), each(REFUSED))
def test_a_value_of_another_form_is_refused_by_constructor_and_decoder(kind: str, value: str) -> None:
    with pytest.raises(Invalid) as refusal:
        constructor(kind)(value)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(value, TYPES[kind])

    assert refusal.value.code == "id_invalid"
    assert refusal.value.details["kind"] == kind


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("value", [None, 1, b"a", ["a"]], ids=repr)
def test_what_is_no_text_is_refused(kind: str, value: object) -> None:
    with pytest.raises(Invalid):
        constructor(kind)(value)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(msgspec.json.encode(value) if value != b"a" else b"1", type=TYPES[kind])


@pytest.mark.parametrize("kind", TYPES)
def test_a_refusal_names_the_form_and_repeats_nothing_of_the_value(kind: str) -> None:
    canary = "Canary-7f3a\n" * 100
    with pytest.raises(Invalid) as refusal:
        constructor(kind)(canary)

    shown = f"{refusal.value}{refusal.value.details}{refusal.value!r}"
    assert kind in refusal.value.message
    assert str(refusal.value.details["expected"]) in refusal.value.message
    assert "anary" not in shown
    assert "7f3a" not in shown


def test_a_run_id_from_entropy_is_a_random_uuid_that_entropy_decides() -> None:
    made = ids.run_id_from_entropy(bytes(range(16)))

    assert ids.run_id(made) == made
    assert UUID(made).version == 4
    assert made == ids.run_id_from_entropy(bytes(range(16))) != ids.run_id_from_entropy(bytes(16))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain", "plain"),
        ("two\nlines\x1b[31m", "two\\nlines\\x1b[31m"),
        ("é\U0001f600\ud800", "\\xe9\\U0001f600\\ud800"),
        ("x" * 41, "x" * 40 + "…"),
        (3, "a int"),
    ],
    ids=repr,
)
def test_a_name_is_shown_escaped_and_cut(value: object, expected: str) -> None:
    assert ids.shown(value) == expected


@pytest.mark.parametrize(
    ("names", "said"),
    [([], ""), (["a"], "a"), (["a", "b"], "a, b"), (["a", "b", "c"], "a, b and 1 more")],
)
def test_of_many_names_the_first_are_shown_and_the_others_counted(names: list[str], said: str) -> None:
    assert ids.first_names(names, 2) == said


@pytest.mark.parametrize(("state", "name"), [("op.build.main", "build"), ("m.build.fetch", "build.fetch")])
def test_a_state_is_shown_by_its_step_and_by_its_last_segment_unless_that_is_main(state: str, name: str) -> None:
    assert ids.step_name(state) == name
