"""The linter of an installation: with its providers, and with the validation that it is configured for.

What it does: puts the linter together. What it does not do: it checks nothing itself (`lint`).
"""

from __future__ import annotations

from typing import Any

from interlock.gates.comparators.strict import check_condition
from interlock.gates.config import ValidationSettings
from interlock.gates.evidence.query import Evidence
from interlock.gates.logic.text import requirement_from
from interlock.gates.scenario.lint import ScenarioLinter
from interlock.gates.spec import ConditionSpec


def linter(evidence: Evidence, validation: ValidationSettings) -> ScenarioLinter:
    """A linter that knows the providers and the validation of this installation."""

    def strict(condition: ConditionSpec, schema: Any) -> None:
        check_condition(condition, schema, validation.enabled)

    contracts = {
        each.contract.provider_id: {check.check_id: check for check in each.contract.checks}
        for each in evidence.contracts.all()
    }
    return ScenarioLinter(requirement_from, contracts, strict if validation.strict else None)
