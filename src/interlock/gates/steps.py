"""The step `gate`: waits until a scenario's stage opens, or until the scenario has ended.

What it does: begins a run of a scenario, triggers it, and sleeps between two looks, holding nothing. What it does not
do: it evaluates nothing itself; decision and reasons are the scenario's, and are recorded with the run that waits.

Rules: it is passed only by a decision that the stage opened, or that the scenario is complete, each with every gate
true. A stage that was left otherwise (its time was over, a branch was taken), a scenario that fails, and a stage that
stayed closed for all looks, fail the step; one that somebody else opened before is passed by that decision, unless its
evidence has become too old since. A look has the id of its run, step and number, so that it is made once.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import shown
from interlock.base.part import StepHandler
from interlock.engine.durations import Duration, milliseconds
from interlock.engine.io.surface import IoCall
from interlock.engine.steps.call import StepCall
from interlock.engine.steps.exec import below
from interlock.gates.calling import NAMESPACE
from interlock.gates.control.targets import target_of

GATE_NOT_PASSED = ErrorCode(
    "gate_not_passed", Category.REFUSED, "See why with `interlock scenario explain`, and mend what is missing."
)
LOOKS_MAX = 1000
NAMED_MAX = 10
NAME_CHARACTERS_MAX = 100


class GateStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `gate` step is given: a scenario by its id, or by the document that defines it."""

    scenario: Annotated[
        Annotated[str, Meta(min_length=1, max_length=400)] | None, Meta(description="The id of a defined scenario.")
    ] = None
    document: Annotated[
        Annotated[str, Meta(min_length=1, max_length=1000)] | None,
        Meta(description="A scenario document, seen from this document's folder; it is defined first."),
    ] = None
    stage: Annotated[
        Annotated[str, Meta(min_length=1, max_length=400)] | None,
        Meta(description="The stage to wait for; default: the end, with the last stage's gates alone."),
    ] = None
    run: Annotated[
        Annotated[str, Meta(min_length=1, max_length=400)],
        Meta(description="The id of the scenario's run; an ended one stays as it is."),
    ]
    every: Annotated[Duration, Meta(description="How long to sleep between two looks.")] = "30s"
    looks: Annotated[int, Meta(ge=1, le=LOOKS_MAX, description="How often to look at most.")] = 120
    tenant: Annotated[int, Meta(ge=1, description="The tenant's number.")] = 1
    namespace: Annotated[int, Meta(ge=1, description="The namespace's number.")] = 1
    packets: Annotated[bool, Meta(description="Disclose the first stage's entry packets.")] = False
    to: Annotated[tuple[str, ...], Meta(max_length=100, description="Who gets packets, such as agent:ID.")] = ()


async def run(call: StepCall, given: GateStep) -> Json:
    """Wait for the gate. Raises: `gate_not_passed`, and what defining, starting and triggering raise."""
    begun, shut = await _begun(call, given), ""
    for number in range(1, given.looks + 1):
        found = await _look(call, given, begun, number)
        outcome = found["decision"]["outcome"]
        if _is_left(given.stage, outcome):
            if not found["opened"]:
                raise GATE_NOT_PASSED.error(_not_open(found["gates"]), run=str(begun["run"]))
            return {**begun, **found, "looks": number}
        if found["status"] != "active":
            raise GATE_NOT_PASSED.error(f"the scenario has ended: {found['status']}", run=str(begun["run"]))
        shut = _shut(found["gates"])
        if outcome["kind"] == "hold" and number < given.looks:
            await call.io.sleep(f"look_{number}", milliseconds(given.every))
    raise GATE_NOT_PASSED.error(f"the stage stayed closed (looks: {given.looks}): {shut}", run=str(begun["run"]))


async def _begun(call: StepCall, given: GateStep) -> dict[str, Any]:
    request: dict[str, Any] = {
        "kind": "begin_v1",
        "run": given.run,
        "tenant": given.tenant,
        "namespace": given.namespace,
        "packets": given.packets,
        "targets": msgspec.to_builtins([target_of(each) for each in given.to]),
    }
    if given.scenario is not None:
        request["scenario"] = given.scenario
    if given.document is not None:
        request["document"] = below(call.folder, given.document)
    answer = await call.io.call(IoCall(NAMESPACE, request, call.fact_key("gate_begin")))
    found: dict[str, Any] = answer.response
    return found


async def _look(call: StepCall, given: GateStep, begun: dict[str, Any], number: int) -> dict[str, Any]:
    request = {
        "kind": "trigger_v1",
        "scenario": begun["scenario"],
        "run": begun["run"],
        "tenant": given.tenant,
        "namespace": begun["namespace"],
        "trigger": f"{call.state_id}#{number}",
        "stage": given.stage,
    }
    answer = await call.io.call(IoCall(NAMESPACE, request, call.fact_key(f"gate_look_{number}")))
    found: dict[str, Any] = answer.response
    return found


def _not_open(gates: list[dict[str, Any]]) -> str:
    """Why a stage that was left passes nothing."""
    closed = [shown(gate["gate_id"], NAME_CHARACTERS_MAX) for gate in gates if gate.get("closed")]
    if not closed:
        return "the stage was left, and its gates had not opened"
    more = f", and {len(closed) - NAMED_MAX} more" if len(closed) > NAMED_MAX else ""
    return f"the evidence of a gate has become too old since it opened: {', '.join(closed[:NAMED_MAX])}{more}"


def _shut(gates: list[dict[str, Any]]) -> str:
    """The gates that did not open, each with its verdict, and no more than a few."""
    states = [(gate["gate_id"], gate["explanation"]["status"]) for gate in gates]
    closed = [f"{shown(name, NAME_CHARACTERS_MAX)} is {status}" for name, status in states if status != "True"]
    more = f", and {len(closed) - NAMED_MAX} more" if len(closed) > NAMED_MAX else ""
    return ", ".join(closed[:NAMED_MAX]) + more


def _is_left(stage: str | None, outcome: dict[str, Any]) -> bool:
    """Whether an outcome says that the stage was left (None: that the scenario is complete)."""
    if outcome["kind"] == "complete":
        return stage is None or bool(outcome["stage_id"] == stage)
    return outcome["kind"] == "advance" and bool(outcome["from_stage"] == stage)


HANDLER = StepHandler(
    name="gate",
    parameters=GateStep,
    run=run,
    summary="Waits until a scenario's stage opens.",
    example="{document: release.json, run: release-1.2.0, stage: checks, every: 1m}",
    declares=lambda _given: False,
    output=("scenario", "namespace", "run", "spec_hash", "decision", "status", "packets", "gates", "opened", "looks"),
)
