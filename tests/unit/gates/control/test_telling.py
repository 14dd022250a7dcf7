"""What subscriptions tell of scenario runs: packets with what they disclose, for whom they are, and no raw evidence."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from interlock.app import App
from interlock.gates.control.targets import spelled, target_of
from interlock.gates.records import (
    AgentTarget,
    ChannelTarget,
    DispatchTarget,
    ExternalTarget,
    RunConfig,
    SessionTarget,
    SubmitRequest,
)
from interlock.gates.spec import JsonPayload, ScenarioSpec
from interlock.gates.values import UnixMillis
from interlock.journal.errors import ARTIFACT_NOT_FOUND
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.unit.gates.control.scenes import ADA, packet, spec, stage
from tests.unit.gates.control.test_verbs import document

TARGETS: list[DispatchTarget] = [
    AgentTarget("a1"),
    SessionTarget("s1"),
    ChannelTarget("c1"),
    ExternalTarget("desk", "mail/box"),
]


def test_a_target_is_spelled_as_it_is_read() -> None:
    for target in TARGETS:
        assert target_of(spelled(target)) == target
    alike = [ExternalTarget("a/b", "c"), ExternalTarget("a", "b/c"), ExternalTarget("a%2Fb", "c")]
    assert len({spelled(each) for each in alike}) == 3
    assert [target_of(spelled(each)) for each in alike] == alike


class Heard(logging.Handler):
    """What the sink `log` hands to a logger."""

    def __init__(self) -> None:
        super().__init__()
        self.deliveries: list[Any] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.deliveries.append(record.__dict__["delivery"])


async def told(app: App, name: str, **given: Any) -> list[dict[str, Any]]:
    """What a new subscription delivers, from the beginning on."""
    heard, logger = Heard(), logging.getLogger(f"told.{name}")
    logger.addHandler(heard)
    logger.setLevel(logging.INFO)
    more = {"sink": "log", "target": {"logger": logger.name}, "start": "beginning", "principal": ADA}
    await app.subscriptions.add(name, **{**more, **given})
    await app.subscriptions.deliver_once()
    logger.removeHandler(heard)
    return heard.deliveries


async def begun(app: App, document: ScenarioSpec, *targets: Any) -> None:
    await app.definitions.define(document, principal=ADA)
    config = RunConfig(1, document.namespace_id, "r1", document.scenario_id, list(targets), [])
    await app.scenarios.start("release", config, UnixMillis(5_000), issue_entry_packets=True, principal=ADA)


def test_a_packet_is_told_with_its_payload_to_those_whom_it_is_for() -> None:
    large = JsonPayload({"say": "x" * 40_000})

    async def main() -> None:
        app = memory_app()
        one = replace(stage("one", "a"), entry_packets=[replace(packet("welcome"), payload=large)])
        await begun(app, spec(one), AgentTarget("a1"), ExternalTarget("desk", "mail"))
        types = ["gates.packet_issued"]
        [event] = await told(app, "all", types=types)
        assert "payload" not in event["data"], "the policy was asked for the targets alone"
        [event] = await told(app, "agent", types=types, audience=["agent:a1"])
        data = event["data"]
        assert data["payload"] == {"kind": "json", "value": large.value}
        assert data["record"]["envelope"]["packet_id"] == data["packet_id"] == "welcome"
        assert [each["target"]["kind"] for each in data["record"]["receipts"]] == ["agent", "external"]
        assert list(data) == sorted(data)

        assert len(await told(app, "desk", types=types, audience=["agent:a2", "external:desk/mail"])) == 1
        assert await told(app, "other", types=types, audience=["agent:a2"]) == []
        assert [each["type"] for each in await told(app, "mine", audience=["agent:a1"])] == types

    run(main())


def test_a_packet_for_nobody_discloses_nothing_to_anybody() -> None:
    async def main() -> None:
        app = memory_app(settings={"gates": {"policy": {"engine": "deny_all"}}})
        await begun(app, spec(stage("one", "a", packets=["welcome"])))
        [event] = await told(app, "all", types=["gates.packet_issued"])
        assert (event["data"]["record"]["receipts"], "payload" in event["data"]) == ([], False)
        assert await told(app, "agent", audience=["agent:a1"]) == []

    run(main())


def test_a_record_that_is_too_large_for_a_sink_is_told_by_its_id() -> None:
    large = JsonPayload({"notes": "n" * 600_000})

    async def main() -> None:
        app = memory_app()
        await begun(app, spec(stage("one", "a")))
        request = SubmitRequest("r1", 1, 2, "s1", large, "application/json", UnixMillis(5_100))
        await app.scenarios.submit("release", request, principal=ADA)
        [event] = await told(app, "all", types=["gates.submitted"])
        assert (event["data"]["record"], len(event["data"]["record_id"])) == (None, 64)

    run(main())


def test_a_record_that_is_an_artifact_is_told_whole() -> None:
    large = JsonPayload({"notes": "n" * 40_000})

    async def main() -> None:
        app = memory_app()
        await begun(app, spec(stage("one", "a")))
        request = SubmitRequest("r1", 1, 2, "s1", large, "application/json", UnixMillis(5_100))
        await app.scenarios.submit("release", request, principal=ADA)
        [event] = await told(app, "all", types=["gates.submitted"])
        assert event["data"]["record_id"] is not None
        assert event["data"]["record"]["payload"]["value"] == large.value

    run(main())


OPEN = {"allow_raw_values": True, "require_provider_opt_in": False}


@pytest.mark.parametrize(("settings", "value"), [({}, None), ({"evidence": OPEN}, {"kind": "json", "value": True})])
def test_raw_evidence_is_told_only_where_it_may_be_shown(tmp_path: Path, settings: Any, value: Any) -> None:
    async def main() -> None:
        app = memory_app(settings={"gates": settings})
        client = app.client(ADA)
        await client.call("scenario.define", {"document": document(tmp_path / "release.json")})
        await client.call("scenario.start", {"scenario": "release", "run": "r1"})
        await client.call("scenario.trigger", {"scenario": "release", "run": "r1", "id": "t1"})
        [event] = await told(app, "all", types=["gates.gate_evaluated"])
        [evidence] = event["data"]["record"]["evidence"]
        assert evidence["result"]["value"] == value
        assert (evidence["status"], evidence["result"]["evidence_hash"] is None) == ("True", False)
        decided = await told(app, "decisions", types=["gates.decided", "gates.triggered"])
        assert [each["data"]["record"]["seq"] for each in decided] == [1, 1]

    run(main())


def test_a_packet_whose_artifact_is_lost_fails_its_delivery_and_is_held_back() -> None:
    async def main() -> None:
        app = memory_app()
        await begun(app, spec(stage("one", packets=["p"])), *[AgentTarget("a" * 300 + str(n)) for n in range(60)])

        async def lost(ids: Any) -> Any:
            raise ARTIFACT_NOT_FOUND.error("an artifact is missing")

        app.store.artifacts.get = lost  # type: ignore[method-assign]
        assert await told(app, "all", types=["gates.packet_issued"]) == []
        standing = await app.subscriptions.standing("all", principal=ADA)
        assert [each.code for each in standing.lanes] == ["artifact_not_found"]

    run(main())
