"""Who may be shown which packet: the disclosure policy of an installation.

What it does: judges a packet and a target by `permit_all`, `deny_all` or ordered static rules. What it does not do: it
shows nothing, and knows no principal.

Rules (seed 000): the first rule that fits decides, else the default, which denies unless it is said otherwise; a rule
has a selector at least; selectors that are given must all fit, and each fits if any of its values does, but for
`require_…` (all of them) and `forbid_…` (none of them).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta, Struct

from interlock.base.errors import InterlockError
from interlock.gates.control.errors import POLICY_DENIED, POLICY_FAILED, POLICY_INVALID
from interlock.gates.records import (
    AgentTarget,
    ChannelTarget,
    DispatchTarget,
    ExternalTarget,
    PacketEnvelope,
    SessionTarget,
)

TargetKind = Literal["agent", "session", "external", "channel"]
Ids = Annotated[list[str], Meta(max_length=1000)]


class TargetSelector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which targets a rule is about. Only an external one has a system and a target, and it has no id."""

    target_kind: TargetKind
    target_id: str | None = None
    system: str | None = None
    target: str | None = None


class PolicyRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is done with packets that fit all selectors that are given."""

    effect: Literal["permit", "deny", "error"]
    error_message: str | None = None
    target_kinds: list[TargetKind] = []
    targets: Annotated[list[TargetSelector], Meta(max_length=1000)] = []
    require_labels: Ids = []
    forbid_labels: Ids = []
    require_policy_tags: Ids = []
    forbid_policy_tags: Ids = []
    content_types: Ids = []
    schema_ids: Ids = []
    packet_ids: Ids = []
    stage_ids: Ids = []
    scenario_ids: Ids = []


class StaticPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Ordered rules, and what is done where none fits."""

    default: Literal["permit", "deny"] = "deny"
    rules: Annotated[list[PolicyRule], Meta(max_length=1000)] = []


class DisclosurePolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The disclosure policy of an installation."""

    engine: Literal["permit_all", "deny_all", "static"] = "permit_all"
    static: StaticPolicy | None = None


_SELECTORS = (
    "target_kinds",
    "targets",
    "require_labels",
    "forbid_labels",
    "require_policy_tags",
    "forbid_policy_tags",
    "content_types",
    "schema_ids",
    "packet_ids",
    "stage_ids",
    "scenario_ids",
)


def check_policy(policy: DisclosurePolicy) -> None:
    """Refuse a policy that cannot mean what it says. Raises: `disclosure_policy_invalid`."""
    if (policy.engine == "static") != (policy.static is not None):
        raise POLICY_INVALID.error("the engine static has rules, and no other has")
    for number, rule in enumerate([] if policy.static is None else policy.static.rules):
        if not any(getattr(rule, name) for name in _SELECTORS):
            raise POLICY_INVALID.error("a rule needs a selector: without one it would fit everything", rule=number)
        if (rule.effect == "error") != (rule.error_message is not None):
            raise POLICY_INVALID.error("an error has a message, and no other effect has", rule=number)
        for target in rule.targets:
            _check_target(target, number)


def _check_target(target: TargetSelector, number: int) -> None:
    elsewhere = target.system is not None or target.target is not None
    if target.target_kind == "external":
        if target.target_id is not None or not elsewhere:
            raise POLICY_INVALID.error("an external target is named by its system or target, not by an id", rule=number)
    elif elsewhere:
        raise POLICY_INVALID.error("only an external target has a system and a target", rule=number)


def refusal(policy: DisclosurePolicy, packet: PacketEnvelope, target: DispatchTarget) -> InterlockError | None:
    """Why a packet may not go to a target; None where it may."""
    effect, message = _judged(policy, packet, target)
    if effect == "error":
        return POLICY_FAILED.error(f"policy error: {message}")
    return None if effect == "permit" else POLICY_DENIED.error("policy denied disclosure")


def _judged(policy: DisclosurePolicy, packet: PacketEnvelope, target: DispatchTarget) -> tuple[str, str | None]:
    if policy.static is None:
        return ("permit" if policy.engine == "permit_all" else "deny"), None
    for rule in policy.static.rules:
        if _fits(rule, packet, target):
            return rule.effect, rule.error_message
    return policy.static.default, None


def _fits(rule: PolicyRule, packet: PacketEnvelope, target: DispatchTarget) -> bool:
    labels, tags = packet.visibility.labels, packet.visibility.policy_tags
    return (
        _any(rule.target_kinds, _kind(target))
        and (not rule.targets or any(_is(each, target) for each in rule.targets))
        and set(rule.require_labels) <= set(labels)
        and not set(rule.forbid_labels) & set(labels)
        and set(rule.require_policy_tags) <= set(tags)
        and not set(rule.forbid_policy_tags) & set(tags)
        and _any(rule.content_types, packet.content_type)
        and _any(rule.schema_ids, packet.schema_id)
        and _any(rule.packet_ids, packet.packet_id)
        and _any(rule.stage_ids, packet.stage_id)
        and _any(rule.scenario_ids, packet.scenario_id)
    )


def _any(wanted: Sequence[str], value: str) -> bool:
    return not wanted or value in wanted


def _kind(target: DispatchTarget) -> str:
    return str(type(target).__struct_config__.tag)


def _is(selector: TargetSelector, target: DispatchTarget) -> bool:
    if selector.target_kind != _kind(target):
        return False
    match target:
        case ExternalTarget(system, name):
            return selector.system in (None, system) and selector.target in (None, name)
        case AgentTarget(identity) | SessionTarget(identity) | ChannelTarget(identity):
            return selector.target_id in (None, identity)
