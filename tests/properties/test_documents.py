"""Plan documents: whatever a file holds gives findings or a plan, and a plan is the same however it is written."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from interlock.base.canonical import canonical
from interlock.engine.document.compiled import CompiledDocument, read_compiled
from interlock.engine.document.evaluate import EvaluationFault, Renderer
from interlock.engine.document.findings import Level
from interlock.engine.document.lint import Linted, Linter
from interlock.engine.document.plans import plan_of, plan_of_outline
from interlock.engine.document.templates import Unclosed, bare_path, pieces, references
from interlock.engine.part import PART
from interlock.engine.steps.call import StepHandlers

HANDLERS = StepHandlers(PART.steps)
LINTER = Linter(HANDLERS)
WORDS = st.sampled_from(
    [
        *("pipeline", "version", "input", "steps", "name", "handler", "with", "needs", "side_effects", "retry", "tags"),
        *("exec", "http", "python", "wait", "child", "argv", "url", "document", "${{ input.a }}", "${{", "a", "b", "1"),
        *("read_only_io", "pure", "5m", "schema", "default", "timeout", "outputs", "skip_when", "backoff", "kind"),
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), WORDS)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(WORDS | st.text(max_size=8), inner, max_size=6),
    max_leaves=40,
)
NAMES = st.from_regex(r"\A[a-z][a-z0-9_]{0,8}\Z")


def check(linted: Linted) -> None:
    has_errors = linted.omitted or any(each.level is Level.ERROR for each in linted.findings)
    assert (linted.document is None) == bool(has_errors)
    assert all(each.line >= 1 and each.column >= 1 and each.hint for each in linted.findings)


@given(st.binary(max_size=400), st.sampled_from(["x.yaml", "x.json"]))
@example(b"? - ? -", "x.yaml")
@example(b"\xef\xbb\xbf", "x.json")
@example(b"a: !<x> 1\n%YAML 9.9\n", "x.yaml")
def test_any_bytes_give_findings(content: bytes, name: str) -> None:
    check(LINTER.content(content, name))


@given(st.text(alphabet=":-[]{}&*!|>'\"%#?,~ \n\tax1.$<=@`\\", max_size=200), st.sampled_from(["x.yaml", "x.json"]))
def test_any_text_of_signs_gives_findings(text: str, name: str) -> None:
    check(LINTER.content(text.encode(), name))


@given(VALUES)
def test_any_value_gives_findings(value: Any) -> None:
    check(LINTER.content(json.dumps(value).encode(), "x.json"))


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """A sound document; some of its parts are drawn at random and may be wrong."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique=True))
    steps: list[dict[str, Any]] = []
    for place, name in enumerate(names):
        needs = draw(st.lists(st.sampled_from(names[:place]), unique=True)) if place else []
        reads = [f"${{{{ steps.{need}.output }}}}" for need in needs]
        step: dict[str, Any] = {"name": name, "needs": needs}
        if draw(st.booleans()):
            step |= {"handler": "exec", "side_effects": "read_only_io", "with": {"argv": ["echo", *reads]}}
        else:
            step |= {"handler": "wait", "with": {"timeout": "5m", "default": reads}}
        if draw(st.booleans()):
            step["retry"] = {"max_attempts": draw(st.integers(1, 5))}
        steps.append(step)
    given_input = draw(
        st.dictionaries(NAMES.map(lambda name: f"in_{name}"), st.integers(-5, 5) | st.none(), max_size=3)
    )
    return {
        "pipeline": draw(NAMES),
        "version": draw(st.from_regex(r"\A[0-9]{1,3}\Z")),
        "input": given_input,
        "steps": steps,
    }


def compiled(value: dict[str, Any], name: str) -> CompiledDocument:
    linted = LINTER.content(json.dumps(value, indent=2).encode(), name)
    assert linted.document is not None, linted.findings
    return linted.document


@given(documents())
def test_a_document_is_the_same_however_it_is_written_and_read_again(value: dict[str, Any]) -> None:
    one, two = compiled(value, "x.json"), compiled(value, "x.yaml")  # JSON of this kind is YAML, too

    assert one == two
    assert read_compiled(one.content) == one
    plan = plan_of(one, "/folder/x.json", HANDLERS)
    again = plan_of_outline(plan.outline, "/folder/x.json", HANDLERS)
    assert (again.fingerprint, again.edges, again.order) == (plan.fingerprint, plan.edges, plan.order)
    assert plan.document == again.document


@given(documents(), VALUES, st.data())
def test_a_sound_document_with_one_wrong_part_gives_findings(
    value: dict[str, Any], wrong: Any, data: st.DataObject
) -> None:
    step = data.draw(st.sampled_from(value["steps"]))
    step[data.draw(WORDS)] = wrong

    check(LINTER.content(json.dumps(value).encode(), "x.json"))


@given(st.text(max_size=80) | st.lists(WORDS | st.sampled_from(["}}", "${{", "$${{", "'", '"', " "])).map("".join))
def test_any_text_is_split_or_unclosed(text: str) -> None:
    try:
        found = pieces(text)
    except Unclosed:
        return
    assert all(piece for piece in found) or found == [""]
    for piece in found:
        if not isinstance(piece, str):
            list(references(piece.source))
            bare_path(piece.source)


@given(VALUES.filter(lambda value: "${{" not in repr(value)))
def test_a_value_without_expressions_is_rendered_as_it_is(value: Any) -> None:
    try:
        canonical(value)
    except Exception:  # noqa: BLE001 - what is no JSON stands in no document
        return
    assert Renderer({}).rendered(value, "with").value == value


@given(NAMES, st.text(max_size=30), st.text(max_size=30))
def test_data_is_put_into_a_text_as_it_is(name: str, value: str, around: str) -> None:
    around = around.replace("$", "").replace("{", "")
    rendered = Renderer({"input": {name: value}}).rendered(f"{around}${{{{ input.{name} }}}}{around}", "with")

    assert rendered.value == (value if not around else around + value + around)


@given(st.text(max_size=60))
def test_any_expression_has_a_value_or_a_fault(source: str) -> None:
    try:
        canonical(Renderer({"input": {"a": 1}, "steps": {}}).expression(source, "with").value)
    except EvaluationFault as fault:
        assert fault.reason
