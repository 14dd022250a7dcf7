"""Documents of 200 KB that break one rule as often as they can: linting them is bounded work (docs/threats.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.engine.document.findings import COMPARISONS_MAX, FINDINGS_MAX, LOOKS_MAX, NAMES_COMPARED_MAX, NearMisses
from interlock.engine.document.lint import Linter
from interlock.engine.part import PART
from interlock.engine.steps.call import StepHandlers

HEAD = 'pipeline: x\nversion: "1"\n'
BYTES = 200_000
LINES_MAX = 1_200
"""So many that a document has not too many values, however small its lines are."""


def repeated(one: Callable[[int], str], bytes_max: int = BYTES) -> str:
    """As many different lines as fit."""
    lines: list[str] = []
    size = 0
    while size < bytes_max and len(lines) < LINES_MAX:
        lines.append(one(len(lines)))
        size += len(lines[-1])
    return "".join(lines)


def step(number: int, more: str = "") -> str:
    return f"  - {{name: step_number_{number:04}, handler: wait{more}}}\n"


STEPS = "".join(step(number) for number in range(990))
INPUTS = "input: {" + ", ".join(f"input_name_{number:04}: 1" for number in range(1_000)) + "}\n"
ARGV = "  - name: last\n    handler: exec\n    side_effects: read_only_io\n    with:\n      argv:\n        - echo\n"


def arguments(expression: str) -> str:
    """A step with as many arguments as fit, each with an expression in which `%d` is its number."""
    line = f'        - "${{{{ {expression} }}}}"\n'
    return ARGV + repeated(lambda number: line.replace("%d", f"{number:04}"), 140_000)


def needs(name: str) -> str:
    listed = repeated(lambda number: name.replace("%d", f"{number:04}") + ", ", 140_000)
    return f"  - {{name: last, handler: wait, needs: [{listed}last]}}\n"


def padded(text: str) -> bytes:
    """A document with a comment behind it, so that it has its size."""
    return (text + "# " + "x" * (BYTES - len(text)) + "\n").encode()


DOCUMENTS = {
    "the same wrong step": HEAD + "steps:\n" + STEPS + arguments("steps.stpe_number_0001.output"),
    "different wrong steps": HEAD + "steps:\n" + STEPS + arguments("steps.stpe_number_%d.output"),
    "wrong steps in cel": HEAD + "steps:\n" + STEPS + arguments("1 + steps.stpe_number_%d.output"),
    "the same wrong input": HEAD + INPUTS + "steps:\n" + arguments("input.inptu_name_0001"),
    "different wrong inputs": HEAD + INPUTS + "steps:\n" + arguments("input.inptu_name_%d"),
    "wrong roots": HEAD + "steps:\n" + arguments("inptu_%d.a"),
    "unknown words of cel": HEAD + "steps:\n" + arguments("sizee_%d(1)"),
    "no cel": HEAD + "steps:\n" + arguments("1 +* %d"),
    "unclosed": HEAD + "steps:\n" + ARGV + repeated(lambda number: f'        - "${{{{ a{number}"\n'),
    "the same wrong need": HEAD + "steps:\n" + STEPS + needs("stpe_number_0001"),
    "different wrong needs": HEAD + "steps:\n" + STEPS + needs("stpe_number_%d"),
    "needs of all": HEAD + "steps:\n" + STEPS + needs("step_number_0001"),
    "wrong handlers": HEAD + "steps:\n" + repeated(lambda number: f"  - {{name: a{number}, handler: wiat{number}}}\n"),
    "names that come twice": HEAD + "steps:\n" + repeated(lambda _: "  - {name: a, handler: wait}\n"),
    "names of inputs": HEAD + INPUTS + "steps:\n" + STEPS.replace("step_number", "input_name"),
    "names that are none": HEAD + "input:\n" + repeated(lambda number: f"  no-name-{number}: 1\n") + "steps: []\n",
    "unknown members": HEAD + repeated(lambda number: f"piepline_{number}: 1\n") + "steps: []\n",
    "unknown members of a step": HEAD
    + "steps:\n  - name: a\n    handler: wait\n"
    + repeated(lambda number: f"    hanlder_{number}: 1\n"),
    "unknown members of with": HEAD
    + "steps:\n  - name: a\n    handler: wait\n    with:\n"
    + repeated(lambda number: f"      singal_{number}: 1\n"),
    "missing members": HEAD + "steps:\n" + repeated(lambda number: f"  - {{nmae: a{number}}}\n"),
    "wrong types": HEAD + "steps:\n" + repeated(lambda number: f"  - {number}\n", 90_000),
    "wrong values": HEAD + "steps:\n" + repeated(lambda n: f"  - {{name: a{n}, handler: exec, side_effects: prue}}\n"),
    "wrong durations": HEAD + "steps:\n" + repeated(lambda number: step(number, ", timeout: 5")),
    "wrong schemas": HEAD + "steps:\n" + repeated(lambda number: step(number, ", with: {schema: {type: nope}}")),
    "wrong backoffs": HEAD
    + "steps:\n"
    + repeated(lambda number: step(number, ", retry: {backoff: {kind: fixed, base_ms: 3}}")),
    "tags": HEAD + "steps:\n" + repeated(lambda number: step(number, ", tags: [Opp:x, kind-y]")),
    "unused inputs": HEAD + INPUTS + "steps:\n" + STEPS,
    "wrong types of results": HEAD + "input: {a: x}\nsteps:\n" + arguments("size(input.a) + 1%d"),
    "keys that come twice": HEAD + "steps: []\n" + repeated(lambda _: "abc: 1\n", 130_000),
    "secrets": HEAD + "steps: []\ninput:\n" + repeated(lambda number: f"  password_{number}: correct-horse-1\n"),
}


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[NearMisses]:
    """The counters of near misses that linters make."""
    made: list[NearMisses] = []

    class Counted(NearMisses):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr("interlock.engine.document.lint.NearMisses", Counted)
    return made


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_work_for_hints_is_bounded_whatever_is_wrong(name: str, counted: list[NearMisses]) -> None:
    linted = Linter(StepHandlers(PART.steps)).content(padded(DOCUMENTS[name]), "x.yaml")

    [near] = counted
    assert "too_many_nodes" not in {each.rule for each in linted.findings}
    assert linted.findings
    assert len(linted.findings) <= FINDINGS_MAX
    assert near.compared <= COMPARISONS_MAX
    assert near.looked <= LOOKS_MAX


def test_the_same_wrong_name_is_compared_once(counted: list[NearMisses]) -> None:
    linted = Linter(StepHandlers(PART.steps)).content(DOCUMENTS["the same wrong step"].encode(), "x.yaml")

    [near] = counted
    assert linted.omitted > 0
    assert near.compared <= NAMES_COMPARED_MAX
    assert all("Did you mean `step_number_0001`?" in each.hint for each in linted.findings)


@pytest.mark.timeout(300)
def test_documents_that_are_started_share_one_bound(counted: list[NearMisses], tmp_path: Path) -> None:
    child = (
        HEAD
        + "steps:\n"
        + STEPS
        + ARGV
        + "".join(f'        - "${{{{ steps.stpe_number_{number:04}.output }}}}"\n' for number in range(60))
    )
    for number in range(8):
        (tmp_path / f"{number}.yaml").write_text(child)
    starts = "".join(f"  - {{name: s{n}, handler: child, with: {{document: {n}.yaml}}}}\n" for n in range(8))
    parent = tmp_path / "parent.yaml"
    parent.write_text(HEAD + "steps:\n" + starts)

    linted = Linter(StepHandlers(PART.steps)).file(parent)

    [near] = counted
    assert linted.document is None
    assert near.compared <= COMPARISONS_MAX
    assert near.looked <= LOOKS_MAX


def test_a_hint_is_made_for_no_finding_that_is_not_listed() -> None:
    near = NearMisses()
    known = dict.fromkeys(f"name_{number:05}" for number in range(5_000))

    for number in range(1_000):
        near.nearest(f"nmae_{number:05}", known)

    assert near.compared == COMPARISONS_MAX
