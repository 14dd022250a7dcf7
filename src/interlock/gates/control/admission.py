"""What a scenario must pass before it is defined or prechecked.

What it does: holds a scenario against the contracts of its providers, the strict profile of comparators, and the rules
of documents, in this order; or, for a precheck, against the shape of the data. What it does not do: it keeps nothing,
and asks no provider.

Rules (seed 000): the first fault counts; with strict validation off, types are not held against comparators.
"""

from __future__ import annotations

from typing import Any

from interlock.gates.comparators.binding import schemas_for
from interlock.gates.comparators.strict import check_condition
from interlock.gates.config import ValidationSettings
from interlock.gates.evidence.contracts import Contracts
from interlock.gates.scenario.normalise import Normalised, normal_form
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import plain


def admitted(spec: ScenarioSpec, contracts: Contracts, settings: ValidationSettings) -> Normalised:
    """The normal form of a scenario that may be defined.

    Raises: as `Contracts.check_condition`, `comparators.strict.check_condition` and `scenario.normalise.normal_form`.
    """
    for condition in spec.conditions:
        contracts.check_condition(condition)
    if settings.strict:
        for condition in spec.conditions:
            query = condition.query
            schema = contracts.check(query.provider_id, query.check_id).contract.result_schema
            check_condition(condition, schema, settings.enabled)
    return normal_form(plain(spec))


def check_binding(spec: ScenarioSpec, schema: Any, settings: ValidationSettings) -> None:
    """Hold every condition against its part of a data shape.

    Raises: `condition_unbound`, and as `comparators.strict.check_condition`.
    """
    if settings.strict:
        for condition in spec.conditions:
            for part in schemas_for(condition.condition_id, len(spec.conditions), schema):
                check_condition(condition, part, settings.enabled)
