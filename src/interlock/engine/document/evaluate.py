"""Renders templates on data: what a document's expressions come to.

What it does: replaces the expressions of a JSON value by their values, bare paths by looking them up and all others by
CEL, in a process of its own. What it does not do: it reads no context and records nothing (`engine.steps.rendering`
does both).

Rules: pure; a value that is exactly one expression keeps the type of its value; in a text, a text stands as it is,
null as nothing, and everything else as canonical JSON. A fault names field and expression, never a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from interlock.base.canonical import Json, canonical
from interlock.base.ids import shown
from interlock.engine.document import cel
from interlock.engine.document.templates import Expression, Unclosed, bare_path, pieces, sole
from interlock.engine.io.transports.cel_worker import WORKER, Data

PATHS = "path"
"""The engine of a document whose expressions are all bare paths."""


class Evaluated(NamedTuple):
    """A rendered value, and the engine that rendered it, with its version."""

    value: Json
    engine: str
    version: str


class EvaluationFault(Exception):
    """Why a template cannot be rendered: the field, its expression, the reason.

    `missing` is what is not installed, `trouble` what the machine did: both are no fault of the expression.
    """

    def __init__(self, field: str, source: str, reason: str, *, missing: bool = False, trouble: bool = False) -> None:
        super().__init__(reason)
        self.field = field
        self.source = source
        self.reason = reason
        self.missing = missing
        self.trouble = trouble


class Renderer:
    """Renders values on one set of data."""

    def __init__(self, data: Mapping[str, Json]) -> None:
        self._data = dict(data)
        self._sent = Data(self._data)
        self._used_cel = False

    def rendered(self, template: Json, field: str) -> Evaluated:
        """The value of a template that stands in `field`. Raises: `EvaluationFault`."""
        return self._named(self._value(template, field))

    def expression(self, source: str, field: str) -> Evaluated:
        """The value of a bare expression that stands in `field`. Raises: `EvaluationFault`."""
        return self._named(self._evaluated(source, field))

    def _named(self, value: Json) -> Evaluated:
        return Evaluated(value, cel.PACKAGE, cel.version()) if self._used_cel else Evaluated(value, PATHS, "1")

    def _value(self, template: Json, field: str) -> Json:
        if isinstance(template, dict):
            return {key: self._value(each, f"{field}.{shown(key)}") for key, each in template.items()}
        if isinstance(template, list | tuple):
            return [self._value(each, f"{field}[{place}]") for place, each in enumerate(template)]
        return self._text(template, field) if isinstance(template, str) else template

    def _text(self, text: str, field: str) -> Json:
        try:
            source = sole(text)
            if source is not None:
                return self._evaluated(source, field)
            return "".join(
                _as_text(self._evaluated(piece.source, field)) if isinstance(piece, Expression) else piece
                for piece in pieces(text)
            )
        except Unclosed:
            raise EvaluationFault(field, "${{", "it is not closed") from None

    def _evaluated(self, source: str, field: str) -> Json:
        path = bare_path(source)
        if path is not None:
            return self._found(path, source, field)
        self._used_cel = True
        try:
            return WORKER.evaluated(source, self._sent)
        except cel.CelFault as fault:
            raise EvaluationFault(field, source, fault.text) from None
        except cel.CelMissingError:
            raise EvaluationFault(field, source, "the extra `cel` is not installed", missing=True) from None
        except cel.CelTroubleError as fault:
            raise EvaluationFault(field, source, str(fault), trouble=True) from None

    def _found(self, path: tuple[str, tuple[str | int, ...]], source: str, field: str) -> Json:
        root, members = path
        value: Json = self._data
        for member in (root, *members):
            if not _has(value, member):
                raise EvaluationFault(field, source, f"there is no {shown(str(member))} in it")
            value = value[member]  # type: ignore[index]  # it has the member
        return value


def needs_cel(template: Json) -> bool:
    """Whether any expression in a template is more than a bare path."""
    if isinstance(template, dict):
        return any(map(needs_cel, template.values()))
    if isinstance(template, list | tuple):
        return any(map(needs_cel, template))
    if not isinstance(template, str):
        return False
    try:
        return any(isinstance(each, Expression) and bare_path(each.source) is None for each in pieces(template))
    except Unclosed:
        return False


def _has(value: Json, member: str | int) -> bool:
    if isinstance(value, dict):
        return member in value
    return isinstance(value, list | tuple) and isinstance(member, int) and member < len(value)


def _as_text(value: Json) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else canonical(value).decode()
