"""Conditions against the contracts of the providers that they ask.

What it does: finds providers and checks that there are not, parameters and expected values that do not fit, and
comparators that a check does not allow. What it does not do: it asks no provider.

Rules: the order is that of the contract (provider, check, parameters, expected, comparator); without contracts only
what holds for every check is examined; null and absence are the same, as they are when a document is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol, get_args

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.engine.answer_schema import validator
from interlock.engine.document.findings import Rule, one_of
from interlock.engine.document.misfits import misfits
from interlock.gates.scenario import rules
from interlock.gates.scenario.flaw import Flaw, Path
from interlock.gates.scenario.outline import Condition, Outline
from interlock.gates.spec import Comparator, ConditionSpec
from interlock.gates.values import converted


class CheckContract(Protocol):
    """What a linter must know of a check."""

    @property
    def params_required(self) -> bool:
        """Whether a query must have parameters."""
        ...

    @property
    def params_schema(self) -> Any:
        """The JSON Schema of parameters."""
        ...

    @property
    def result_schema(self) -> Any:
        """The JSON Schema of what the check gives."""
        ...

    @property
    def allowed_comparators(self) -> Sequence[str]:
        """The comparators that may be used."""
        ...


Contracts = Mapping[str, Mapping[str, CheckContract]]
"""The checks of each provider, by their ids."""

StrictCheck = Callable[[ConditionSpec, Any], None]
"""Strict validation of a condition against the schema of its value. Raises: an error that says what is wrong."""

COMPARATORS: Final[frozenset[str]] = frozenset(get_args(Comparator))
EXISTENCE: Final = frozenset({"exists", "not_exists"})
"""Comparators that compare with nothing."""


def condition_flaws(outline: Outline, contracts: Contracts | None, strict: StrictCheck | None) -> Iterator[Flaw]:
    """All that is wrong with conditions, one after the other."""
    used = {leaf.condition_id for gate in outline.gates for leaf in gate.requirement.leaves}
    for condition in outline.conditions:
        if condition.id is not None and condition.id.text not in used:
            yield Flaw(rules.CONDITION_UNUSED, condition.id.path, f"no gate names {shown(condition.id.text)}")
        found = [*_expectation(condition)]
        if contracts is not None:
            found += _against(condition, contracts, strict if not found else None)
        yield from found


def _expectation(condition: Condition) -> Iterator[Flaw]:
    """What no comparator takes, whatever the check is."""
    comparator, expected, path = condition.comparator, condition.expected, (*condition.path, "expected")
    if comparator in EXISTENCE:
        if expected is not None:
            yield Flaw(rules.EXPECTED_SUPERFLUOUS, path, f"{comparator} compares with nothing")
    elif comparator in COMPARATORS and expected is None:
        yield Flaw(rules.EXPECTED_MISSING, path, f"{comparator} has nothing to compare with")
    elif comparator == "in_set" and not isinstance(expected, list):
        yield Flaw(rules.EXPECTED_INVALID, path, "in_set compares with a list", "Write a list.")


def _against(condition: Condition, contracts: Contracts, strict: StrictCheck | None) -> Iterator[Flaw]:
    """What the contract of the check that is asked says against a condition."""
    provider, check = condition.provider, condition.check
    if provider is None or not provider.text.strip():
        return
    if provider.text not in contracts:
        message = f"no provider has the id {shown(provider.text)}"
        yield Flaw(rules.PROVIDER_MISSING, provider.path, message, one_of(provider.text, contracts))
        return
    checks = contracts[provider.text]
    if check is None or not check.text.strip():
        return
    if check.text not in checks:
        message = f"{shown(provider.text)} has no check {shown(check.text)}"
        yield Flaw(rules.CHECK_MISSING, check.path, message, one_of(check.text, checks))
        return
    yield from _params(condition, checks[check.text])
    yield from _comparison(condition, checks[check.text], strict)


def _params(condition: Condition, contract: CheckContract) -> Iterator[Flaw]:
    path, params = (*condition.path, "query", "params"), condition.params
    if params is None:
        if contract.params_required:
            yield Flaw(rules.PARAMS_MISSING, path, "the check needs parameters")
        return
    yield from _misfits(rules.PARAMS_INVALID, contract.params_schema, params, path)


def _comparison(condition: Condition, contract: CheckContract, strict: StrictCheck | None) -> Iterator[Flaw]:
    comparator, expected = condition.comparator, condition.expected
    if comparator is None or comparator not in COMPARATORS:
        return
    path = (*condition.path, "expected")
    values: list[tuple[Path, Any]] = [] if expected is None else [(path, expected)]
    if comparator == "in_set" and isinstance(expected, list):
        values = [((*path, index), value) for index, value in enumerate(expected)]
    schema = contract.result_schema
    found = [flaw for place, value in values for flaw in _misfits(rules.EXPECTED_INVALID, schema, value, place)]
    yield from found
    where = (*condition.path, "comparator")
    allowed = contract.allowed_comparators
    if comparator not in allowed:
        message = f"the check does not allow {comparator}"
        yield Flaw(rules.COMPARATOR_NOT_ALLOWED, where, message, one_of(comparator, allowed))
    elif strict is not None and not found:
        yield from _strictly(condition, contract, strict)


def _strictly(condition: Condition, contract: CheckContract, strict: StrictCheck) -> Iterator[Flaw]:
    """What strict validation says against a condition that has its form; of others it cannot be asked."""
    try:
        spec = converted(condition.value, ConditionSpec)
    except InterlockError:
        return
    try:
        strict(spec, contract.result_schema)
    except InterlockError as fault:
        yield Flaw(rules.COMPARATOR_REFUSED, (*condition.path, "comparator"), fault.message, fault.advice)


def _misfits(rule: Rule, schema: Any, value: Any, path: Path) -> Iterator[Flaw]:
    """What the schema of a check has against a value at a path: the keywords that refuse it, and never the value."""
    errors = misfits(validator(schema), value)
    if errors is None:
        yield Flaw(rule, path, "the schema of the check refuses a part of this")
    for error in errors or ():
        keyword = str(error.schema_path[-1]) if error.schema_path else "false"
        message = f"the schema of the check refuses this by its `{shown(keyword)}`"
        yield Flaw(rule, (*path, *error.instance_path), message)
