"""Variables of the environment, as far as they may be asked for."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import UNSET

from interlock.base.errors import InterlockError
from interlock.gates.evidence.providers.env import EnvConfig, EnvProvider
from interlock.gates.evidence.records import EvidenceAnchor
from tests.unit.gates.evidence.asking import ask, code_of, query, value_of


def get(key: Any, **config: Any) -> Any:
    return ask(EnvProvider(EnvConfig(**config)), query("env", "get", {"key": key}))


def test_a_variable_is_its_text_with_an_anchor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEPLOY_ENV", "prodüction")

    answered = get("DEPLOY_ENV")

    assert value_of(answered) == "prodüction"
    assert answered.result.evidence_anchor == EvidenceAnchor("env", "DEPLOY_ENV")
    assert (answered.result.content_type, answered.result.lane) == ("text/plain", "verified")
    assert [call.namespace for call in answered.calls] == ["env"]


def test_a_variable_that_is_not_set_is_no_value_and_keeps_its_anchor() -> None:
    answered = get("THIS_IS_NOT_SET")

    assert (answered.result.value, answered.result.error) == (None, None)
    assert answered.result.evidence_anchor == EvidenceAnchor("env", "THIS_IS_NOT_SET")


def test_overrides_stand_instead_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REAL", "here")

    assert value_of(get("MADE", overrides={"MADE": "up"})) == "up"
    assert get("REAL", overrides={"MADE": "up"}).result.value is None


@pytest.mark.parametrize(
    ("key", "config"),
    [
        ("", {}),
        ("A=B", {}),
        ("A\0B", {}),
        ("\ud800", {}),
        ("K" * 256, {}),
        ("ABCD", {"max_key_bytes": 3}),
        ("SECRET", {"denylist": ("SECRET",)}),
        ("SECRET", {"allowlist": ("OTHER",)}),
        ("SECRET", {"allowlist": ()}),
        ("SECRET", {"allowlist": ("SECRET",), "denylist": ("SECRET",)}),
    ],
)
def test_a_name_that_may_not_be_asked_for_is_an_error(key: str, config: dict[str, Any]) -> None:
    assert code_of(get(key, overrides={key: "hidden"}, **config)) == "provider_error"


def test_a_value_is_limited_to_the_byte() -> None:
    assert value_of(get("K", overrides={"K": "ää"}, max_value_bytes=4)) == "ää"
    assert code_of(get("K", overrides={"K": "äää"}, max_value_bytes=5)) == "provider_error"


def test_a_value_that_is_no_text_is_an_error() -> None:
    assert code_of(get("K", overrides={"K": "\udcff"})) == "provider_error"


@pytest.mark.parametrize(("params", "code"), [(UNSET, "params_missing"), ({"key": 1}, "params_invalid")])
def test_params_that_are_none_are_refused(params: Any, code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        ask(EnvProvider(EnvConfig()), query("env", "get", params))

    assert caught.value.code == code
