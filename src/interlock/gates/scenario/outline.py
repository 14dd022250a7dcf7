"""A scenario document as a list of what names what, each with its path.

What it does: takes ids, references and the shape of the flow out of the JSON value of a document, sound or not, so that
`validate`, which stops at the first fault, and `lint`, which shows all, hold it to the same rules. What it does not do:
it judges nothing.

Rule: whatever has another type than it should is left out; the form of a document is checked elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from interlock.gates.scenario.flaw import Path
from interlock.gates.scenario.requirement import ReadText, Walked, walk


class Named(NamedTuple):
    """A text that names something, at its path."""

    text: str
    path: Path


class Gate(NamedTuple):
    """A gate: its id, and its requirement."""

    id: Named | None
    path: Path
    requirement: Walked


class BranchRule(NamedTuple):
    """A rule of a branch."""

    path: Path
    gate: Named | None
    outcome: str | None
    target: Named | None


class Stage(NamedTuple):
    """A stage: ids, and where it leads under which circumstances."""

    id: Named | None
    path: Path
    packets: tuple[Named, ...]
    gates: tuple[Gate, ...]
    advance: str | None
    """The kind of `advance_to`."""
    fixed: Named | None
    rules: tuple[BranchRule, ...]
    default: Named | None
    has_timeout: bool
    on_timeout: str | None
    branches_on_hold: bool
    auto_tick: bool


class Condition(NamedTuple):
    """A condition: its id, what it asks, and how the answer is compared; null and absence are the same."""

    id: Named | None
    path: Path
    provider: Named | None
    check: Named | None
    params: Any
    comparator: str | None
    expected: Any
    value: dict[str, Any]


class Outline(NamedTuple):
    """What a document names, in its order."""

    stages: tuple[Stage, ...]
    conditions: tuple[Condition, ...]

    @property
    def gates(self) -> Iterator[Gate]:
        """The gates of all stages."""
        return (gate for stage in self.stages for gate in stage.gates)


def outline_of(document: Any, read_text: ReadText | None) -> Outline:
    """The outline of a document's JSON value, whatever it is; without `read_text`, no requirement may be a text."""
    stages = (_stage(value, path, read_text) for value, path in items(document, "stages", ()))
    conditions = (_condition(value, path) for value, path in items(document, "conditions", ()))
    return Outline(tuple(stages), tuple(conditions))


def targets_of(stage: Stage) -> list[Named]:
    """The stages that a stage names, in the order of the contract."""
    named = (stage.fixed, *(rule.target for rule in stage.rules), stage.default)
    return [name for name in named if name is not None]


def _stage(value: dict[str, Any], path: Path, read_text: ReadText | None) -> Stage:
    advance, way = value.get("advance_to"), (*path, "advance_to")
    advance = advance if isinstance(advance, dict) else {}
    kind = _text(advance, "kind", way)
    is_branch = kind is not None and kind.text == "branch"
    packets = (_text(packet, "packet_id", where) for packet, where in items(value, "entry_packets", path))
    on_timeout = _text(value, "on_timeout", path)
    return Stage(
        id=_text(value, "stage_id", path),
        path=path,
        packets=tuple(packet for packet in packets if packet is not None),
        gates=tuple(_gate(gate, where, read_text) for gate, where in items(value, "gates", path)),
        advance=None if kind is None else kind.text,
        fixed=_text(advance, "stage_id", way) if kind is not None and kind.text == "fixed" else None,
        rules=tuple(_rule(each, where) for each, where in items(advance, "branches", way)) if is_branch else (),
        default=_text(advance, "default", way) if is_branch else None,
        has_timeout=isinstance(value.get("timeout"), dict),
        on_timeout=None if on_timeout is None else on_timeout.text,
        branches_on_hold=value.get("on_hold") == "branch",
        auto_tick=value.get("auto_tick") is True,
    )


def _gate(value: dict[str, Any], path: Path, read_text: ReadText | None) -> Gate:
    walked = Walked()
    if "requirement" in value:
        walked = walk(value["requirement"], (*path, "requirement"), read_text)
    return Gate(_text(value, "gate_id", path), path, walked)


def _rule(value: dict[str, Any], path: Path) -> BranchRule:
    outcome = _text(value, "outcome", path)
    return BranchRule(
        path,
        _text(value, "gate_id", path),
        None if outcome is None else outcome.text,
        _text(value, "next_stage_id", path),
    )


def _condition(value: dict[str, Any], path: Path) -> Condition:
    query, below = value.get("query"), (*path, "query")
    comparator = _text(value, "comparator", path)
    return Condition(
        id=_text(value, "condition_id", path),
        path=path,
        provider=_text(query, "provider_id", below),
        check=_text(query, "check_id", below),
        params=query.get("params") if isinstance(query, dict) else None,
        comparator=None if comparator is None else comparator.text,
        expected=value.get("expected"),
        value=value,
    )


def items(value: Any, key: str, path: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """The objects in a list that is a member, with their paths."""
    found = value.get(key) if isinstance(value, dict) else None
    for index, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield item, (*path, key, index)


def _text(value: Any, key: str, path: Path) -> Named | None:
    """A member that is a text, with its path."""
    found = value.get(key) if isinstance(value, dict) else None
    return Named(found, (*path, key)) if isinstance(found, str) else None
