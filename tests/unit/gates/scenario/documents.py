"""What the tests of scenario documents share: a reader of requirement texts, contracts, and a small document."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from interlock.gates.errors import REQUIREMENT_INVALID, SCENARIO_INVALID
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup, Requirement
from interlock.gates.spec import ConditionSpec

_CALL = re.compile(r"(all|any|at_least)\((.*)\)")


def read_text(text: str) -> Requirement:
    """A requirement of one call over names: enough to see what a text becomes."""
    found = _CALL.fullmatch(text)
    if found is None:
        return _leaf(text)
    words = [each.strip() for each in found[2].split(",")]
    if found[1] == "at_least":
        return RequireGroup(Group(int(words[0]), tuple(map(_leaf, words[1:]))))
    return (And if found[1] == "all" else Or)(tuple(map(_leaf, words)))


def _leaf(text: str) -> Requirement:
    if text.startswith("not "):
        return Not(_leaf(text.removeprefix("not ")))
    if not text.isidentifier():
        raise REQUIREMENT_INVALID.error("a name is expected at byte 5", byte=5)
    return Condition(text)


class Check(Struct, frozen=True):
    """The contract of a check."""

    params_schema: Any
    result_schema: Any
    allowed_comparators: tuple[str, ...]
    params_required: bool = False


DYNAMIC = {"x-decision-gate": {"dynamic_type": True}}
_ORDERED = ("equals", "not_equals", "greater_than", "less_than", "in_set", "exists", "not_exists")
_KEY = {
    "type": "object",
    "properties": {"key": {"type": "string"}},
    "required": ["key"],
    "additionalProperties": False,
}
CONTRACTS = {
    "time": {"now": Check({"type": "object"}, {"type": "integer"}, _ORDERED)},
    "env": {"get": Check(_KEY, {"type": ["string", "null"]}, ("exists", "equals", "lex_less_than"), True)},
    "json": {
        "path": Check({"type": "object"}, DYNAMIC, ("equals", "in_set"), True),
        "words": Check({"type": "object"}, {"type": "array", "items": {"type": "string"}}, ("contains",)),
    },
}


def strict(condition: ConditionSpec, schema: Any) -> None:
    """Strict validation that knows one rule."""
    if condition.comparator.startswith("lex_") and schema:
        raise SCENARIO_INVALID.error("the order of texts is switched off")


def document(**members: Any) -> dict[str, Any]:
    """A sound document of one stage, with other members in the place of its own."""
    return {
        "scenario_id": "small",
        "namespace_id": 1,
        "spec_version": "1",
        "stages": [stage("only")],
        "conditions": [condition("c")],
        "policies": [],
        "schemas": [],
        **members,
    }


def stage(stage_id: str, **members: Any) -> dict[str, Any]:
    """A stage that ends the run, with other members in the place of its own."""
    return {
        "stage_id": stage_id,
        "entry_packets": [],
        "gates": [gate(f"{stage_id}-gate")],
        "advance_to": {"kind": "terminal"},
        "timeout": None,
        "on_timeout": "fail",
        **members,
    }


def gate(gate_id: str, requirement: Any = None) -> dict[str, Any]:
    """A gate; of the condition `c` where nothing else is said."""
    return {"gate_id": gate_id, "requirement": {"Condition": "c"} if requirement is None else requirement}


def packet(packet_id: str) -> dict[str, Any]:
    """A packet of a JSON value."""
    return {
        "packet_id": packet_id,
        "schema_id": "s",
        "content_type": "application/json",
        "visibility_labels": [],
        "policy_tags": [],
        "expiry": None,
        "payload": {"kind": "json", "value": 1},
    }


def condition(condition_id: str, **members: Any) -> dict[str, Any]:
    """A condition that asks for the time, with other members in the place of its own."""
    return {
        "condition_id": condition_id,
        "query": {"provider_id": "time", "check_id": "now"},
        "comparator": "exists",
        "policy_tags": [],
        **members,
    }
