"""The step `child`: runs another document, and waits until it has ended.

What it does: starts the child as a run of its own and gives `{run_id, status, outputs}`, where `outputs` has the
outputs of the child's steps that are asked for. What it does not do: it reads no file; the child's plan is kept with
that of its parent.

Rules: a child that does not complete fails the step, unless `failure: keep` asks for its status as the answer; it is
cancelled with its parent.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import shown
from interlock.base.part import StepHandler
from interlock.engine.steps.call import StepCall

CHILD_NOT_COMPLETED = ErrorCode(
    "child_not_completed", Category.FAILED, "See why the child run did not complete: `interlock run why` with its id."
)
CHILD_NAME = "child"


class ChildStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a `child` step is given."""

    document: Annotated[
        str, Meta(min_length=1, max_length=1000, description="The child's file, seen from the document's folder.")
    ]
    input: Annotated[dict[str, Any], Meta(description="Inputs of the child.")] = {}
    outputs: Annotated[
        tuple[str, ...], Meta(max_length=100, description="Steps of the child whose output is taken.")
    ] = ()
    failure: Annotated[
        Literal["fail", "keep"], Meta(description="Whether a child that does not complete fails the step.")
    ] = "fail"


async def run(call: StepCall, given: ChildStep) -> Json:
    """Run the child. Raises: `child_not_completed`, and what starting a run raises."""
    plan = call.children[given.document]
    run_id = await call.io.spawn(plan, given.input, name=CHILD_NAME)
    result = await call.io.joined(CHILD_NAME)
    if result.status != "completed" and given.failure == "fail":
        raise CHILD_NOT_COMPLETED.error(
            f"the child {shown(given.document, 100)} ended as {result.status}", run_id=run_id, status=result.status
        )
    outputs = {name: await call.io.output(result, name) for name in given.outputs}
    return {"run_id": run_id, "status": result.status, "outputs": outputs}


HANDLER = StepHandler(
    name="child",
    parameters=ChildStep,
    run=run,
    summary="Runs another document and waits for its end.",
    example="{document: build.yaml, input: {project: .}, outputs: [build]}",
    declares=lambda _given: False,
    literal=("document", "outputs"),
    output=("run_id", "status", "outputs"),
)
