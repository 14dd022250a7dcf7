"""Whether a scenario holds together, by the rules that every definition must keep.

What it does: `breaches` finds what names nothing, or something that comes twice, in the order of the contract;
`validate` refuses a scenario with the first. What it does not do: it checks no shape, and nothing that the contract
leaves open (`lint` does).

Rules (seed 000, validation at load): a stage at least; ids of stages, gates, packets, conditions each once, gates and
packets over all stages; queries that name provider and check; conditions of requirements that are defined; targets that
are stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from interlock.base.errors import Detail, ErrorCode
from interlock.base.ids import shown
from interlock.gates import errors
from interlock.gates.scenario.flaw import Path
from interlock.gates.scenario.outline import Named, Outline, Stage, outline_of, targets_of
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import plain

_SHOWN_CHARACTERS = 200


class Breach(NamedTuple):
    """One way in which a scenario does not hold together; `details` name the ids."""

    kind: ErrorCode
    path: Path
    message: str
    details: dict[str, Detail]


def validate(spec: ScenarioSpec) -> None:
    """Refuse a scenario that does not hold together. Raises: the `scenario_…` code of the first rule that is broken."""
    for breach in breaches(outline_of(plain(spec), None)):
        raise breach.kind.error(breach.message, **breach.details)


def breaches(outline: Outline) -> Iterator[Breach]:
    """Every breach, in the order of the contract."""
    if not outline.stages:
        yield Breach(errors.SCENARIO_STAGES_MISSING, ("stages",), "the scenario has no stage", {})
    stages = [stage.id for stage in outline.stages]
    yield from _twice(stages, errors.SCENARIO_STAGE_DUPLICATE, "stage")
    yield from _twice((gate.id for gate in outline.gates), errors.SCENARIO_GATE_DUPLICATE, "gate")
    packets = (packet for stage in outline.stages for packet in stage.packets)
    yield from _twice(packets, errors.SCENARIO_PACKET_DUPLICATE, "packet")
    yield from _twice((each.id for each in outline.conditions), errors.SCENARIO_CONDITION_DUPLICATE, "condition")
    yield from _queries(outline)
    yield from _undefined(outline)
    known = {name.text for name in stages if name is not None}
    for stage in outline.stages:
        yield from _targets(stage, known)


def _twice(names: Iterable[Named | None], kind: ErrorCode, what: str) -> Iterator[Breach]:
    seen: set[str] = set()
    for name in names:
        if name is not None and name.text in seen:
            message = f"another {what} has the id {shown(name.text)}"
            yield Breach(kind, name.path, message, _details(**{f"{what}_id": name.text}))
        elif name is not None:
            seen.add(name.text)


def _queries(outline: Outline) -> Iterator[Breach]:
    for condition in outline.conditions:
        for what, name in (("provider_id", condition.provider), ("check_id", condition.check)):
            if name is not None and not name.text.strip():
                message = f"the {what} of the condition {_short(condition.id)} is blank"
                details = _details(condition_id=_text(condition.id), reason=f"{what} is blank")
                yield Breach(errors.SCENARIO_QUERY_INVALID, name.path, message, details)


def _undefined(outline: Outline) -> Iterator[Breach]:
    known = {condition.id.text for condition in outline.conditions if condition.id is not None}
    for gate in outline.gates:
        for leaf in gate.requirement.leaves:
            if leaf.condition_id not in known:
                what = shown(leaf.condition_id)
                message = f"the gate {_short(gate.id)} names the condition {what}, which is not defined"
                details = _details(gate_id=_text(gate.id), condition_id=leaf.condition_id)
                yield Breach(errors.SCENARIO_CONDITION_UNDEFINED, leaf.path, message, details)


def _targets(stage: Stage, known: set[str]) -> Iterator[Breach]:
    for target in targets_of(stage):
        if target.text not in known:
            message = f"the stage {_short(stage.id)} leads to the stage {shown(target.text)}, which there is not"
            details = _details(stage_id=_text(stage.id), next_stage_id=target.text)
            yield Breach(errors.SCENARIO_TARGET_UNKNOWN, target.path, message, details)


def _text(name: Named | None) -> str:
    return "" if name is None else name.text


def _short(name: Named | None) -> str:
    return shown(_text(name))


def _details(**names: str) -> dict[str, Detail]:
    return {key: shown(name, _SHOWN_CHARACTERS) for key, name in names.items()}
