"""Laws of requirements and comparators: Kleene logic, traces, text, changes, and order (seed 000)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import product
from typing import Any, get_args

from hypothesis import example, given
from hypothesis import strategies as st

from interlock.base.errors import Invalid
from interlock.gates.comparators.compare import compare
from interlock.gates.comparators.strict import Enabled, check_condition
from interlock.gates.logic.changes import changes_to_pass
from interlock.gates.logic.check import check, complexity, foregone, read_requirement
from interlock.gates.logic.evaluate import evaluate
from interlock.gates.logic.explain import Leaf, Reason, as_text, explain
from interlock.gates.logic.status import Status
from interlock.gates.logic.text import requirement_from, text_of
from interlock.gates.logic.tree import And, Condition, Group, Not, Or, RequireGroup, Requirement, conditions_of
from interlock.gates.spec import Comparator, ConditionSpec, EvidenceQuery
from interlock.gates.values import BytesValue, JsonValue, wire

T, F, U = Status.TRUE, Status.FALSE, Status.UNKNOWN
NAMES = ("a", "b", "c", "d")
NUMBER = {F: 0, U: 1, T: 2}


def trees(names: st.SearchStrategy[str], *, sound: bool = False) -> st.SearchStrategy[Requirement]:
    """Requirements over names; with `sound`, those that `check` takes."""

    def larger(below: st.SearchStrategy[Requirement]) -> st.SearchStrategy[Requirement]:
        many = st.lists(below, max_size=4).map(tuple)
        groups = st.builds(Group, st.integers(0, 5), many)
        if sound:
            groups = groups.map(lambda group: Group(min(max(group.min, 1), len(group.reqs)), group.reqs))
        return st.one_of(many.map(And), many.map(Or), below.map(Not), groups.map(RequireGroup))

    leaves: st.SearchStrategy[Requirement] = names.map(Condition)
    return st.recursive(leaves, larger, max_leaves=12)


TREES = trees(st.sampled_from(NAMES))
FOREST = st.lists(TREES, max_size=4).map(tuple)
STATUSES = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(Status))


def status(requirement: Requirement, statuses: Mapping[str, Status]) -> Status:
    return evaluate(requirement, statuses).status


def numbered(requirement: Requirement, statuses: Mapping[str, Status]) -> int:
    """The same logic told another way: the least, the greatest, and the so-and-so-manieth of some numbers."""
    match requirement:
        case Condition(name):
            return NUMBER[statuses.get(name, U)]
        case Not(req):
            return 2 - numbered(req, statuses)
        case And(reqs):
            return min((numbered(each, statuses) for each in reqs), default=2)
        case Or(reqs):
            return max((numbered(each, statuses) for each in reqs), default=0)
        case RequireGroup(Group(least, reqs)):
            ordered = sorted((numbered(each, statuses) for each in reqs), reverse=True)
            return ([2, *ordered, *[0] * 5])[least]
    raise AssertionError(requirement)


@given(TREES, STATUSES)
def test_the_logic_is_that_of_least_and_greatest(requirement: Requirement, statuses: dict[str, Status]) -> None:
    assert NUMBER[status(requirement, statuses)] == numbered(requirement, statuses)


@given(TREES, STATUSES, st.dictionaries(st.sampled_from(NAMES), st.sampled_from([T, F])))
def test_what_is_decided_stays_so_when_more_is_known(
    requirement: Requirement, statuses: dict[str, Status], learnt: dict[str, Status]
) -> None:
    known = {name: each for name, each in statuses.items() if each is not U}

    assert status(requirement, known) in {U, status(requirement, {**learnt, **known})}


@given(FOREST, STATUSES)
def test_de_morgan_and_double_negation(forest: tuple[Requirement, ...], statuses: dict[str, Status]) -> None:
    negated = tuple(map(Not, forest))

    assert status(Not(And(forest)), statuses) is status(Or(negated), statuses)
    assert status(Not(Or(forest)), statuses) is status(And(negated), statuses)
    assert status(Not(Not(And(forest))), statuses) is status(And(forest), statuses)


@given(FOREST, STATUSES, st.integers(0, 6))
def test_groups_among_and_or_and_not(forest: tuple[Requirement, ...], statuses: dict[str, Status], least: int) -> None:
    """All of it is And, one of it is Or, and not so many is many that do not hold."""
    count = len(forest)
    group = status(RequireGroup(Group(least, forest)), statuses)

    assert status(RequireGroup(Group(count, forest)), statuses) is status(And(forest), statuses)
    assert status(RequireGroup(Group(1, forest)), statuses) is status(Or(forest), statuses)
    assert NUMBER[group] >= NUMBER[status(RequireGroup(Group(least + 1, forest)), statuses)]
    if least <= count:
        opposite = RequireGroup(Group(count - least + 1, tuple(map(Not, forest))))
        assert status(Not(RequireGroup(Group(least, forest))), statuses) is status(opposite, statuses)


@given(TREES, STATUSES)
def test_every_leaf_is_traced_once_a_visit_in_the_order_of_the_tree(
    requirement: Requirement, statuses: dict[str, Status]
) -> None:
    trace = evaluate(requirement, statuses).trace

    assert [each.condition_id for each in trace] == list(conditions_of(requirement))
    assert all(each.status is statuses.get(each.condition_id, U) for each in trace)


@given(FOREST, STATUSES, st.randoms(use_true_random=False))
def test_no_order_of_evidence_or_of_parts_decides(
    forest: tuple[Requirement, ...], statuses: dict[str, Status], chance: Any
) -> None:
    shuffled = dict(chance.sample(list(statuses.items()), len(statuses)))
    parts = tuple(chance.sample(forest, len(forest)))

    assert evaluate(And(forest), shuffled) == evaluate(And(forest), statuses)
    for kind in (And, Or):
        one, other = evaluate(kind(forest), statuses), evaluate(kind(parts), statuses)
        assert one.status is other.status
        assert Counter(map(str, one.trace)) == Counter(map(str, other.trace))


@given(TREES, STATUSES)
def test_what_is_foregone_is_so_whatever_the_evidence(requirement: Requirement, statuses: dict[str, Status]) -> None:
    assert foregone(requirement) in {U, status(requirement, statuses)}


@given(trees(st.one_of(st.sampled_from([*NAMES, "and", "not", "all", "at_least"]), st.text(max_size=5)), sound=True))
def test_a_tree_reads_back_from_its_text_and_from_its_json(requirement: Requirement) -> None:
    check(requirement)

    assert requirement_from(text_of(requirement)) == requirement
    assert read_requirement(wire(requirement)) == requirement


WORDS = st.sampled_from(
    ["a", "b", "and", "or", "not", "&&", "||", "!", "(", ")", ",", "all", "any(", "at_least(", "1", "2", '"x y"', "é"]
)


@given(st.one_of(st.lists(WORDS, max_size=12).map(" ".join), st.text(max_size=20)))
@example("(" * 5_000)
@example("not " * 5_000 + "a")
@example("at_least(1, " * 5_000)
def test_a_text_is_a_requirement_or_is_refused_with_a_code(text: str) -> None:
    try:
        requirement = requirement_from(text)
    except Invalid as refused:
        assert refused.code.startswith("requirement_")
        assert 0 <= int(str(refused.details.get("byte", 0))) <= len(text.encode())
    else:
        check(requirement)
        assert requirement_from(text_of(requirement)) == requirement


def sufficient(requirement: Requirement, statuses: Mapping[str, Status]) -> set[frozenset[tuple[str, Status]]]:
    """By trying all there are: the sets of changes that are enough and have no smaller one that is."""
    used = sorted(set(conditions_of(requirement)))
    enough = set()
    for wanted in product([None, T, F], repeat=len(used)):
        becoming = {name: each for name, each in zip(used, wanted, strict=True) if each is not None}
        changed = frozenset((name, each) for name, each in becoming.items() if statuses.get(name, U) is not each)
        if len(changed) == len(becoming) and status(requirement, {**statuses, **becoming}) is T:
            enough.add(changed)
    return {each for each in enough if not any(other < each for other in enough)}


@given(TREES, STATUSES)
def test_the_changes_that_would_help_are_those_that_trying_all_finds(
    requirement: Requirement, statuses: dict[str, Status]
) -> None:
    found = changes_to_pass(requirement, statuses)
    sets = {frozenset((each.condition_id, each.becomes) for each in changed) for changed in found.sets}
    wanted = sufficient(requirement, statuses) - {frozenset()}

    assert sets <= wanted
    assert len(sets) == len(found.sets)
    assert not found.complete or sets == wanted
    assert [len(changed) for changed in found.sets] == sorted(len(changed) for changed in found.sets)


def leaves_of(reason: Reason[None]) -> Iterable[tuple[str, Status]]:
    if isinstance(reason.condition_id, str):
        yield reason.condition_id, reason.status
    for each in reason.reasons:
        yield from leaves_of(each)


@given(TREES, STATUSES)
def test_an_explanation_agrees_with_the_evaluation(requirement: Requirement, statuses: dict[str, Status]) -> None:
    leaves: dict[str, Leaf[None]] = {name: Leaf(each, "so it is") for name, each in statuses.items()}
    found, evaluated = explain(requirement, leaves), evaluate(requirement, statuses)

    assert found.status is evaluated.status
    assert list(leaves_of(found.reason)) == [(each.condition_id, each.status) for each in evaluated.trace]
    assert len(as_text(found, str).splitlines()) >= complexity(requirement)


NUMBERS = st.one_of(
    st.integers(-(2**63), 2**64 - 1), st.integers(-3, 3), st.floats(allow_nan=False, allow_infinity=False)
)
DAYS = st.dates().map(lambda day: f"{day.year:04}-{day.month}-{day.day:02}")
MOMENTS = st.builds(
    lambda moment, minutes: moment.replace(tzinfo=timezone(timedelta(minutes=minutes))),
    st.datetimes(min_value=datetime(1, 1, 3), max_value=datetime(9999, 12, 29)),  # noqa: DTZ001 - gets one above
    st.integers(-1439, 1439),
)
TEXTS = st.one_of(st.text(max_size=4), DAYS, MOMENTS.map(datetime.isoformat))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda below: st.one_of(st.lists(below, max_size=4), st.dictionaries(st.text(max_size=2), below, max_size=3)),
)
COMPARATORS = st.sampled_from(get_args(Comparator))
ORDERS = [
    ("greater_than", "less_than", "less_than_or_equal"),
    ("lex_greater_than", "lex_less_than", "lex_less_than_or_equal"),
]
OPPOSITE = {T: F, F: T, U: U}


def of(comparator: Any, value: Any, expected: Any) -> Status:
    return compare(comparator, JsonValue(value), expected)


@given(COMPARATORS, VALUES, VALUES)
def test_every_comparator_says_something_of_any_two_values(comparator: Comparator, one: Any, other: Any) -> None:
    assert of(comparator, one, other) in Status
    assert compare(comparator, None, other) in Status
    assert compare(comparator, BytesValue([1, 2]), other) in Status


@given(VALUES, VALUES)
def test_one_comparator_denies_what_its_opposite_says(one: Any, other: Any) -> None:
    for says, denies in (("equals", "not_equals"), ("deep_equals", "deep_not_equals"), ("exists", "not_exists")):
        assert of(denies, one, other) is OPPOSITE[of(says, one, other)]


@given(VALUES, st.randoms(use_true_random=False))
def test_a_value_equals_itself_in_any_order_of_its_members(value: Any, chance: Any) -> None:
    def shuffled(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: shuffled(each[key]) for key in chance.sample(list(each), len(each))}
        return [shuffled(item) for item in each] if isinstance(each, list) else each

    if value is not None:
        assert of("equals", value, shuffled(value)) is T
    if isinstance(value, list | dict):
        assert of("deep_equals", value, shuffled(value)) is T


@given(st.one_of(st.tuples(NUMBERS, NUMBERS), st.tuples(TEXTS, TEXTS), st.tuples(VALUES, VALUES)))
def test_an_order_is_antisymmetric_and_total_where_it_is_known(pair: tuple[Any, Any]) -> None:
    one, other = pair
    for greater, less, at_most in ORDERS:
        if None in pair:
            continue
        assert of(greater, one, other) is of(less, other, one)
        assert of(at_most, one, other) is OPPOSITE[of(greater, one, other)]
        assert [of(greater, one, other), of(less, one, other)] != [T, T]
        assert of(at_most, one, one) in {T, U}


@given(st.tuples(NUMBERS, NUMBERS, NUMBERS))
def test_numbers_are_ordered_as_the_decimals_that_they_are_written_as(numbers: tuple[Any, Any, Any]) -> None:
    for one, other in product(numbers, numbers):
        left, right = Decimal(json.dumps(one)), Decimal(json.dumps(other))
        assert (of("less_than", one, other), of("equals", one, other)) == (
            T if left < right else F,
            T if left == right else F,
        )


@given(MOMENTS, MOMENTS)
def test_moments_are_ordered_as_instants(one: datetime, other: datetime) -> None:
    assert of("less_than", one.isoformat(), other.isoformat()) is (T if one < other else F)
    assert of("greater_than_or_equal", one.isoformat(), other.isoformat()) is (T if one >= other else F)


@given(st.dates(), st.dates())
def test_days_are_ordered_by_the_calendar(one: Any, other: Any) -> None:
    assert of("less_than", one.isoformat(), f"{other.year}-{other.month}-{other.day}") is (T if one < other else F)


@given(st.lists(VALUES, max_size=5), st.randoms(use_true_random=False))
def test_a_list_contains_each_part_of_it_and_a_set_has_each_of_its_scalars(values: list[Any], chance: Any) -> None:
    part = chance.sample(values, chance.randint(0, len(values)))

    assert of("contains", values, part) is T
    for each in values:
        if not isinstance(each, list | dict):
            assert of("in_set", each, values) is T


JUNK = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-2, 2), st.sampled_from(["string", "array", "null", "x", "equals"])
    ),
    lambda below: st.one_of(
        st.lists(below, max_size=3),
        st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "enum",
                    "items",
                    "oneOf",
                    "anyOf",
                    "format",
                    "x-decision-gate",
                    "dynamic_type",
                    "allowed_comparators",
                ]
            ),
            below,
            max_size=3,
        ),
    ),
    max_leaves=8,
)


@given(JUNK, COMPARATORS, JUNK, st.booleans())
def test_any_schema_takes_a_condition_or_refuses_it_with_a_code(
    schema: Any, comparator: Comparator, expected: Any, enabled: bool
) -> None:
    condition = ConditionSpec("c", EvidenceQuery("p", "q"), comparator, [], expected)
    try:
        check_condition(condition, schema, Enabled(lexicographic=enabled, deep_equals=enabled))
    except Invalid as refused:
        assert refused.code.startswith("comparator_")
