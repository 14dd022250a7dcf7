"""The disclosure policy: the first rule that fits decides, and nothing is disclosed by default."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.gates.control.policy import DisclosurePolicy, check_policy, refusal
from interlock.gates.records import (
    AgentTarget,
    ChannelTarget,
    DispatchTarget,
    ExternalTarget,
    PacketEnvelope,
    SessionTarget,
    Visibility,
)
from interlock.gates.values import HashDigest, Logical

PACKET = PacketEnvelope(
    scenario_id="release",
    run_id="r1",
    stage_id="one",
    packet_id="p",
    schema_id="text",
    content_type="application/json",
    content_hash=HashDigest("sha256", "0" * 64),
    visibility=Visibility(["public", "eu"], ["tagged"]),
    issued_at=Logical(1),
)
AGENT, OPS = AgentTarget("a1"), ExternalTarget("jira", "ops")


def policy(*rules: dict[str, Any], default: str = "deny") -> DisclosurePolicy:
    given = {"engine": "static", "static": {"default": default, "rules": list(rules)}}
    return msgspec.convert(given, DisclosurePolicy)


def code_of(given: DisclosurePolicy, target: DispatchTarget = AGENT, packet: PacketEnvelope = PACKET) -> str | None:
    found = refusal(given, packet, target)
    return None if found is None else found.code


def test_without_rules_all_or_nothing_is_permitted() -> None:
    assert code_of(DisclosurePolicy()) is None
    assert code_of(DisclosurePolicy(engine="deny_all")) == "policy_denied"
    assert code_of(policy()) == "policy_denied"
    assert code_of(policy(default="permit")) is None


@pytest.mark.parametrize(
    ("selector", "fits"),
    [
        ({"target_kinds": ["session", "agent"]}, True),
        ({"target_kinds": ["session"]}, False),
        ({"targets": [{"target_kind": "agent", "target_id": "a1"}]}, True),
        ({"targets": [{"target_kind": "agent"}]}, True),
        ({"targets": [{"target_kind": "agent", "target_id": "a2"}]}, False),
        ({"targets": [{"target_kind": "channel", "target_id": "a1"}]}, False),
        ({"require_labels": ["public", "eu"]}, True),
        ({"require_labels": ["public", "us"]}, False),
        ({"forbid_labels": ["us"]}, True),
        ({"forbid_labels": ["us", "eu"]}, False),
        ({"require_policy_tags": ["tagged"]}, True),
        ({"require_policy_tags": ["other"]}, False),
        ({"forbid_policy_tags": ["other"]}, True),
        ({"forbid_policy_tags": ["tagged"]}, False),
        ({"content_types": ["text/plain", "application/json"]}, True),
        ({"content_types": ["text/plain"]}, False),
        ({"schema_ids": ["text"]}, True),
        ({"schema_ids": ["other"]}, False),
        ({"packet_ids": ["p"]}, True),
        ({"packet_ids": ["q"]}, False),
        ({"stage_ids": ["one"]}, True),
        ({"stage_ids": ["two"]}, False),
        ({"scenario_ids": ["release"]}, True),
        ({"scenario_ids": ["other"]}, False),
        ({"packet_ids": ["p"], "stage_ids": ["two"]}, False),
        ({"packet_ids": ["p"], "stage_ids": ["one"], "require_labels": ["eu"]}, True),
    ],
)
def test_selectors_are_joined_and_each_fits_if_any_of_its_values_does(selector: dict[str, Any], fits: bool) -> None:
    permitted = code_of(policy({"effect": "permit", **selector})) is None
    assert permitted is fits
    denied = code_of(policy({"effect": "deny", **selector}, default="permit")) == "policy_denied"
    assert denied is fits


@pytest.mark.parametrize(
    ("target", "selector", "fits"),
    [
        (OPS, {"target_kind": "external", "system": "jira"}, True),
        (OPS, {"target_kind": "external", "target": "ops"}, True),
        (OPS, {"target_kind": "external", "system": "jira", "target": "dev"}, False),
        (OPS, {"target_kind": "external", "system": "mail"}, False),
        (SessionTarget("s1"), {"target_kind": "session", "target_id": "s1"}, True),
        (ChannelTarget("c1"), {"target_kind": "channel", "target_id": "c2"}, False),
    ],
)
def test_targets_are_told_apart_by_kind_and_name(target: DispatchTarget, selector: object, fits: bool) -> None:
    assert (code_of(policy({"effect": "permit", "targets": [selector]}), target) is None) is fits


def test_the_first_rule_that_fits_decides() -> None:
    rules = [
        {"effect": "error", "error_message": "no label", "require_labels": ["us"]},
        {"effect": "deny", "packet_ids": ["p"]},
        {"effect": "permit", "stage_ids": ["one"]},
    ]
    assert code_of(policy(*rules)) == "policy_denied"
    assert code_of(policy(*reversed(rules))) is None
    found = refusal(policy({**rules[0], "require_labels": ["eu"]}), PACKET, AGENT)
    assert found is not None
    assert (found.code, found.message) == ("policy_failed", "policy error: no label")


@pytest.mark.parametrize(
    "wrong",
    [
        DisclosurePolicy(engine="static"),
        msgspec.convert({"engine": "permit_all", "static": {}}, DisclosurePolicy),
        policy({"effect": "permit"}),
        policy({"effect": "error", "packet_ids": ["p"]}),
        policy({"effect": "deny", "error_message": "why", "packet_ids": ["p"]}),
        policy({"effect": "deny", "targets": [{"target_kind": "external"}]}),
        policy({"effect": "deny", "targets": [{"target_kind": "external", "target_id": "x", "system": "y"}]}),
        policy({"effect": "deny", "targets": [{"target_kind": "agent", "system": "y"}]}),
    ],
)
def test_a_policy_that_cannot_mean_what_it_says_is_refused(wrong: DisclosurePolicy) -> None:
    with pytest.raises(InterlockError) as fault:
        check_policy(wrong)
    assert fault.value.code == "disclosure_policy_invalid"


def test_a_sound_policy_is_taken() -> None:
    check_policy(DisclosurePolicy())
    check_policy(policy({"effect": "error", "error_message": "why", "targets": [{"target_kind": "agent"}]}))
