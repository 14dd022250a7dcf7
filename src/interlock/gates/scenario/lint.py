"""Checks a scenario document as a whole: every finding at once, with its place.

What it does: reads a document of JSON or YAML, holds it against the form of its records, against what every definition
must keep, and against what hardly anybody means, and gives the normal form of a document without an error. What it does
not do: it defines nothing, and asks no provider.

Rules: any bytes give findings, never another fault; whatever `normalise` refuses is an error here, by the rule that its
code names if there is one; contracts, strict comparators and the reader of requirement texts are given to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path as FilePath
from typing import Any, NamedTuple

from interlock.base.errors import InterlockError
from interlock.base.secret_scan import find_secrets
from interlock.engine.document import rules as documents
from interlock.engine.document.files import content_of
from interlock.engine.document.findings import START, Finding, Findings
from interlock.engine.document.form import Form, form_of, hold
from interlock.engine.document.reading import read_tree
from interlock.engine.document.tree import Node, place_at, plain, pointed
from interlock.gates.scenario import rules
from interlock.gates.scenario.condition_check import Contracts, StrictCheck, condition_flaws
from interlock.gates.scenario.flaw import Flaw
from interlock.gates.scenario.flow import flow_flaws
from interlock.gates.scenario.names import name_flaws
from interlock.gates.scenario.normalise import SCENARIO, Normalised, normal_form
from interlock.gates.scenario.outline import Outline, outline_of
from interlock.gates.scenario.requirement import ReadText
from interlock.gates.scenario.schema import form_schema
from interlock.gates.scenario.stage_check import stage_flaws
from interlock.gates.scenario.validate import breaches

_RULES = {rule.id: rule for rule in rules.RULES}


class LintedScenario(NamedTuple):
    """What became of a document; `normalised` only where no finding is an error."""

    findings: tuple[Finding, ...]
    omitted: int
    normalised: Normalised | None


class ScenarioLinter:
    """Checks scenario documents.

    `read_text` reads requirements that are texts; None: none may be one. `contracts` says what providers can be asked;
    None: that is not examined. `strict` is the strict validation of conditions.
    """

    def __init__(
        self,
        read_text: ReadText | None = None,
        contracts: Contracts | None = None,
        strict: StrictCheck | None = None,
    ) -> None:
        self._read_text = read_text
        self._contracts = contracts
        self._strict = strict

    def file(self, path: FilePath, shown_as: str | None = None) -> LintedScenario:
        """Check the document in a file."""
        findings = Findings(shown_as or str(path))
        content = content_of(path, SCENARIO, "scenario lint", findings)
        if content is None:
            return LintedScenario(findings.sorted, 0, None)
        return self._content(content, path.name, findings)

    def content(self, content: bytes, name: str) -> LintedScenario:
        """Check the bytes of a document that is shown as `name`: JSON if it ends in `.json`, else YAML."""
        return self._content(content, name, Findings(name))

    def _content(self, content: bytes, name: str, findings: Findings) -> LintedScenario:
        tree = read_tree(content, name, findings, SCENARIO)
        if tree is None:
            return LintedScenario(findings.sorted, findings.omitted, None)
        hold(tree, _form(), findings)
        document = plain(tree)
        self._check(document, tree, findings)
        for found in find_secrets(document):
            place = place_at(tree, pointed(tree, found.pointer))
            findings.add(rules.SECRET, place, f"what stands here looks like a secret ({found.kind})")
        normalised = None if findings.has_errors else self._normalised(document, findings)
        return LintedScenario(findings.sorted, findings.omitted, normalised)

    def _check(self, document: Any, tree: Node, findings: Findings) -> None:
        outline = outline_of(document, self._read_text)
        for flaw in self._flaws(document, outline):
            findings.add(flaw.rule, place_at(tree, flaw.path), flaw.message, flaw.hint)
        has_stages = isinstance(document, dict) and document.get("stages") == []
        for breach in breaches(outline):
            if breach.path != ("stages",) or has_stages:  # otherwise the form says what is missing
                findings.add(_RULES[breach.kind.code], place_at(tree, breach.path), breach.message)

    def _flaws(self, document: Any, outline: Outline) -> Iterator[Flaw]:
        for gate in outline.gates:
            yield from gate.requirement.flaws
        yield from stage_flaws(outline)
        yield from flow_flaws(outline)
        yield from condition_flaws(outline, self._contracts, self._strict)
        yield from name_flaws(document)

    def _normalised(self, document: Any, findings: Findings) -> Normalised | None:
        try:
            return normal_form(document, self._read_text)
        except InterlockError as fault:  # a bound that shows only in the normal form
            findings.add(documents.WRONG_VALUE, START, f"the document has no normal form: {fault.message}")
            return None


@lru_cache(maxsize=1)
def _form() -> Form:
    return form_of(form_schema())
