"""The step `python`: calls a function.

What it does: asks the transport of the namespace `python` for a function by its name, and gives what it returns. What
it does not do: it imports nothing itself.

Rules: `module:function` is imported, with the folder of the document on the path, because the user of this machine
started the document that names it; documents from elsewhere may only name functions that the application registers
(docs/threats.md, T3). What a function does is not seen in its name, so a step that changes something says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

from interlock.base.canonical import Json
from interlock.base.part import StepHandler
from interlock.engine.document import rules
from interlock.engine.document.findings import Problem
from interlock.engine.io.surface import IoCall
from interlock.engine.steps.call import StepCall


class PythonStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `python` step is given."""

    function: Annotated[
        str,
        Meta(
            min_length=1,
            max_length=400,
            description="module:function, or the name of a function that the application registers.",
        ),
    ]
    input: Annotated[Any, Meta(description="The value that the function is called with.")] = None


async def run(call: StepCall, given: PythonStep) -> Json:
    """Call the function. Raises: the `python_…` codes, and what it raises of our tree."""
    request: dict[str, Any] = {"kind": "call_function_v1", "function": given.function, "input": given.input}
    if ":" in given.function:
        request["folder"] = call.folder
    answer = await call.io.call(
        IoCall("python", request, fact_key=call.fact_key("python"), idempotency_key=call.idempotency_key)
    )
    response: Json = answer.response
    return response


_FORM = re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*)?", re.ASCII)


def _check(given: Mapping[str, Any]) -> Iterator[Problem]:
    function = given.get("function")
    if isinstance(function, str) and not _FORM.fullmatch(function):
        yield Problem(rules.FUNCTION_FORM, ("function",), "the function is not named as module:function")


HANDLER = StepHandler(
    name="python",
    parameters=PythonStep,
    run=run,
    summary="Calls a Python function.",
    example="{function: 'checks:count', input: {limit: 3}}",
    declares=lambda _given: False,
    literal=("function",),
    check=_check,
)
