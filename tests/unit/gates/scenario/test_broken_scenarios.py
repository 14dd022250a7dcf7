"""Every scenario of `broken/` is found out in one pass: exactly the rules that its own lines name, where they do.

A line that breaks a rule says so by `!rule` in its comment; what says nothing must be clean.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.errors import InterlockError
from interlock.engine.document.findings import FINDINGS_MAX, Level
from interlock.engine.document.sarif import sarif
from interlock.gates.logic.tree import requirement_of
from interlock.gates.scenario.lint import LintedScenario, ScenarioLinter
from interlock.gates.scenario.normalise import SCENARIO, normalise
from interlock.gates.scenario.rules import RULES
from tests.unit.gates.scenario.documents import CONTRACTS, condition, document, gate, read_text, stage, strict

BROKEN = Path(__file__).parent / "broken"
DOCUMENTS = sorted(path.name for path in BROKEN.glob("*.yaml"))
LINTER = ScenarioLinter(read_text, CONTRACTS, strict)
_MARK = re.compile(r"!([a-z_]+)")
_HEAD = b"scenario_id: x\n"


def nots(depth: int) -> Any:
    return {"Not": nots(depth - 1)} if depth else {"Condition": "c"}


DEEP = json.dumps(document(stages=[stage("a", gates=[gate("g", nots(33))])])).encode()
BYTES = {
    "file_missing": ("there_is_none.yaml", None, 1),
    "file_unreadable": (".", None, 1),
    "file_too_large": ("x.yaml", b"# " + b"x" * SCENARIO.yaml_bytes_max, 1),
    "file_encoding": ("x.yaml", b'scenario_id: x\nspec_version: "\xff"\n', 2),
    "file_bom": ("x.yaml", b"\xef\xbb\xbf" + _HEAD, 1),
    "file_empty": ("x.yaml", b"", 1),
    "character": ("x.yaml", b"scenario_id: x\nspec_version: \x00\n", 2),
    "yaml_syntax": ("x.yaml", b"stages: [x\nversion: 1\n", 2),
    "json_syntax": ("x.json", b'{"scenario_id": "x",\n "spec_version": "1",}', 2),
    "too_many_nodes": ("x.json", b"[" + b"1," * SCENARIO.values_max + b"1]", 1),
    "too_deep": ("x.json", b"[" * 65, 1),
    "key_too_long": ("x.json", b'{"' + b"k" * 5_000 + b'": 1}', 1),
    "surrogate": ("x.json", b'{"scenario_id":\n "\\ud800"}', 2),
    "number_range": ("x.json", b'{"scenario_id":\n ' + b"9" * 401 + b"}", 2),
    "number_not_finite": ("x.json", b'{"scenario_id":\n ' + b"9" * 350 + b"}", 2),
    "requirement_too_deep": ("x.json", DEEP, 1),
}


def expected(path: Path) -> Counter[tuple[int, str]]:
    """What the comments of a document say is wrong with it: lines and rules."""
    found: Counter[tuple[int, str]] = Counter()
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        _, _, comment = line.rpartition("# !")
        found.update((number, rule) for rule in _MARK.findall(f"!{comment}") if "# !" in line)
    return found


def linted(value: Any, linter: ScenarioLinter = LINTER) -> LintedScenario:
    """What becomes of a JSON value as a document."""
    return linter.content(json.dumps(value).encode(), "x.json")


def found_in(value: Any, linter: ScenarioLinter = LINTER) -> set[str]:
    return {each.rule for each in linted(value, linter).findings}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_broken_scenario_is_found_out_in_one_pass(name: str) -> None:
    done = LINTER.file(BROKEN / name, name)

    found = Counter((each.line, each.rule) for each in done.findings)
    assert found == expected(BROKEN / name), "\n".join(map(str, done.findings))
    assert (done.normalised is None) == any(each.level is Level.ERROR for each in done.findings)


@pytest.mark.parametrize("rule", BYTES)
def test_hostile_bytes_are_one_finding_with_its_line(rule: str, tmp_path: Path) -> None:
    name, content, line = BYTES[rule]
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)

    done = LINTER.file(path)

    assert (line, rule) in {(each.line, each.rule) for each in done.findings}
    assert done.normalised is None


def test_the_corpus_has_every_kind() -> None:
    kinds = {rule for name in DOCUMENTS for _, rule in expected(BROKEN / name)} | set(BYTES)

    assert len(kinds) >= 30
    assert {rule.id for rule in RULES} - kinds == set()
    assert len({rule.id for rule in RULES}) == len(RULES)


def test_every_finding_says_what_to_do() -> None:
    findings = [each for name in DOCUMENTS for each in LINTER.file(BROKEN / name).findings]

    assert all(each.hint.endswith((".", "?")) and each.message and each.column >= 1 for each in findings)


def test_near_misses_are_named() -> None:
    names = ("contracts.yaml", "forms.yaml")
    hints = [each.hint for name in names for each in LINTER.file(BROKEN / name).findings]

    for word in ("time", "now", "equals", "json", "conditions"):
        assert any(f"Did you mean `{word}`?" in hint for hint in hints), word


def test_a_sound_document_is_the_one_that_is_normalised() -> None:
    done = LINTER.file(BROKEN / "sound.yaml")

    assert done.findings == ()
    assert done.normalised == normalise((BROKEN / "sound.yaml").read_bytes(), read_text, is_yaml=True)


def test_more_findings_than_are_listed_are_counted() -> None:
    gates = [gate(f"g{number}", {"Condition": "nobody"}) for number in range(FINDINGS_MAX + 7)]

    done = linted(document(stages=[stage("a", gates=gates)]))

    assert (len(done.findings), done.omitted, done.normalised) == (FINDINGS_MAX, 8, None)


def test_lists_of_wrong_values_that_are_long_cost_little_and_what_is_behind_them_is_not_called_sound() -> None:
    wrong = linted(document(conditions=[condition("c", policy_tags=[1] * 50_000)]))
    behind = linted(document(conditions=[condition("c", policy_tags=["x"] * 50_000 + [1])]))
    words = {"query": {"provider_id": "json", "check_id": "words"}, "comparator": "contains"}
    expectation = linted(document(conditions=[condition("c", **words, expected=["x"] * 50_000 + [1])]))

    assert {each.rule for each in wrong.findings} == {"wrong_type"}
    assert wrong.omitted < 20_000
    assert [each.rule for each in behind.findings] == ["wrong_value"]
    assert [each.rule for each in expectation.findings] == ["expected_invalid"]


def test_findings_are_shown_as_sarif_with_their_own_rules() -> None:
    shown = sarif(LINTER.file(BROKEN / "flow.yaml").findings, RULES)["runs"][0]

    assert {each["id"] for each in shown["tool"]["driver"]["rules"]} == {each["ruleId"] for each in shown["results"]}


def test_without_a_reader_no_requirement_is_a_text() -> None:
    value = document(stages=[stage("a", gates=[gate("g", "c")])])

    assert found_in(value, ScenarioLinter()) == {"requirement_form", "condition_unused"}
    assert found_in(value) == set()


def test_without_contracts_what_holds_for_every_check_is_examined_all_the_same() -> None:
    unknown = condition("c", query={"provider_id": "nobody", "check_id": "nothing"})

    assert found_in(document(conditions=[unknown]), ScenarioLinter()) == set()
    assert found_in(document(conditions=[{**unknown, "comparator": "equals"}]), ScenarioLinter()) == {
        "expected_missing"
    }


def test_a_document_whose_texts_stand_for_too_deep_a_tree_has_no_normal_form() -> None:
    def deep(_text: str) -> Any:
        value: Any = {"Condition": "c"}
        for _ in range(32):
            value = {"And": [value]}
        return requirement_of(value)

    done = linted(document(stages=[stage("a", gates=[gate("g", "deep")])]), ScenarioLinter(deep))

    [finding] = done.findings
    assert (finding.rule, done.normalised) == ("wrong_value", None)
    assert "levels" in finding.message


def test_two_thousand_stages_in_a_row_and_in_a_circle_are_followed() -> None:
    linear = [stage(f"s{number}", advance_to={"kind": "linear"}) for number in range(2_000)]
    assert found_in(document(stages=linear)) == set()

    linear[-1]["advance_to"] = {"kind": "fixed", "stage_id": "s0"}
    [finding] = linted(document(stages=linear)).findings
    assert finding.rule == "stage_without_end"
    assert "1992 more" in finding.message


def branch(*rules: tuple[str, str], default: str | None = None, **members: Any) -> dict[str, Any]:
    """A document whose first stage has the gates `a` and `b`, and these rules; all lead to the last stage."""
    branches = [{"gate_id": name, "outcome": outcome, "next_stage_id": "last"} for name, outcome in rules]
    way = {"kind": "branch", "branches": branches, "default": default}
    first = stage("first", gates=[gate("a"), gate("b")], advance_to=way, **members)
    return document(stages=[first, stage("last")])


WAITING: dict[str, Any] = {"timeout": {"timeout_ms": 1, "policy_tags": []}, "on_timeout": "alternate_branch"}
BRANCHES = [
    ("a true branch is taken", branch(("a", "true")), set()),
    ("of two true branches the first", branch(("a", "true"), ("b", "true")), {"branch_rule_dead"}),
    ("a default is taken", branch(default="last"), set()),
    ("nothing fits", branch(), {"branch_without_match", "stage_unreachable"}),
    ("false is never taken", branch(("a", "false"), default="last"), {"branch_rule_dead"}),
    ("false is taken on hold", branch(("a", "false"), default="last", on_hold="branch"), set()),
    ("unknown is taken on hold", branch(("a", "unknown"), default="last", on_hold="branch"), set()),
    ("unknown is taken in time", branch(("a", "true"), ("a", "unknown"), **WAITING), set()),
    (
        "false is not taken in time",
        branch(("a", "true"), ("b", "unknown"), ("a", "false"), **WAITING),
        {"branch_rule_dead"},
    ),
    (
        "of two unknown the first",
        branch(("a", "true"), ("a", "unknown"), ("b", "unknown"), **WAITING),
        {"branch_rule_dead"},
    ),
    ("nothing fits in time", branch(("a", "true"), **WAITING), {"branch_without_match"}),
    (
        "after all outcomes of a gate nothing is taken",
        branch(("a", "true"), ("a", "false"), ("a", "unknown"), ("b", "false"), on_hold="branch"),
        {"branch_rule_dead"},
    ),
    (
        "a gate of another stage is unknown, and so always taken",
        branch(("last-gate", "unknown"), ("a", "true"), on_hold="branch"),
        {"branch_gate_elsewhere", "branch_rule_dead"},
    ),
    ("a gate of another stage is never true", branch(("last-gate", "true"), ("a", "true")), {"branch_gate_elsewhere"}),
    (
        "a gate of another stage is never true on hold",
        branch(("last-gate", "true"), ("a", "true"), on_hold="branch"),
        {"branch_gate_elsewhere"},
    ),
]


@pytest.mark.parametrize(("value", "rules"), [row[1:] for row in BRANCHES], ids=[row[0] for row in BRANCHES])
def test_which_branches_can_be_taken(value: dict[str, Any], rules: set[str]) -> None:
    assert found_in(value) == rules


def test_a_stage_that_an_unknown_target_may_have_meant_is_not_called_unreachable() -> None:
    first = stage("first", advance_to={"kind": "fixed", "stage_id": "lst"})

    assert found_in(document(stages=[first, stage("last")])) == {"scenario_target_unknown"}


def test_of_a_branch_without_its_members_only_these_are_missed() -> None:
    way = {"kind": "branch", "branches": [{"next_stage_id": "only"}]}

    assert found_in(document(stages=[stage("only", advance_to=way)])) == {"member_missing"}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "c", "only", "branch", "x ", "true"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["And", "Or", "Not", "RequireGroup", "Condition", "min", "reqs", "kind", "gate_id", "stage_id"]
            ),
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
_PLACES = [
    ("stages",),
    ("conditions",),
    ("namespace_id",),
    ("stages", 0),
    ("stages", 0, "gates"),
    ("stages", 0, "gates", 0),
    ("stages", 0, "gates", 0, "requirement"),
    ("stages", 0, "advance_to"),
    ("stages", 0, "entry_packets"),
    ("stages", 0, "timeout"),
    ("stages", 0, "on_timeout"),
    ("conditions", 0),
    ("conditions", 0, "query"),
    ("conditions", 0, "query", "params"),
    ("conditions", 0, "comparator"),
    ("conditions", 0, "expected"),
]


@given(value=_JSON, place=st.sampled_from(_PLACES))
def test_whatever_stands_in_a_document_it_is_normalised_or_an_error_says_why_not(
    value: Any, place: tuple[str | int, ...]
) -> None:
    whole: Any = document()
    holder = whole
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = value

    done = linted(whole)

    has_errors = any(each.level is Level.ERROR for each in done.findings)
    assert has_errors == (done.normalised is None)
    try:
        normalise(json.dumps(whole).encode(), read_text)
    except InterlockError:
        assert has_errors


@given(
    content=st.binary(max_size=40) | st.text(max_size=40).map(str.encode), name=st.sampled_from(["x.json", "x.yaml"])
)
def test_any_bytes_give_findings_and_never_another_fault(content: bytes, name: str) -> None:
    done = LINTER.content(content, name)

    assert done.normalised is None
    assert any(each.level is Level.ERROR for each in done.findings)
