"""A step of a document as a state of a plan.

What it does: one attempt: decides `skip_when`, renders `with` and the idempotency key, lets the handler work, computes
`outputs`, and keeps the result in the context under the step's name. What it does not do: it knows no handler.

Rules: a step that is skipped keeps nothing, so that its output is null for those that read it; with `outputs`, these
and nothing else are the step's output; a step that says `retry` is tried again also after a failure that would end it
otherwise (an exit code, a refused request), but never where nobody knows whether its effect happened; every
expression's value is recorded before it is used.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.part import StepHandler
from interlock.engine.attempt import Recorder
from interlock.engine.context import Context
from interlock.engine.document.compiled import CompiledStep
from interlock.engine.document.templates import is_template
from interlock.engine.io.surface import Io
from interlock.engine.meta import APPLY_SIDE_EFFECT, SideEffectKind, StateMeta
from interlock.engine.plan import StateOutcome
from interlock.engine.steps.call import StepCall
from interlock.engine.steps.rendering import Rendering

STEP_PARAMETERS_INVALID = ErrorCode(
    "step_parameters_invalid",
    Category.INVALID,
    "Correct the expression at the place named: its value has another form.",
)
SKIP_WHEN_INVALID = ErrorCode("skip_when_invalid", Category.INVALID, "Let `skip_when` be true or false.")
IDEMPOTENCY_KEY_INVALID = ErrorCode(
    "idempotency_key_invalid", Category.INVALID, "Let the key be a text of 1 to 512 characters."
)
ERRORS = (STEP_PARAMETERS_INVALID, SKIP_WHEN_INVALID, IDEMPOTENCY_KEY_INVALID)

_TRIED_AGAIN = (Category.FAILED, Category.UNAVAILABLE)
_PLACE = re.compile(r" - at `(\$[^`]*)`$")

STEP_SKIPPED = "step_skipped"
"""The domain event of a step that its `skip_when` passed over."""


@dataclass(frozen=True, slots=True)
class DocumentState:
    """The behaviour of one step. `inputs` are the document's, with their defaults."""

    step: CompiledStep
    state_id: str
    handler: StepHandler
    folder: str
    inputs: Mapping[str, Json]
    children: Mapping[str, Any] = field(default_factory=dict)

    def meta(self) -> StateMeta:
        """As the document says; an effect has the tag by which dry runs skip it."""
        step = self.step
        effects = SideEffectKind(step.side_effects or SideEffectKind.READ_ONLY_IO)
        implied = [APPLY_SIDE_EFFECT] if effects is SideEffectKind.APPLY_SIDE_EFFECT else []
        key = step.idempotency_key
        return StateMeta(
            tags=tuple(dict.fromkeys([*step.tags, *implied])),
            side_effects=effects,
            idempotency=None if key is None or is_template(key) else key,
        )

    async def handle(self, ctx: Context, io: Io, rec: Recorder) -> StateOutcome | None:
        """One attempt. Raises: what expressions and the handler raise."""
        step = self.step
        rendering = Rendering(ctx, io, step.name, self.state_id, self.inputs)
        if step.skip_when is not None and await self._is_skipped(rendering):
            await rec.emit(STEP_SKIPPED, {"step": step.name, "skip_when": step.skip_when})
            return None
        rendered = await rendering.template(step.with_, "with")
        parameters = self._parameters(rendered)
        call = StepCall(
            io,
            rec,
            step.name,
            self.state_id,
            self.folder,
            await self._key(rendering),
            step.timeout_ms,
            self.children,
        )
        output = await self._output(call, parameters)
        if step.outputs:
            output = await rendering.template(dict(step.outputs), "outputs", output=output)
        ctx.write(step.name, output)
        return None

    async def _output(self, call: StepCall, parameters: msgspec.Struct) -> Any:
        """What the handler gives. A failure of a step that says `retry` may be tried again, unless it is in doubt."""
        try:
            return await self.handler.run(call, parameters)
        except InterlockError as fault:
            if self.step.retry is None or fault.retryable or fault.category not in _TRIED_AGAIN:
                raise
            raise replace(fault.kind, retryable=True).error(fault.message, **fault.details) from fault

    def _parameters(self, rendered: Any) -> msgspec.Struct:
        try:
            return msgspec.convert(rendered, self.handler.parameters)
        except msgspec.ValidationError as fault:
            found = _PLACE.search(str(fault))
            where = found[1].removeprefix("$") if found else ""
            raise STEP_PARAMETERS_INVALID.error(
                f"step {self.step.name}: what `with{where}` comes to is not what {self.handler.name} takes",
                step=self.step.name,
                place=f"with{where}",
            ) from None

    async def _is_skipped(self, rendering: Rendering) -> bool:
        answer = await rendering.expression(self.step.skip_when or "", "skip_when")
        if not isinstance(answer, bool):
            raise SKIP_WHEN_INVALID.error(
                f"skip_when of step {self.step.name} is neither true nor false", step=self.step.name
            )
        return answer

    async def _key(self, rendering: Rendering) -> str | None:
        key = self.step.idempotency_key
        if key is None or not is_template(key):
            return key
        rendered = await rendering.template(key, "idempotency_key")
        if not isinstance(rendered, str) or not 1 <= len(rendered) <= 512:
            raise IDEMPOTENCY_KEY_INVALID.error(
                f"the idempotency key of step {self.step.name} is no text of that length", step=self.step.name
            )
        return rendered
