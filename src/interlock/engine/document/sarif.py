"""Findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines of a change.

It converts, and decides nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.engine.document.findings import Finding, Rule
from interlock.engine.document.rules import RULES

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


def sarif(findings: Sequence[Finding], catalogue: Sequence[Rule] = RULES) -> dict[str, Any]:
    """One run of a linter that has the rules of `catalogue`."""
    used = {each.rule for each in findings}
    rules = [
        {
            "id": rule.id,
            "shortDescription": {"text": rule.summary},
            "help": {"text": rule.hint},
            "defaultConfiguration": {"level": rule.level.value},
        }
        for rule in catalogue
        if rule.id in used
    ]
    driver = {"name": "interlock", "rules": rules}
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": [_result(each) for each in findings]}],
    }


def _result(finding: Finding) -> dict[str, Any]:
    region = {"startLine": finding.line, "startColumn": finding.column}
    location = {"artifactLocation": {"uri": finding.file}, "region": region}
    return {
        "ruleId": finding.rule,
        "level": finding.level.value,
        "message": {"text": f"{finding.message}. {finding.hint}"},
        "locations": [{"physicalLocation": location}],
    }
