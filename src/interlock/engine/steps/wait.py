"""The step `wait`: waits until somebody outside answers, or a time has passed.

What it does: waits for the signal of its name and gives the answer. What it does not do: it holds nothing while it
waits.

Rule: with `default`, the wait ends with it at the deadline; without one it fails as `wait_timed_out`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.base.canonical import Json, canonical
from interlock.base.part import StepHandler
from interlock.engine.answer_schema import fault_in
from interlock.engine.document import rules
from interlock.engine.document.findings import Problem
from interlock.engine.document.templates import holds_expression
from interlock.engine.durations import Duration, milliseconds
from interlock.engine.steps.call import StepCall
from interlock.engine.waits import misfit, schema_of

ANSWER = "answer"
"""The signal that a wait is for if it names none."""


class WaitStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `wait` step is given."""

    signal: Annotated[
        str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,62}\Z", description="The name under which the answer is sent.")
    ] = ANSWER
    schema: Annotated[dict[str, Any], Meta(description="The JSON Schema that an answer must fit.")] | None = None
    timeout: Annotated[Duration, Meta(description="How long the wait is, such as 2h.")] | None = None
    default: Annotated[object, Meta(description="The answer at the deadline.")] | UnsetType = UNSET


async def run(call: StepCall, given: WaitStep) -> Json:
    """Wait. Raises: `wait_timed_out`, `wait_invalid`."""
    limit = None if given.timeout is None else milliseconds(given.timeout)
    answer: Json = await call.io.wait(given.signal, schema=given.schema, timeout_ms=limit, default=given.default)
    return answer


def _check(given: Mapping[str, Any]) -> Iterator[Problem]:
    """A schema that is one, and a default that has a deadline and fits."""
    schema = given.get("schema")
    if isinstance(schema, dict):
        fault = fault_in(schema)
        if fault is not None:
            yield Problem(rules.SCHEMA_INVALID, ("schema",), fault)
        elif "default" in given and _misfits(schema, given["default"]):
            yield Problem(rules.DEFAULT_MISFITS, ("default",), "the default does not fit the schema")
    if "default" in given and given.get("timeout") is None:
        yield Problem(rules.DEFAULT_WITHOUT_DEADLINE, ("default",), "the default has no deadline at which it is taken")


def _misfits(schema: dict[str, Any], default: Any) -> bool:
    return not holds_expression(default) and misfit(schema_of(object, schema), canonical(default)) is not None


HANDLER = StepHandler(
    name="wait",
    parameters=WaitStep,
    run=run,
    summary="Waits for an answer from outside, or for a time.",
    example="{signal: approve, schema: {type: boolean}, timeout: 2h, default: false}",
    declares=lambda _given: False,
    pure=True,
    literal=("signal", "schema"),
    check=_check,
)
