"""References to secrets and secrets themselves: what can be done with them, and what cannot."""

from __future__ import annotations

import copy
import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError, Invalid, NotFound
from interlock.base.secrets import SECRET_CHARACTERS_MAX, Secret, SecretRef, SecretValue, resolve

VALUE = "tr0ub4dor-and-3"


def no_file(path: str) -> bytes:
    raise AssertionError(path)


@pytest.mark.parametrize("text", ["env:API_TOKEN", "file:/run/secrets/api token"])
def test_a_reference_has_a_scheme_and_a_name(text: str) -> None:
    ref = SecretRef(text)

    assert f"{ref.scheme}:{ref.name}" == text
    assert repr(ref) == str(ref) == f"SecretRef({text})"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "env:",
        "env:1A",
        "env:A B",
        "env:A\n",
        "file:relative",
        "file:",
        "vault:x",
        VALUE,
        "ENV:A",
        "file:/a\x00b",
    ],
)
def test_what_is_no_reference_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        SecretRef(text)

    assert caught.value.code == "secret_ref_invalid"
    assert not text or text not in str(caught.value)


SERIALISERS: dict[str, Callable[[object], object]] = {
    "msgspec_json": msgspec.json.encode,
    "msgspec_msgpack": msgspec.msgpack.encode,
    "orjson": orjson.dumps,
    "json": json.dumps,
    "pickle": pickle.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "canonical": lambda thing: canonical({"value": thing}),
    "vars": vars,
}


THINGS = {"reference": SecretRef("env:API_TOKEN"), "secret": Secret(VALUE), "value": SecretValue(b'"x"')}


@pytest.mark.parametrize("thing", THINGS.values(), ids=THINGS)
@pytest.mark.parametrize("serialiser", SERIALISERS)
def test_nothing_serialises_a_secret_or_its_reference(thing: object, serialiser: str) -> None:
    with pytest.raises((TypeError, Invalid)):
        SERIALISERS[serialiser](thing)


def test_references_are_equal_by_name_alone_and_may_be_keys() -> None:
    assert SecretRef("env:A") == SecretRef("env:A")
    assert SecretRef("env:A") != SecretRef("env:B")
    assert SecretRef("env:A") != "env:A"
    assert len({SecretRef("env:A"), SecretRef("env:A")}) == 1


def test_a_reference_cannot_be_changed() -> None:
    ref = SecretRef("env:A")
    with pytest.raises(AttributeError):
        ref.name = "B"
    with pytest.raises(AttributeError):
        del ref.name


def test_a_secret_shows_its_value_to_nobody_but_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(VALUE)
    with caplog.at_level(logging.INFO):
        logging.getLogger().info("%s %r %s", secret, secret, [secret])

    assert VALUE not in caplog.text
    assert VALUE not in repr(secret) + str(secret) + repr([secret])
    assert secret.reveal() == VALUE


def test_a_secret_put_into_text_by_mistake_is_an_error_and_not_a_broken_header() -> None:
    with pytest.raises(TypeError, match="reveal"):
        f"Bearer {Secret(VALUE)}"


def test_a_secret_value_shows_itself_to_nobody_but_who_asks(caplog: pytest.LogCaptureFixture) -> None:
    value = SecretValue(f'{{"token": ["{VALUE}"]}}'.encode())
    with caplog.at_level(logging.INFO):
        logging.getLogger().info("%s %r %s", value, value, [value])

    assert VALUE not in caplog.text + repr(value) + str(value)
    assert value.reveal() == {"token": [VALUE]}
    with pytest.raises(TypeError, match="reveal"):
        f"Bearer {value}"
    with pytest.raises(TypeError, match="reveal"):
        value == SecretValue(b"1")  # noqa: B015 - the comparison itself is under test
    misuses: tuple[Callable[[Any], object], ...] = (hash, list, len, int, bytes)
    for misuse in misuses:
        with pytest.raises(TypeError):
            misuse(value)


def test_secrets_are_compared_only_on_purpose() -> None:
    secret = Secret("pässword")

    assert secret.matches("pässword")
    assert not secret.matches("password")
    assert not secret.matches("\ud800")
    with pytest.raises(TypeError, match="matches"):
        secret == Secret("pässword")  # noqa: B015 - the comparison itself is under test
    with pytest.raises(TypeError):
        hash(secret)


def test_an_environment_variable_resolves() -> None:
    assert resolve(SecretRef("env:A"), {"A": VALUE}, no_file).matches(VALUE)


@pytest.mark.parametrize("content", [b"tr0ub4dor-and-3", b"tr0ub4dor-and-3\n", b"tr0ub4dor-and-3\r\n"])
def test_a_file_resolves_without_its_last_line_end(content: bytes) -> None:
    assert resolve(SecretRef("file:/s"), {}, lambda _: content).reveal() == VALUE


def test_a_missing_or_empty_secret_is_not_found() -> None:
    def missing(path: str) -> bytes:
        raise FileNotFoundError(path)

    cases: list[tuple[str, dict[str, str], Callable[[str], bytes]]] = [
        ("env:A", {}, no_file),
        ("env:A", {"A": ""}, no_file),
        ("file:/s", {}, missing),
        ("file:/s", {}, lambda _: b"\n"),
    ]
    said = {"env:A": "^the variable A is not set, or is empty ", "file:/s": "^the file /s is not there, or is empty "}
    for ref, environment, read in cases:
        with pytest.raises(NotFound, match=said[ref]) as caught:
            resolve(SecretRef(ref), environment, read)
        assert caught.value.code == "secret_not_found"


def test_an_unreadable_secret_says_so_and_shows_nothing_of_it() -> None:
    def forbidden(path: str) -> bytes:
        raise PermissionError(path)

    reads: list[Callable[[str], bytes]] = [
        forbidden,
        lambda _: VALUE.encode() + b"\xff",
        lambda _: b"x" * (SECRET_CHARACTERS_MAX + 1),
    ]
    for read in reads:
        with pytest.raises(InterlockError) as caught:
            resolve(SecretRef("file:/s"), {}, read)
        assert caught.value.code == "secret_unreadable"
        assert VALUE not in str(caught.value)
        assert caught.value.__suppress_context__ or caught.value.__context__ is None
