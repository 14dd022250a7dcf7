"""The schema for editors: it takes what the linter takes, and refuses what is wrong in form."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from interlock.engine.document.schema import editor_schema
from interlock.engine.part import PART
from interlock.engine.steps.call import StepHandlers

SCHEMA = editor_schema(StepHandlers(PART.steps))
RULES = jsonschema_rs.Draft202012Validator(SCHEMA)


def document(**step: Any) -> dict[str, Any]:
    return {"pipeline": "p", "version": "1", "steps": [{"name": "a", **step}]}


EXEC = {"handler": "exec", "side_effects": "read_only_io"}


@pytest.mark.parametrize(
    "step",
    [
        {**EXEC, "with": {"argv": ["echo", "${{ input.x }}"], "ok_codes": "${{ input.codes }}"}},
        {**EXEC, "with": {"argv": "${{ input.line }}", "stdout": "${{ input.how }}", "env": {"A": "${{ input.a }}"}}},
        {"handler": "http", "with": {"url": "http://x", "headers": {"a": {"secret": "env:A"}}}},
        {"handler": "wait", "timeout": "5m", "skip_when": None, "retry": None, "idempotency_key": None},
        {"handler": "child", "with": {"document": "x.yaml", "input": {"a": "${{ 1 }}"}, "outputs": ["b"]}},
        {"handler": "python", "with": {"function": "a:b", "input": [1]}},
    ],
)
def test_the_schema_takes_a_sound_step(step: dict[str, Any]) -> None:
    assert [error.message for error in RULES.iter_errors(document(**step))] == []


@pytest.mark.parametrize(
    "step",
    [
        {"handler": "exce"},
        {"handler": "exec", "with": {"argv": ["echo"]}},
        {**EXEC, "with": {"argv": []}},
        {**EXEC, "with": {"argv": ["echo"], "ok_codes": [300]}},
        {**EXEC, "with": {"argv": ["echo"], "stdot": "text"}},
        {**EXEC},
        {"handler": "wait", "timeout": "5 minutes"},
        {"handler": "wait", "need": []},
        {"handler": "python", "with": {}},
    ],
)
def test_the_schema_refuses_what_is_wrong_in_form(step: dict[str, Any]) -> None:
    assert not RULES.is_valid(document(**step))


def test_the_schema_names_its_dialect() -> None:
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema_rs.meta.validate(SCHEMA)
