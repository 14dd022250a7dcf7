"""Evidence as it is configured: sound configurations answer, and others end the start."""

from __future__ import annotations

import asyncio
import base64
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from interlock import App
from interlock.base.errors import InterlockError
from interlock.base.secrets import SecretRef
from interlock.gates.evidence.config import EvidenceSettings
from interlock.gates.evidence.query import Evidence
from interlock.gates.evidence.sources import KEY_FILE_BYTES_MAX, open_evidence, public_key
from interlock.gates.logic.status import Status
from interlock.gates.values import wire
from interlock.journal.journal import Journal
from tests.unit.gates.evidence import provider_program
from tests.unit.gates.evidence.asking import NOW_MS, compare, condition, context, query
from tests.unit.gates.evidence.test_contracts import CONTRACT

PROGRAM = [sys.executable, str(Path(provider_program.__file__))]
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()


@pytest.fixture
def contract(tmp_path: Path) -> str:
    path = tmp_path / "scans.json"
    path.write_bytes(wire(CONTRACT))
    return str(path)


def settings(**given: Any) -> EvidenceSettings:
    def decoded(kind: type, value: Any) -> Any:
        assert kind is SecretRef
        return SecretRef(value)

    return msgspec.convert(given, EvidenceSettings, dec_hook=decoded)


def opened(given: EvidenceSettings, app: App) -> Evidence:
    return open_evidence(given, compare, app.runs.read, app.get(Journal).store.artifacts)


def fault_of(**given: Any) -> str:
    async def run() -> str:
        async with App.open() as app:
            with pytest.raises(InterlockError) as caught:
                opened(settings(**given), app)
            return caught.value.code

    return asyncio.run(run())


def names(**given: Any) -> list[str]:
    async def run() -> list[str]:
        async with App.open() as app:
            evidence = opened(settings(**given), app)
            try:
                return [each.contract.provider_id for each in evidence.contracts.all()]
            finally:
                await evidence.close()

    return asyncio.run(run())


def external(contract: str, **more: Any) -> dict[str, Any]:
    return {"name": "scans", "type": "mcp", "command": PROGRAM, "capabilities_path": contract} | more


def builtin(name: str, **config: Any) -> dict[str, Any]:
    return {"name": name, "type": "builtin", "config": config}


def test_without_configuration_there_is_the_time_alone() -> None:
    assert names() == ["time"]


def test_what_is_listed_can_be_asked(contract: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "token-0123456789")
    listed = [
        builtin("time", allow_logical=False),
        *map(builtin, ("env", "http", "run", "exec")),
        builtin("json", root=str(tmp_path), root_id="here"),
        external(contract),
    ]
    assert names(providers=listed) == ["env", "exec", "http", "json", "run", "scans", "time"]
    secure = {"command": [], "url": "https://scans.example/rpc"}
    for more in (
        {"protocol": "mcp"},
        secure,
        secure | {"protocol": "mcp", "auth": {"bearer_token": "env:TOKEN"}},
        {"command": [], "url": "http://127.0.0.1:1/", "allow_insecure_http": True},
    ):
        assert names(providers=[external(contract, **more)]) == ["scans", "time"]


@pytest.mark.parametrize(
    ("listed", "code"),
    [
        ([builtin("time"), builtin("time")], "duplicate_provider"),
        ([external("x"), external("x", name="other")], "contract_read_failed"),
        ([external("x", name="env")], "duplicate_provider"),
        ([external("x", capabilities_path=None)], "contract_missing"),
        ([external("x" * 300)], "contract_path_invalid"),
        ([builtin("rest")], "provider_config_invalid"),
        ([builtin("json")], "provider_config_invalid"),
        ([builtin("json", root="/", root_id="Not an id")], "provider_config_invalid"),
        ([builtin("json", root="/", root_id="_a")], "provider_config_invalid"),
        ([builtin("env", denylist="PATH")], "provider_config_invalid"),
        ([builtin("http", hash_algorithm="md5")], "provider_config_invalid"),
        ([builtin("exec", allowed_paths=["bin"])], "provider_config_invalid"),
        ([builtin("run", more=1)], "provider_config_invalid"),
        ([builtin("time", more=1)], "provider_config_invalid"),
    ],
)
def test_a_provider_that_is_not_sound_ends_the_start(listed: list[dict[str, Any]], code: str) -> None:
    assert fault_of(providers=listed) == code


@pytest.mark.parametrize(
    "more",
    [
        {"command": []},
        {"url": "https://scans.example/"},
        {"command": [], "url": "http://scans.example/"},
        {"command": [], "url": "ftp://scans.example/"},
        {"timeouts": {"connect_timeout_ms": 2_000, "request_timeout_ms": 1_999}},
    ],
)
def test_a_way_to_a_provider_that_is_not_sound_ends_the_start(contract: str, more: dict[str, Any]) -> None:
    assert fault_of(providers=[external(contract, **more)]) == "provider_config_invalid"


def test_an_external_provider_twice_ends_the_start(contract: str) -> None:
    assert fault_of(providers=[external(contract), external(contract)]) == "duplicate_provider"


@pytest.mark.parametrize(
    "given",
    [
        {"providers": [{"name": "x", "type": "other"}]},
        {"providers": [{"name": "x", "type": "mcp", "timeouts": {"connect_timeout_ms": 99}}]},
        {"providers": [{"name": "x", "type": "mcp", "timeouts": {"request_timeout_ms": 30_001}}]},
        {"trust": {"default_policy": "trusting"}},
        {"trust": {"default_policy": {"require_signature": {"keys": []}}}},
        {"trust": {"min_lane": "best"}},
        {"unknown": {}},
    ],
)
def test_a_configuration_of_another_shape_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        settings(**given)


@pytest.mark.parametrize("content", [PUBLIC, base64.b64encode(PUBLIC), b" " + base64.b64encode(PUBLIC) + b"\n"])
def test_a_key_is_read_raw_or_as_base64(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)

    assert public_key(str(path)) == PUBLIC


@pytest.mark.parametrize(
    "content",
    [
        b"",
        PUBLIC[:-1],
        PUBLIC + b"\n",
        base64.b64encode(PUBLIC[:-1]),
        b"words of no base64",
        bytes(32),
        base64.b64encode(bytes([1]) + bytes(31)),
        b"A" * (KEY_FILE_BYTES_MAX + 1),
        None,
    ],
)
def test_a_key_that_is_none_ends_the_start(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key"
    if content is not None:
        path.write_bytes(content)
    policy = {"require_signature": {"keys": [str(path)]}}

    assert fault_of(trust={"default_policy": policy}) == "signing_key_unreadable"


def status(
    evidence_of: dict[str, Any], provider: str, check: str, params: Any, **expected: Any
) -> tuple[Status, str | None]:
    async def run() -> tuple[Status, str | None]:
        async with App.open() as app:
            evidence = opened(settings(**evidence_of), app)
            try:
                asked = condition("c", query(provider, check, params), **expected)
                [found] = await evidence.gather([asked], context(), tenant="default")
            finally:
                await evidence.close()
            error = found.record.result.error
            return found.record.status, None if error is None else error.code

    return asyncio.run(run())


ASSERTED = {"value": True, "lane": "asserted"}


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ({}, (Status.UNKNOWN, "trust_lane")),
        ({"trust": {"min_lane": "asserted"}}, (Status.TRUE, None)),
        ({"dev": {"permissive": True}}, (Status.TRUE, None)),
        (
            {"dev": {"permissive": True, "permissive_exempt_providers": ["scans"]}},
            (Status.UNKNOWN, "trust_lane"),
        ),
        (
            {"anchors": {"providers": [{"provider_id": "scans", "anchor_type": "commit"}]}},
            (Status.UNKNOWN, "anchor_invalid"),
        ),
    ],
)
def test_an_external_provider_is_held_to_the_configuration(
    contract: str, more: dict[str, Any], expected: tuple[Status, str | None]
) -> None:
    given = {"providers": [external(contract)], **more}

    assert status(given, "scans", "count", ASSERTED) == expected


def test_a_signature_is_asked_for_by_the_provider_or_by_all(contract: str, tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(PUBLIC)
    signed = {"require_signature": {"keys": [str(path)]}}
    verified = {"value": True}
    asked = ("scans", "count", verified)

    assert status({"providers": [external(contract)]}, *asked) == (Status.TRUE, None)
    assert status({"providers": [external(contract, trust=signed)]}, *asked) == (Status.UNKNOWN, "provider_error")
    by_all = {"providers": [external(contract)], "trust": {"default_policy": signed}}
    assert status(by_all, *asked) == (Status.UNKNOWN, "provider_error")
    exempt = {"providers": [external(contract, trust="audit")], "trust": {"default_policy": signed}}
    assert status(exempt, *asked) == (Status.TRUE, None)


def test_the_time_answers_without_any_configuration() -> None:
    assert status({}, "time", "after", {"timestamp": NOW_MS - 1}) == (Status.TRUE, None)
