"""The namespace `expression`: what a document's expressions come to, recorded like any other answer.

What it does: serves requests `render_v1`, so that each result that steers a run is a fact with the engine that computed
it and its version, and a replay needs neither CEL nor the document's data. What it does not do: it reaches nothing
outside, and changes nothing.

Rules: an answer is a function of its request; a fault names step, field and expression, and never a value. What needs
CEL waits for its process in a thread of its own, so that the event loop goes on and nobody else's threads are taken, or
where the application says so in place; bare paths need neither.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode
from interlock.base.extras import install_advice
from interlock.base.ids import shown
from interlock.base.part import Services, TransportFactory
from interlock.engine.document.evaluate import Evaluated, EvaluationFault, Renderer, needs_cel
from interlock.engine.document.templates import bare_path
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import read_request

EXPRESSION_FAILED = ErrorCode(
    "expression_failed", Category.FAILED, "Correct the expression, or the step whose output it reads."
)
EXPRESSION_REQUEST_INVALID = ErrorCode(
    "expression_request_invalid", Category.INVALID, "Correct the request where the message says."
)
CEL_NOT_INSTALLED = ErrorCode("cel_not_installed", Category.FAILED, install_advice("cel"), retryable=True)
EXPRESSION_UNAVAILABLE = ErrorCode(
    "expression_unavailable",
    Category.UNAVAILABLE,
    "Try again; if it stays, see whether the machine has memory, processes and time left.",
    retryable=True,
)
ERRORS = (EXPRESSION_FAILED, EXPRESSION_REQUEST_INVALID, CEL_NOT_INSTALLED, EXPRESSION_UNAVAILABLE)

NAMESPACE = "expression"


class RenderRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request of the namespace `expression`: a template, or with `bare` an expression without braces."""

    kind: Literal["render_v1"]
    step: str
    field: str
    template: Any
    data: Annotated[dict[str, Any], Meta(max_length=3)]
    bare: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Where an application evaluates what needs CEL: on a thread of its own, or `in_place`, where there are none."""

    in_place: bool = False


class ExpressionTransport:
    """The transport of the namespace `expression`. Answers `{value, engine, version}`."""

    def __init__(self, evaluation: Evaluation = Evaluation()) -> None:
        self._in_place = evaluation.in_place
        self._thread: ThreadPoolExecutor | None = None

    def effectful(self, request: Json) -> bool:
        """Never: it computes."""
        del request
        return False

    async def call(self, request: Json, context: TransportContext) -> Json:
        """Render. Raises: `expression_failed`, `expression_unavailable`, `cel_not_installed`."""
        del context
        order = read_request(request, RenderRequest, EXPRESSION_REQUEST_INVALID)
        try:
            if bare_path(order.template) is None if order.bare else needs_cel(order.template):
                found = await self._evaluated(order)
            else:
                found = _rendered(order)
        except EvaluationFault as fault:
            trouble = EXPRESSION_UNAVAILABLE if fault.trouble else EXPRESSION_FAILED
            kind = CEL_NOT_INSTALLED if fault.missing else trouble
            raise kind.error(
                f"step {order.step}, {fault.field}: {shown(fault.source, 120)} has no value: {fault.reason}",
                step=order.step,
                field=fault.field,
                expression=shown(fault.source, 200),
            ) from None
        return {"value": found.value, "engine": found.engine, "version": found.version}

    async def _evaluated(self, order: RenderRequest) -> Evaluated:
        if self._in_place:
            return _rendered(order)
        if self._thread is None:  # one is enough: there is one process
            self._thread = ThreadPoolExecutor(1, "interlock-expressions")
        return await asyncio.get_running_loop().run_in_executor(self._thread, _rendered, order)

    async def close(self) -> None:
        """Begin no evaluation any more; one that is under way ends by its own limits."""
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None


def _rendered(order: RenderRequest) -> Evaluated:
    renderer = Renderer(order.data)
    if order.bare:
        return renderer.expression(order.template, order.field)
    return renderer.rendered(order.template, order.field)


def _make(services: Services) -> ExpressionTransport:
    return ExpressionTransport(services.get(Evaluation))


TRANSPORTS = (TransportFactory(NAMESPACE, _make),)
