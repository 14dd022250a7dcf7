"""Provider contracts: what a provider can be asked, and whether a condition asks for that.

What it does: declares the records of contracts, names one by its canonical hash, keeps a registry of them, and checks a
condition against it. What it does not do: it reads no file (`contract_files`) and asks no provider.

Rules (seed 000): a condition is checked in the order provider, check, params, expected value, comparator, and the first
fault counts; an expected value that is absent is not checked, and of `in_set` each member is; the comparators of a
check stand in the contract's order, and are not none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Final, Literal, get_args

from msgspec import UNSET, Struct

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.engine.answer_schema import validator
from interlock.gates.errors import (
    CHECK_MISSING,
    COMPARATOR_NOT_ALLOWED,
    CONTRACT_HASH_FAILED,
    CONTRACT_INVALID,
    DUPLICATE_PROVIDER,
    EXPECTED_INVALID,
    PARAMS_INVALID,
    PARAMS_MISSING,
    PROVIDER_MISSING,
    SCHEMA_COMPILE_FAILED,
)
from interlock.gates.evidence.records import Determinism
from interlock.gates.spec import Comparator, ConditionSpec, EvidenceQuery
from interlock.gates.values import HashDigest, hash_of, wire

COMPARATORS: Final[tuple[Comparator, ...]] = get_args(Comparator)
"""All of them, in the order that contracts keep."""

ContractSource = Literal["builtin", "file"]


class CheckExample(Struct, frozen=True):
    """What a check answers to some params."""

    description: str
    params: Any
    result: Any


class CheckContract(Struct, frozen=True):
    """One question that a provider answers."""

    check_id: str
    description: str
    determinism: Determinism
    params_required: bool
    params_schema: Any
    result_schema: Any
    allowed_comparators: list[Comparator]
    anchor_types: list[str]
    content_types: list[str]
    examples: list[CheckExample]


class ProviderContract(Struct, frozen=True):
    """All that a provider can be asked."""

    provider_id: str
    name: str
    description: str
    transport: Literal["builtin", "mcp"]
    config_schema: Any
    checks: list[CheckContract]
    notes: list[str]


def contract_hash(contract: ProviderContract) -> HashDigest:
    """The digest that names a contract. Raises: `contract_hash_failed`."""
    try:
        return hash_of(wire(contract))
    except InterlockError as fault:
        raise CONTRACT_HASH_FAILED.error(f"the contract has no canonical form ({fault.code})") from None


def check_contract(contract: ProviderContract) -> None:
    """Check what the types of a contract leave open. Raises: `contract_invalid`, `schema_compile_failed`."""
    ids = [check.check_id for check in contract.checks]
    if not ids or len(set(ids)) != len(ids) or not all(each.strip() for each in ids):
        raise CONTRACT_INVALID.error("a contract has checks, each with an id of its own")
    for check in contract.checks:
        order = [COMPARATORS.index(each) for each in check.allowed_comparators]
        if not order or order != sorted(set(order)):
            raise CONTRACT_INVALID.error(
                f"the comparators of {shown(check.check_id)} are none, or not in the contract's order"
            )
        for schema in (check.params_schema, check.result_schema):
            _compiled(schema, check.check_id)
    _compiled(contract.config_schema, "config_schema")


def _compiled(schema: Any, where: str) -> Any:
    try:
        return validator(schema)
    except (ValueError, TypeError, RecursionError):
        raise SCHEMA_COMPILE_FAILED.error(f"a schema of {shown(where)} cannot be compiled") from None


class CheckRules:
    """A check, and the validators of its schemas, made when they are first used."""

    def __init__(self, contract: CheckContract) -> None:
        self.contract = contract

    @cached_property
    def params(self) -> Any:
        """The validator of params."""
        return _compiled(self.contract.params_schema, self.contract.check_id)

    @cached_property
    def result(self) -> Any:
        """The validator of results."""
        return _compiled(self.contract.result_schema, self.contract.check_id)


class Registered:
    """A contract in the registry: where it is from, and the hash that names it."""

    def __init__(self, contract: ProviderContract, source: ContractSource) -> None:
        self.contract = contract
        self.source = source
        self.hash = contract_hash(contract)
        self.checks: Mapping[str, CheckRules] = {check.check_id: CheckRules(check) for check in contract.checks}


class Contracts:
    """The registry of contracts."""

    def __init__(self, registered: Iterable[Registered] = ()) -> None:
        self._by_id: dict[str, Registered] = {}
        for each in registered:
            self.add(each)

    def add(self, registered: Registered) -> None:
        """Add a contract. Raises: `duplicate_provider`."""
        provider_id = registered.contract.provider_id
        if provider_id in self._by_id:
            raise DUPLICATE_PROVIDER.error(f"the provider {shown(provider_id)} is there twice")
        self._by_id[provider_id] = registered

    def all(self) -> list[Registered]:
        """Every contract, by its id."""
        return [self._by_id[each] for each in sorted(self._by_id)]

    def contract(self, provider_id: str) -> Registered:
        """The contract of a provider. Raises: `provider_missing`."""
        found = self._by_id.get(provider_id)
        if found is None:
            raise PROVIDER_MISSING.error(f"there is no provider {shown(provider_id)}")
        return found

    def check(self, provider_id: str, check_id: str) -> CheckRules:
        """A check of a provider. Raises: `provider_missing`, `check_missing`."""
        found = self.contract(provider_id).checks.get(check_id)
        if found is None:
            raise CHECK_MISSING.error(f"the provider {shown(provider_id)} has no check {shown(check_id)}")
        return found

    def check_query(self, query: EvidenceQuery) -> CheckRules:
        """The check that a query is for. Raises: as `check`; `params_missing`, `params_invalid`."""
        rules = self.check(query.provider_id, query.check_id)
        if query.params is UNSET:
            if rules.contract.params_required:
                raise PARAMS_MISSING.error(f"the check {shown(query.check_id)} needs params")
        elif not rules.params.is_valid(query.params):
            raise PARAMS_INVALID.error(f"the params are not as the check {shown(query.check_id)} has them")
        return rules

    def check_condition(self, condition: ConditionSpec) -> None:
        """Whether a condition asks for what there is.

        Raises: as `check_query`; `expected_invalid`, `comparator_not_allowed`, with the condition's id as a detail.
        """
        try:
            rules = self.check_query(condition.query)
            _check_expected(condition, rules)
            if condition.comparator not in rules.contract.allowed_comparators:
                raise COMPARATOR_NOT_ALLOWED.error(
                    f"the check {shown(condition.query.check_id)} allows no {condition.comparator}"
                )
        except InterlockError as fault:
            fault.details["condition_id"] = shown(condition.condition_id, 120)
            raise


def _check_expected(condition: ConditionSpec, rules: CheckRules) -> None:
    expected = condition.expected
    if expected is None:
        return
    members = expected if condition.comparator == "in_set" else [expected]
    if not isinstance(members, list) or not all(map(rules.result.is_valid, members)):
        raise EXPECTED_INVALID.error(
            f"the expected value is none that the check {shown(condition.query.check_id)} can have"
        )
