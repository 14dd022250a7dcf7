"""Checks the steps of a document beyond their form: handlers, effects, retries, expressions.

What it does: everything that is said about one step and about steps together. It is the same for every kind of document
that has steps. What it does not do: it knows nothing of a document's head, and opens no file.

Rule: every step is checked as far as it can be read, whatever is wrong with the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from interlock.base.ids import shown
from interlock.base.part import StepHandler
from interlock.engine.document import rules
from interlock.engine.document.expression_check import Scope, check_skip_when, check_template, refuse_expressions
from interlock.engine.document.findings import Findings, one_of
from interlock.engine.document.form import check_form
from interlock.engine.document.order import check_names, needed_by
from interlock.engine.document.result_types import check_result_types
from interlock.engine.document.schema import record_schema
from interlock.engine.document.tree import Node, place_at, plain
from interlock.engine.meta import SideEffectKind, tag_remark
from interlock.engine.steps.call import StepHandlers

WAIT: Final = "wait"
_LITERAL: Final = ("name", "handler", "needs", "side_effects", "retry", "timeout", "tags")


def check_steps(
    node: Node, inputs: Mapping[str, str | None], handlers: StepHandlers, findings: Findings
) -> set[str | None]:
    """Check a list of steps whose form is checked. Returns the inputs that they read, None in it for all.

    `inputs` are the types of their defaults by name, None where any value is taken.
    """
    steps = node.items()
    check_names(steps, inputs, findings)
    needed = needed_by(steps, findings)
    outputs = {name: _output(step, handlers) for step in steps if (name := _text(step, "name")) is not None}
    used: set[str | None] = set()
    for place, step in enumerate(steps):
        scope = Scope(_text(step, "name") or "", inputs, outputs, needed[place], used)
        _Step(step, scope, handlers, findings).check()
    return used


def _text(node: Node, key: str) -> str | None:
    found = node.member(key)
    return None if found is None else found.text()


def _output(step: Node, handlers: StepHandlers) -> tuple[str, ...]:
    """The members of a step's output; none where it can be any value."""
    outputs = step.member("outputs")
    if outputs is not None and outputs.members():
        return tuple(outputs.members())
    handler = handlers.get(_text(step, "handler") or "")
    return () if handler is None else handler.output


class _Step:
    """One step that is being checked."""

    def __init__(self, step: Node, scope: Scope, handlers: StepHandlers, findings: Findings) -> None:
        self._step = step
        self._scope = scope
        self._handlers = handlers
        self._findings = findings
        self._effects = _text(step, "side_effects")

    def check(self) -> None:
        for key in _LITERAL:
            refuse_expressions(self._step.member(key), key, self._findings)
        self._expressions()
        self._tags()
        self._backoff()
        name = self._step.member("handler")
        word = None if name is None else name.text()
        if name is None or word is None:
            return
        handler = self._handlers.get(word)
        if handler is None:
            message = f"there is no handler {shown(word)}"
            self._findings.add(rules.HANDLER_UNKNOWN, name.place, message, one_of(word, self._handlers.names))
            return
        self._with(handler)
        self._side_effects(handler)
        self._timeout(handler)

    def _timeout(self, handler: StepHandler) -> None:
        text = _text(self._step, "timeout")
        if text is None:
            return
        place = place_at(self._step, ("timeout",))
        if text[:1] == "0" and not text.strip("0").rstrip("msdh"):
            self._findings.add(rules.OUT_OF_BOUNDS, place, "a time limit of nothing")
        if handler.name == WAIT:
            self._findings.add(rules.TIMEOUT_ON_WAIT, place, "the time limit of a wait stands beside it")

    def _expressions(self) -> None:
        for key, own in (("with", None), ("idempotency_key", None), ("outputs", self._own_output())):
            node = self._step.member(key)
            if node is not None:
                check_template(node, self._scope, self._findings, own_output=own)
        node = self._step.member("idempotency_key")
        if node is not None:
            check_result_types(node, "idempotency_key", {"type": "string"}, self._scope.inputs, self._findings)
        node = self._step.member("skip_when")
        if node is not None:
            check_skip_when(node, self._scope, self._findings)

    def _own_output(self) -> tuple[str, ...]:
        handler = self._handlers.get(_text(self._step, "handler") or "")
        return () if handler is None else handler.output

    def _with(self, handler: StepHandler) -> None:
        node = self._step.member("with")
        node = Node(self._step.place, {}) if node is None else node
        if not isinstance(node.value, dict):
            return
        check_form(node, handler.parameters, self._findings, at=("with",), top=self._step)
        check_result_types(node, "with", record_schema(handler.parameters), self._scope.inputs, self._findings)
        for key in handler.literal:
            refuse_expressions(node.member(key), f"with.{key}", self._findings)
        given: Any = plain(node)
        for problem in () if handler.check is None else handler.check(given):
            place = place_at(self._step, ("with", *problem.path))
            self._findings.add(problem.rule, place, problem.message)

    def _side_effects(self, handler: StepHandler) -> None:
        given = self._step.member("with")
        written: Any = plain(given) if given is not None and given.members() else {}
        place = place_at(self._step, ("handler",))
        if self._effects is None and handler.declares(written):
            message = f"the step does not say whether its {handler.name} changes anything"
            self._findings.add(rules.SIDE_EFFECTS_MISSING, place, message)
        if self._effects == SideEffectKind.PURE and not handler.pure:
            where = place_at(self._step, ("side_effects",))
            self._findings.add(rules.PURE_REACHES_OUT, where, f"a step of {handler.name} cannot be pure")
        key = self._step.member("idempotency_key")
        has_key = key is not None and key.value is not None
        if has_key and self._effects != SideEffectKind.APPLY_SIDE_EFFECT:
            where = place_at(self._step, ("idempotency_key",))
            self._findings.add(rules.KEY_ON_READER, where, "the step has a key and does not apply an effect")
        if self._effects == SideEffectKind.APPLY_SIDE_EFFECT and not has_key and not handler.pure:
            where = place_at(self._step, ("side_effects",))
            self._findings.add(rules.EFFECT_WITHOUT_KEY, where, "the effect has no idempotency key")

    def _tags(self) -> None:
        tags = self._step.member("tags")
        for node in [] if tags is None else tags.items():
            remark = tag_remark(node.text() or "") if node.text() else None
            if remark is not None:
                self._findings.add(rules.TAG_REMARK, node.place, remark)

    def _backoff(self) -> None:
        retry = self._step.member("retry")
        backoff = None if retry is None else retry.member("backoff")
        if backoff is None:
            return
        given: Mapping[str, Any] = {key: member.value.value for key, member in backoff.members().items()}
        kind = given.get("kind")
        wanted = {"fixed": ("delay_ms",), "exponential": ("base_ms", "max_ms")}.get(str(kind))
        if wanted is None:
            return
        for key in wanted:
            if key not in given:
                self._findings.add(rules.MEMBER_MISSING, backoff.place, f"a back-off of kind {kind} has no `{key}`")
        for key in ("delay_ms", "base_ms", "max_ms"):
            if key in given and key not in wanted:
                where = place_at(backoff, (key,), key=True)
                hint = one_of(key, wanted)
                self._findings.add(rules.MEMBER_UNKNOWN, where, f"a back-off of kind {kind} takes no `{key}`", hint)
        base, most = given.get("base_ms"), given.get("max_ms")
        if isinstance(base, int) and isinstance(most, int) and base > most:
            self._findings.add(rules.BACKOFF_ORDER, place_at(backoff, ("max_ms",)), "`max_ms` is less than `base_ms`")
