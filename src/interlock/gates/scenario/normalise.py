"""The normal form of a scenario document: its canonical bytes, and the hash that names it.

What it does: reads JSON or YAML, replaces texts of requirements by their trees, refuses what does not hold together,
and writes the bytes of RFC 8785. What it does not do: it does not find every fault (`lint`), and it ignores members
that no record knows, as the contract has it.

Rules: the same scenario has the same bytes, however its document is written; the record that is given back is what the
bytes say, so that whoever reads them later decides as we do; a normal form is its own normal form.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from interlock.base.bounds import JSON_BYTES_MAX, JSON_DEPTH_MAX
from interlock.base.canonical import parse
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.engine.document import tree
from interlock.engine.document.findings import Findings
from interlock.engine.document.kinds import DocumentKind
from interlock.engine.document.reading import read_tree
from interlock.gates.errors import SCENARIO_INVALID
from interlock.gates.scenario import rules
from interlock.gates.scenario.outline import items
from interlock.gates.scenario.requirement import ReadText, tree_of
from interlock.gates.scenario.validate import validate
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import HashDigest, converted, hash_of, read, wire

SCENARIO: Final = DocumentKind(
    json_bytes_max=JSON_BYTES_MAX,
    yaml_bytes_max=1024 * 1024,
    depth_max=JSON_DEPTH_MAX,
    values_max=1_000_000,
    key_characters_max=4_096,
    wide=True,
    too_large=rules.FILE_TOO_LARGE,
    empty=rules.FILE_EMPTY,
)
"""Scenario documents; in YAML they are smaller, because reading it takes much longer."""


class Normalised(Struct, frozen=True):
    """A scenario in its normal form: the record, its canonical bytes, and their digest."""

    spec: ScenarioSpec
    content: bytes
    spec_hash: HashDigest


def normalise(content: bytes, read_text: ReadText | None = None, *, is_yaml: bool = False) -> Normalised:
    """The normal form of a document of JSON, or of YAML; `read_text` reads requirements that are texts.

    Raises: `json_…` of `base.canonical.parse`; `scenario_invalid` with the first finding for YAML; as `normal_form`.
    """
    value = _yaml(content) if is_yaml else parse(content, bytes_max=SCENARIO.json_bytes_max, wide=True)
    return normal_form(value, read_text)


def normal_form(document: Any, read_text: ReadText | None = None) -> Normalised:
    """The normal form of a document's JSON value, which it takes over.

    Raises: what `read_text` raises, with the gate; `gate_input_invalid` for a wrong shape; `scenario_…` as `validate`;
    `json_too_deep` where a text stands for a tree that is too deep; `scenario_invalid` for numbers that cannot be kept.
    """
    if read_text is not None:
        _read_texts(document, read_text)
    spec = converted(document, ScenarioSpec)
    validate(spec)
    content = wire(spec)
    return Normalised(_read_again(content, spec), content, hash_of(content))


def _read_again(content: bytes, spec: ScenarioSpec) -> ScenarioSpec:
    """What the canonical bytes of a scenario say.

    They spell an integer beyond 2^53 as its double does, which may be another number, or one that 64 bits do not hold.
    """
    try:
        again = read(content, ScenarioSpec, bytes_max=len(content))
    except InterlockError:
        raise SCENARIO_INVALID.error("an integer near 2^64 has no normal form that can be read again") from None
    if (again.namespace_id, again.default_tenant_id) != (spec.namespace_id, spec.default_tenant_id):
        raise SCENARIO_INVALID.error("an id beyond 2^53 would be another one in the normal form")
    return again


def _read_texts(document: Any, read_text: ReadText) -> None:
    """Put trees into the place of requirements that are texts."""
    for stage, path in items(document, "stages", ()):
        for gate, _ in items(stage, "gates", path):
            if isinstance(gate.get("requirement"), str):
                gate["requirement"] = _requirement(gate, read_text)


def _requirement(gate: dict[str, Any], read_text: ReadText) -> Any:
    try:
        return tree_of(gate["requirement"], read_text)
    except InterlockError as fault:
        own = shown(gate.get("gate_id"), 200)
        details = {**fault.details, "gate_id": own}
        raise fault.kind.error(f"the requirement of the gate {own}: {fault.message}", **details) from None


def _yaml(content: bytes) -> Any:
    findings = Findings("the document")
    found = read_tree(content, "scenario.yaml", findings, SCENARIO)
    if found is None or findings.has_errors:
        first = findings.sorted[0]
        raise SCENARIO_INVALID.error(first.brief, line=first.line, column=first.column, rule=first.rule)
    return tree.plain(found)
