"""Threat: a scenario, a file, a server or a provider makes a gate open that should not, or learns what it must not.

Each attack goes through the service that gates ask, and comes to Unknown; what must not be reached counts its visitors.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec.structs import replace

from interlock.gates.evidence.builtin import BUILTIN
from interlock.gates.evidence.config import EvidenceSettings, TrustSettings
from interlock.gates.evidence.contracts import Contracts, Registered
from interlock.gates.evidence.port import Answered, EvidenceProvider
from interlock.gates.evidence.providers.http import HttpConfig, HttpProvider
from interlock.gates.evidence.providers.json import JsonConfig, JsonProvider
from interlock.gates.evidence.query import Evidence, Source
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult, EvidenceSignature
from interlock.gates.evidence.trust import Requirements, held_to_gate
from interlock.gates.logic.status import Status
from interlock.gates.records import EvidenceRecord
from interlock.gates.spec import EvidenceQuery, Lane, TrustRequirement
from interlock.gates.values import JsonValue, hash_of, wire
from tests.attacks.asking import Names
from tests.unit.engine.io.transports.server import Answer, Server, ok, serving
from tests.unit.gates.evidence.asking import compare, condition, context, query

CANARY = "the-secret-of-another"
NOTHING = Requirements()


def evidence_of(
    provider_id: str, provider: EvidenceProvider, requirements: Requirements = NOTHING, floor: Lane = "verified"
) -> Evidence:
    return Evidence(
        EvidenceSettings(trust=TrustSettings(min_lane=floor)),
        {provider_id: Source(provider, requirements, allow_raw=True)},
        Contracts(Registered(each, "builtin") for each in BUILTIN.values()),
        compare,
    )


async def attacked(evidence: Evidence, asked: EvidenceQuery, expected: Any, lane: Lane | None = None) -> EvidenceRecord:
    """The record of one condition, which an attack wants to be true."""
    try:
        [found] = await evidence.gather([condition("c", asked, "equals", expected, lane)], context(), tenant="t")
        return found.record
    finally:
        await evidence.close()


def assert_unknown(record: EvidenceRecord, *causes: str) -> None:
    """It does not pass, has no value, and says why by one of these codes."""
    error = record.result.error
    assert record.status is Status.UNKNOWN
    assert record.result.value is None
    assert error is not None
    assert {error.code, *((error.details or {}).values())} & set(causes), error
    assert CANARY not in repr(record)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    (tmp_path / "outside.json").write_text(json.dumps(CANARY))
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "outside.json").write_text(json.dumps(CANARY))
    return folder


def of_file(root: Path, **params: Any) -> EvidenceRecord:
    provider = JsonProvider(JsonConfig(root=str(root), root_id="root"))
    return asyncio.run(attacked(evidence_of("json", provider), query("json", "path", params), CANARY))


@pytest.mark.parametrize(
    "path",
    [
        "../outside.json",
        "../root-beside/outside.json",
        "x/../../outside.json",
        "./../outside.json",
        "..//outside.json",
        "//etc/passwd",
        "/etc/passwd",
        "../../../../../../etc/passwd",
    ],
)
def test_a_path_out_of_the_folder_reads_nothing(root: Path, path: str) -> None:
    (root / "x").mkdir()

    assert_unknown(of_file(root, file=path), "path_outside_root", "absolute_path_forbidden")


def test_a_link_out_of_the_folder_reads_nothing(root: Path) -> None:
    (root / "file.json").symlink_to(root.parent / "outside.json")
    (root / "relative.json").symlink_to("../outside.json")
    (root / "folder").symlink_to(root.parent, target_is_directory=True)
    (root / "chain.json").symlink_to("file.json")
    (root / "self.json").symlink_to("/proc/self/environ")

    for path in ("file.json", "relative.json", "folder/outside.json", "chain.json", "self.json"):
        assert_unknown(of_file(root, file=path), "path_outside_root")


def test_a_link_that_leads_to_itself_ends(root: Path) -> None:
    (root / "loop.json").symlink_to("loop.json")

    assert_unknown(of_file(root, file="loop.json"), "path_invalid")


@pytest.mark.parametrize(
    "path",
    [
        "$..*..*..*..*..*",
        "$..[?count(@..*) > count($..*)]",
        "$[?@ == $]",
        "$..[" + "0," * 1_900 + "0]",
        "$.texts[?search(@, '((a+)+)+b') || search(@, '(a|aa)+b') || match(@, '(a*)*b')]",
        "$.texts[?match(@, '((a{1,1000}){1,1000}){1,1000}')]",
    ],
)
def test_a_hostile_path_or_pattern_ends_and_does_not_pass(root: Path, path: str) -> None:
    (root / "x.json").write_text(json.dumps({"texts": ["a" * 50_000] * 5, "list": [[[1] * 50] * 50] * 5}))
    begun = time.process_time()

    record = of_file(root, file="x.json", jsonpath=path)

    assert_unknown(record, "invalid_jsonpath", "jsonpath_not_found")
    assert time.process_time() - begun < 30


def of_url(
    answer: Answer | bytes | None, url: str, names: Names | None = None, expected: Any = 200, **config: Any
) -> tuple[EvidenceRecord, Server]:
    """The status of an address where `PORT` is the port of a server that gives `answer`."""

    async def run() -> tuple[EvidenceRecord, Server]:
        async with serving(answer) as server:
            given = HttpConfig(**({"allow_http": True} | config))
            provider = HttpProvider(given) if names is None else HttpProvider(given, resolve=names)
            check = "status" if isinstance(expected, int) else "body_hash"
            asked = query("http", check, {"url": url.replace("PORT", str(server.port))})
            return await attacked(evidence_of("http", provider), asked, expected), server

    return asyncio.run(run())


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "127.1", "0x7f000001", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]"],
)
def test_a_private_address_is_not_asked(host: str) -> None:
    record, server = of_url(ok(), f"http://{host}:PORT/")

    assert_unknown(record, "http_address_refused", "http_connect_failed", "http_request_invalid")
    assert server.connections == 0


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "192.168.0.1", "172.16.0.1", "[fd00::1]"])
def test_private_networks_and_the_metadata_of_clouds_are_not_asked(address: str) -> None:
    record, _ = of_url(ok(), f"http://{address}/latest/meta-data/")

    assert_unknown(record, "http_address_refused")


def test_a_name_is_asked_for_once_and_every_address_of_it_is_checked() -> None:
    turning = Names(["93.184.216.34", "127.0.0.1"], ["127.0.0.1"])

    record, server = of_url(ok(), "http://rebinding.example:PORT/", turning)

    assert_unknown(record, "http_address_refused")
    assert (server.connections, turning.asked) == (0, ["rebinding.example"])


def test_a_name_that_is_public_first_and_private_then_is_connected_to_what_was_checked() -> None:
    turning = Names(["192.0.2.1"], ["127.0.0.1"])

    record, server = of_url(ok(), "http://rebinding.example:PORT/", turning, timeout_ms=300)

    assert_unknown(record, "http_address_refused", "http_connect_failed", "http_timeout")
    assert (server.connections, len(turning.asked)) == (0, 1)


def test_a_redirect_is_an_answer_and_leads_nowhere() -> None:
    record, server = of_url(
        ok(b"", "Location: http://127.0.0.1:PORT/admin", status="302 Found"),
        "http://127.0.0.1:PORT/",
        allow_private_networks=True,
    )

    assert (record.status, record.result.value) == (Status.FALSE, JsonValue(302))
    assert len(server.requests) == 1


def test_a_redirect_has_no_body_that_counts() -> None:
    record, server = of_url(
        ok(b"x", "Location: /admin", status="302 Found"),
        "http://127.0.0.1:PORT/",
        expected={},
        allow_private_networks=True,
    )

    assert_unknown(record, "http_status_refused")
    assert len(server.requests) == 1


def drops(_: bytes) -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    yield b"x" * 50


def endless(_: bytes) -> Iterable[bytes]:
    yield b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    while True:
        yield b"400\r\n" + b"x" * 1024 + b"\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"x" * 100_001),
        ok(gzip.compress(bytes(50_000_000), 9), "Content-Encoding: gzip"),
        endless,
        drops,
        None,
    ],
    ids=["declared", "packed", "endless", "slow", "silent"],
)
def test_a_body_that_is_too_large_or_too_slow_is_not_taken(answer: Any) -> None:
    record, _ = of_url(
        answer,
        "http://127.0.0.1:PORT/",
        expected={},
        allow_private_networks=True,
        max_response_bytes=100_000,
        timeout_ms=500,
    )

    assert_unknown(record, "http_body_too_large", "http_timeout")


class Answering:
    """A provider that answers one thing."""

    def __init__(self, result: EvidenceResult) -> None:
        self._result = result

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        return Answered(self._result)

    async def close(self) -> None:
        pass


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNED = Requirements(keys={"release.pub": KEY.public_key().public_bytes_raw()})


def signed(value: Any, over: bytes, key: Ed25519PrivateKey = KEY, scheme: str = "ed25519") -> EvidenceResult:
    signature = EvidenceSignature(scheme, "release.pub", list(key.sign(over)))
    return EvidenceResult(value=JsonValue(value), signature=signature)


def of(
    result: EvidenceResult, requirements: Requirements = NOTHING, floor: Lane = "verified", lane: Lane | None = None
) -> EvidenceRecord:
    evidence = evidence_of("json", Answering(result), requirements, floor)
    return asyncio.run(attacked(evidence, query("json", "path", {"file": "x"}), "yes", lane))


def test_a_signature_counts_only_if_it_is_by_the_key_and_over_this_value() -> None:
    over = wire(hash_of(wire("yes")))
    good = signed("yes", over)
    assert of(good, SIGNED).status is Status.TRUE
    stranger = Ed25519PrivateKey.from_private_bytes(bytes(32))
    forged = [
        replace(good, signature=None),
        signed("yes", over, stranger),
        signed("yes", wire("yes")),
        signed("yes", wire(hash_of(wire("no")))),
        signed("yes", over, scheme="none"),
        replace(good, signature=EvidenceSignature("ed25519", "other.pub", list(KEY.sign(over)))),
        replace(good, signature=EvidenceSignature("ed25519", "release.pub", [0] * 64)),
        replace(good, evidence_hash=hash_of(b"another")),
    ]

    for each in forged:
        assert_unknown(of(each, SIGNED), "provider_error")


def test_evidence_from_the_wrong_lane_does_not_pass() -> None:
    asserted = EvidenceResult(value=JsonValue("yes"), lane="asserted")

    lanes: list[tuple[Lane, Lane | None]] = [("verified", None), ("verified", "asserted"), ("asserted", "verified")]
    for floor, lane in lanes:
        record = of(asserted, floor=floor, lane=lane)
        assert record.status is Status.UNKNOWN
        assert record.result.error is not None
        assert record.result.error.code == "trust_lane"
    passing = of(asserted, floor="asserted")
    assert passing.status is Status.TRUE
    assert held_to_gate(passing, TrustRequirement("verified")).status is Status.UNKNOWN
