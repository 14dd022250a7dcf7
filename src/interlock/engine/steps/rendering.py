"""What the expressions of a step come to, with everything that they read.

What it does: gathers from the context what a template reads, asks the namespace `expression` for its value, which is
recorded, and gives the value. What it does not do: it evaluates nothing.

Rules: a template without expressions asks nothing and records nothing; a fact is named after state, field and request,
so that other data or another text (of a plan that the run migrated to) is computed anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from interlock.base.canonical import Json, canonical, digest
from interlock.base.errors import NotFound
from interlock.engine.context import Context
from interlock.engine.document.expressions import NAMESPACE
from interlock.engine.document.templates import Expression, Reference, Unclosed, holds_expression, pieces, references
from interlock.engine.errors import CONTEXT_MISSING_KEY
from interlock.engine.io.surface import Io, IoCall

NOTHING_SET: Any = object()


class Rendering:
    """The templates of one attempt at a step."""

    def __init__(self, ctx: Context, io: Io, step: str, state_id: str, inputs: Mapping[str, Json]) -> None:
        self._ctx = ctx
        self._io = io
        self._step = step
        self._state_id = state_id
        self._inputs = inputs

    async def template(self, template: Json, field: str, output: Any = NOTHING_SET) -> Any:
        """The value of a template. Raises: `expression_failed`, `expression_unavailable`, `cel_not_installed`."""
        if not holds_expression(template):
            return template
        return await self._asked(template, field, list(_read_by(template)), output, bare=False)

    async def expression(self, source: str, field: str) -> Any:
        """The value of a bare expression. Raises: as `template`."""
        return await self._asked(source, field, list(references(source)), NOTHING_SET, bare=True)

    async def _asked(self, template: Json, field: str, read: list[Reference], output: Any, *, bare: bool) -> Any:
        data: dict[str, Json] = {"input": await self._input(read), "steps": await self._steps(read)}
        if output is not NOTHING_SET:
            data["output"] = output
        request = {
            "kind": "render_v1",
            "step": self._step,
            "field": field,
            "template": template,
            "data": data,
            "bare": bare,
        }
        key = f"{NAMESPACE}:{self._state_id}:{field}:{digest(canonical(request))[:16]}"
        answer = await self._io.call(IoCall(NAMESPACE, request, fact_key=key))
        return answer.response["value"]

    async def _input(self, read: list[Reference]) -> dict[str, Json]:
        asked = [each.members[0] if each.members else None for each in read if each.root == "input"]
        names = [name for name in self._inputs if None in asked or name in asked]
        return {name: await self._known(name, self._inputs[name]) for name in names}

    async def _steps(self, read: list[Reference]) -> dict[str, Json]:
        names = {str(each.members[0]) for each in read if each.root == "steps" and each.members}
        return {name: {"output": await self._ctx.read(name)} for name in sorted(names)}

    async def _known(self, name: str, default: Json) -> Json:
        """An input of the run; the document's default where the run began without it (before it migrated here)."""
        try:
            return await self._ctx.require(name, object)  # type: ignore[arg-type]  # what is kept is JSON
        except NotFound as fault:
            if fault.kind is not CONTEXT_MISSING_KEY:
                raise
            return default


def _read_by(template: Json) -> Iterator[Reference]:
    if isinstance(template, str):
        try:
            found = pieces(template)
        except Unclosed:
            return
        for piece in found:
            if isinstance(piece, Expression):
                yield from references(piece.source)
    elif isinstance(template, dict):
        for each in template.values():
            yield from _read_by(each)
    elif isinstance(template, list | tuple):
        for each in template:
            yield from _read_by(each)
