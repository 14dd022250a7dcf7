"""Strict validation: refuses a condition whose comparator or expectation cannot work, before it is ever compared.

What it does: holds a condition against the schema of its value, by the profile `strict_core_v1`. What it does not do:
it asks no provider's contract for its own list of comparators (the registry of contracts does), and compares nothing.

Rules (seed 000): the order is that of the contract: the schema's own list, whether the comparator is enabled, what the
type allows, then the expectation. `expected` is absent for `exists` and `not_exists`, a list of fitting values for
`in_set`, and for all others a value that fits the schema; null is the same as absent. Formats of a schema are notes, as
JSON Schema 2020-12 has them. Errors name conditions, comparators and places, and never a value.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from interlock.base.ids import shown
from interlock.engine.answer_schema import validator
from interlock.gates.comparators.types import (
    COMPARATORS,
    DEEP,
    LEXICOGRAPHIC,
    META,
    Allowed,
    allowed_by,
    invalid,
    meta_of,
)
from interlock.gates.errors import (
    COMPARATOR_DISABLED,
    COMPARATOR_EXPECTED_INVALID,
    COMPARATOR_FORBIDDEN,
    COMPARATOR_NOT_LISTED,
)
from interlock.gates.spec import Comparator, ConditionSpec

PROFILE = "strict_core_v1"
_LIST = f"{META}.allowed_comparators"


class Enabled(Struct, frozen=True, kw_only=True):
    """Which comparators may be used at all beyond the common ones."""

    lexicographic: bool = False
    deep_equals: bool = False

    def takes(self, comparator: Comparator) -> bool:
        """Whether a comparator may be used."""
        if comparator in LEXICOGRAPHIC:
            return self.lexicographic
        return self.deep_equals if comparator in DEEP else True


def check_condition(condition: ConditionSpec, schema: Any, enabled: Enabled) -> None:
    """Refuse a condition that does not fit the schema of its value.

    Raises: `comparator_schema_invalid`, `comparator_disabled`, `comparator_forbidden`, `comparator_not_listed`,
    `comparator_expected_invalid`.
    """
    allowed = allowed_by(schema)
    listed = _listed(schema, allowed, enabled)
    comparator = condition.comparator
    what = f"condition {shown(condition.condition_id)}: {comparator}"
    if not enabled.takes(comparator):
        raise COMPARATOR_DISABLED.error(f"{what} is not enabled")
    if comparator not in allowed.always | allowed.listed:
        raise COMPARATOR_FORBIDDEN.error(f"{what} is not for values of this type")
    if comparator not in (allowed.always if listed is None else listed):
        raise COMPARATOR_NOT_LISTED.error(f"{what} is not listed in {_LIST}")
    _check_expected(condition, _compiled(schema), what)


def _listed(schema: Any, allowed: Allowed, enabled: Enabled) -> frozenset[Comparator] | None:
    """The comparators that a schema lists; None where it has no list."""
    meta = meta_of(schema)
    if "allowed_comparators" not in meta:
        return None
    listed = meta["allowed_comparators"]
    if not isinstance(listed, list) or not listed or not all(each in COMPARATORS for each in listed):
        raise invalid(f"{_LIST} is no list of comparators")
    for comparator in listed:
        if not enabled.takes(comparator):
            raise COMPARATOR_DISABLED.error(f"{_LIST} has {comparator}, which is not enabled")
        if comparator not in allowed.always | allowed.listed:
            raise COMPARATOR_FORBIDDEN.error(f"{_LIST} has {comparator}, which is not for values of this type")
    return frozenset(listed)


def _compiled(schema: Any) -> Any:
    try:
        return validator(schema)
    except (ValueError, RecursionError):
        raise invalid("the schema is no JSON Schema, or refers to another document") from None


def _check_expected(condition: ConditionSpec, compiled: Any, what: str) -> None:
    expected = condition.expected
    if condition.comparator in {"exists", "not_exists"}:
        if expected is not None:
            raise COMPARATOR_EXPECTED_INVALID.error(f"{what} takes no expected value")
    elif expected is None:
        raise COMPARATOR_EXPECTED_INVALID.error(f"{what} needs an expected value, which is not null")
    elif condition.comparator != "in_set":
        _check_value(expected, compiled, what, "")
    elif isinstance(expected, list):
        for index, each in enumerate(expected):
            _check_value(each, compiled, what, f"/{index}")
    else:
        raise COMPARATOR_EXPECTED_INVALID.error(f"{what} needs a list of values")


def _check_value(value: Any, compiled: Any, what: str, place: str) -> None:
    fault = next(compiled.iter_errors(value), None)
    if fault is not None:
        where = place + "".join(f"/{step}" for step in fault.instance_path)
        rule = str(fault.schema_path[-1]) if fault.schema_path else "false"
        raise COMPARATOR_EXPECTED_INVALID.error(
            f"{what} has an expected value that breaks the schema's rule {shown(rule)}, at {shown(where) or 'the top'}",
            place=where,
        )
