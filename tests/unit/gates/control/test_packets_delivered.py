"""Packets on their way to files and servers: an audience gets what they disclose, and nobody else anything."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any, Final

import pytest
from msgspec.structs import replace

from interlock.app import App
from interlock.base.clock import SystemClock
from interlock.gates.records import AgentTarget, ExternalTarget, RunConfig
from interlock.gates.spec import JsonPayload
from interlock.gates.values import UnixMillis
from interlock.testing.app import memory_app
from tests.unit.engine.io.sinks.deliveries import CLOUD_EVENT
from tests.unit.engine.io.transports.server import Server, ok, serving
from tests.unit.gates.control.scenes import ADA, packet, spec, stage

FIRST, SECOND = "the plan for a1", "the plan for a2"
TARGETS: Final[dict[str, list[Any]]] = {
    FIRST: [AgentTarget("a1"), ExternalTarget("desk", "mail")],
    SECOND: [AgentTarget("a2")],
}
AUDIENCES: Final = {
    "a1": ["agent:a1"],
    "desk": ["external:desk/mail", "agent:unknown"],
    "a2": ["agent:a2"],
    "both": ["agent:a1", "agent:a2"],
    "other": ["agent:a3", "session:a1", "channel:a1"],
    "everybody": [],
}
DISCLOSED: Final[dict[str, set[str]]] = {
    "a1": {FIRST},
    "desk": {FIRST},
    "a2": {SECOND},
    "both": {FIRST, SECOND},
    "other": set(),
}


async def issued(app: App) -> None:
    """Two runs, each of which issues a packet to its own targets."""
    for scenario, (text, targets) in zip(("first", "second"), TARGETS.items(), strict=True):
        entry = replace(packet("welcome"), payload=JsonPayload({"say": text}))
        document = spec(replace(stage("one", "a"), entry_packets=[entry]), scenario_id=scenario)
        await app.definitions.define(document, principal=ADA)
        config = RunConfig(1, document.namespace_id, f"run of {scenario}", scenario, targets, [])
        await app.scenarios.start(scenario, config, UnixMillis(5_000), issue_entry_packets=True, principal=ADA)


async def delivered(app: App, sink: str, target: dict[str, dict[str, str]]) -> int:
    """Deliver everything from the beginning on to a subscription for each audience; how many deliveries failed."""
    for name, audience in AUDIENCES.items():
        more: dict[str, Any] = {} if audience else {"types": ["gates.packet_issued"]}
        await app.subscriptions.add(
            name, sink=sink, target=target[name], audience=audience, start="beginning", principal=ADA, **more
        )
    failed = 0
    while True:
        failed += sum(each.failed for each in (await app.subscriptions.deliver_once()).values())
        standing = [await app.subscriptions.standing(name, principal=ADA) for name in AUDIENCES]
        if not [lane for each in standing for lane in each.lanes]:
            return failed


def check(told: dict[str, list[dict[str, Any]]], raw: dict[str, bytes]) -> None:
    """Whether each audience got its packets with their payload, and no byte of another one's."""
    for name, texts in DISCLOSED.items():
        payloads = [each["data"]["payload"]["value"]["say"] for each in told[name]]
        assert [each["type"] for each in told[name]] == ["gates.packet_issued"] * len(texts), name
        assert sorted(payloads) == sorted(texts), name
        assert {text for text in TARGETS if text.encode() in raw[name]} == texts, name
    assert ["payload" in each["data"] for each in told["everybody"]] == [False, False]
    assert not [text for text in TARGETS if text.encode() in raw["everybody"]]


def test_a_file_gets_the_packets_of_its_audience_and_nothing_else(tmp_path: Path) -> None:
    root = tmp_path / "out"

    async def main() -> None:
        app = memory_app(clock=SystemClock(), settings={"sinks": {"file_root": str(root)}})
        await issued(app)
        assert await delivered(app, "file", {name: {"path": f"{name}.jsonl"} for name in AUDIENCES}) == 0

    asyncio.run(main())
    assert not (root / "other.jsonl").exists()
    raw = {name: place.read_bytes() if (place := root / f"{name}.jsonl").exists() else b"" for name in AUDIENCES}
    check({name: [json.loads(line) for line in lines.splitlines()] for name, lines in raw.items()}, raw)


@pytest.mark.parametrize("failures", [0, 3])
def test_a_server_gets_the_packets_of_its_audience_and_nothing_else(failures: int) -> None:
    async def main() -> Server:
        left = iter(range(failures))

        def answer(_request: bytes) -> list[bytes]:
            return [ok(status="204 No Content" if next(left, None) is None else "500 Internal Server Error")]

        settings: dict[str, dict[str, Any]] = {
            "http": {"allow_private_networks": True},
            "subscriptions": {"backoff_base_ms": 1, "backoff_max_ms": 1},
        }
        async with serving(answer) as server:
            app = memory_app(clock=SystemClock(), settings=settings)
            await issued(app)
            target = {name: {"url": f"{server.url}{name}"} for name in AUDIENCES}
            assert await delivered(app, "http", target) == failures
            await app.close()
            return server

    server = asyncio.run(main())
    told: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in AUDIENCES}
    raw = dict.fromkeys(AUDIENCES, b"")
    for request in server.requests:
        name = request.split(b" ", 2)[1].decode().removeprefix("/")
        event = json.loads(request.split(b"\r\n\r\n", 1)[1])
        CLOUD_EVENT.validate(event)
        raw[name] += request
        told[name][event["id"]] = {**event, "type": event["type"].removeprefix("interlock.")}
    check({name: list(events.values()) for name, events in told.items()}, raw)
