"""Checks a plan document as a whole: every finding at once.

What it does: reads a document, checks form, names, order, expressions, handlers, secrets and the documents that it
starts, and gives the findings and, where none is an error, the compiled document. What it does not do: it starts
nothing and builds no plan (`plans`).

Rules: any bytes give findings, never another fault; a document whose findings hold an error is not compiled; children
are read only in or below the folder of their parent, unless a setting allows more.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any, NamedTuple

import msgspec

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.secret_scan import find_secrets
from interlock.engine.document import rules
from interlock.engine.document.compiled import CompiledDocument, CompiledStep
from interlock.engine.document.expression_check import refuse_expressions
from interlock.engine.document.files import content_of
from interlock.engine.document.findings import START, Finding, Findings, NearMisses, one_of
from interlock.engine.document.form import check_form
from interlock.engine.document.grammar import DocumentGrammar, StepGrammar
from interlock.engine.document.kinds import PLAN
from interlock.engine.document.reading import read_tree
from interlock.engine.document.result_types import kind_of
from interlock.engine.document.step_check import check_steps
from interlock.engine.document.tree import Node, place_at, plain, pointed
from interlock.engine.durations import milliseconds
from interlock.engine.steps.call import StepHandlers

CHILDREN_DEPTH_MAX = 8
"""Levels of documents that start documents."""

DOCUMENTS_MAX = 100
"""Documents that one document starts, directly and through others."""

CHILD = "child"


class Linted(NamedTuple):
    """What became of a document."""

    findings: tuple[Finding, ...]
    omitted: int
    document: CompiledDocument | None


class _Visit(NamedTuple):
    """Where a check stands: the files above the one that is read, and how many were read below the first."""

    above: tuple[FilePath, ...]
    read: list[int]
    near: NearMisses


class Linter:
    """Checks documents with the handlers of an application. `anywhere` allows children outside of the folder."""

    def __init__(self, handlers: StepHandlers, *, anywhere: bool = False) -> None:
        self._handlers = handlers
        self._anywhere = anywhere

    def file(self, path: FilePath, shown_as: str | None = None) -> Linted:
        """Check the document in a file, and those that it starts."""
        return self._file(path, shown_as, _Visit((), [0], NearMisses()))

    def content(self, content: bytes, name: str) -> Linted:
        """Check the bytes of a document that is shown as `name`; it can start no other."""
        return self._content(content, name, None, _Visit((), [0], NearMisses()))

    def _file(self, path: FilePath, shown_as: str | None, visit: _Visit) -> Linted:
        name = shown_as or str(path)
        findings = Findings(name, visit.near)
        content = content_of(path, PLAN, "run lint", findings)
        if content is None:
            return Linted(findings.sorted, 0, None)
        return self._content(content, name, path, visit)

    def _content(self, content: bytes, name: str, path: FilePath | None, visit: _Visit) -> Linted:
        findings = Findings(name, visit.near)
        tree = read_tree(content, name if path is None else path.name, findings)
        if tree is None:
            return Linted(findings.sorted, findings.omitted, None)
        self._check(tree, findings)
        children, below = self._children(tree, findings, path, visit, name)
        if findings.has_errors:
            return Linted((*findings.sorted, *below), findings.omitted, None)
        try:
            return Linted((*findings.sorted, *below), 0, _compiled(tree, children))
        except (msgspec.ValidationError, InterlockError, ValueError):  # a rule that the linter does not know of yet
            findings.add(rules.WRONG_VALUE, START, "the document cannot be compiled")
            return Linted((*findings.sorted, *below), 0, None)

    def _check(self, tree: Node, findings: Findings) -> None:
        check_form(tree, DocumentGrammar, findings)
        inputs = tree.member("input")
        refuse_expressions(inputs, "input", findings)
        for key in ("pipeline", "version"):
            refuse_expressions(tree.member(key), key, findings)
        members = {} if inputs is None else inputs.members()
        names = {name: kind_of(member.value) for name, member in members.items()}
        steps = tree.member("steps")
        if steps is not None:
            used = check_steps(steps, names, self._handlers, findings)
            for name in names if None not in used else ():
                if name not in used and inputs is not None:
                    where = place_at(inputs, (name,), key=True)
                    findings.add(rules.INPUT_UNUSED, where, f"no expression reads the input {shown(name)}")
        for found in find_secrets(plain(tree)):
            place = place_at(tree, pointed(tree, found.pointer))
            findings.add(rules.SECRET, place, f"what stands here looks like a secret ({found.kind})")

    def _children(
        self, tree: Node, findings: Findings, path: FilePath | None, visit: _Visit, name: str
    ) -> tuple[dict[str, CompiledDocument], list[Finding]]:
        found: dict[str, CompiledDocument] = {}
        below: dict[str, tuple[Finding, ...]] = {}
        for step in _child_steps(tree):
            node = place = step.member("with")
            place = None if node is None else node.member("document")
            written = None if place is None else place.text()
            if node is None or place is None or not written:
                continue
            if written not in found and written not in below:
                linted = self._child(written, place, findings, path, visit, name)
                below[written] = () if linted is None else linted.findings
                if linted is not None and linted.document is not None:
                    found[written] = linted.document
                elif linted is not None:
                    findings.add(rules.CHILD_INVALID, place.place, f"the document {shown(written, 100)} has errors")
            if written in found:
                _check_child_use(node, found[written], findings)
        return found, [each for group in below.values() for each in group]

    def _child(
        self,
        written: str,
        node: Node,
        findings: Findings,
        path: FilePath | None,
        visit: _Visit,
        name: str,
    ) -> Linted | None:
        if path is None or "\0" in written:
            findings.add(rules.CHILD_PATH, node.place, "this document has no folder in which another could stand")
            return None
        here = path.resolve()
        target = (here.parent / written).resolve()
        if not self._anywhere and not target.is_relative_to(here.parent):
            findings.add(rules.CHILD_PATH, node.place, f"{shown(written, 100)} stands outside of the document's folder")
            return None
        if target in (*visit.above, here):
            findings.add(rules.CHILD_CYCLE, node.place, f"{shown(written, 100)} starts this document again")
            return None
        visit.read[0] += 1
        if len(visit.above) >= CHILDREN_DEPTH_MAX or visit.read[0] > DOCUMENTS_MAX:
            findings.add(rules.CHILDREN_TOO_MANY, node.place, f"{shown(written, 100)} is one document too many")
            return None
        return self._file(target, str(FilePath(name).parent / written), visit._replace(above=(*visit.above, here)))


def _child_steps(tree: Node) -> Iterator[Node]:
    steps = tree.member("steps")
    for step in [] if steps is None else steps.items():
        handler = step.member("handler")
        if handler is not None and handler.value == CHILD:
            yield step


def _check_child_use(node: Node, child: CompiledDocument, findings: Findings) -> None:
    """What a step gives a child and takes of it, against the child itself."""
    given = node.member("input")
    for name, member in ({} if given is None else given.members()).items():
        if name not in child.input:
            message = f"{child.pipeline} has no input {shown(name)}"
            findings.add(rules.CHILD_INPUT, member.place, message, one_of(name, child.input))
    steps = dict.fromkeys(step.name for step in child.steps)
    taken = node.member("outputs")
    for each in [] if taken is None else taken.items():
        if each.text() is not None and each.text() not in steps:
            message = f"{child.pipeline} has no step {shown(each.text() or '')}"
            findings.add(rules.CHILD_STEP, each.place, message, one_of(each.text() or "", steps))


def _compiled(tree: Node, children: dict[str, CompiledDocument]) -> CompiledDocument:
    """The document of a tree without errors."""
    value: Any = plain(tree)
    given = msgspec.convert(value, DocumentGrammar)
    steps = tuple(_step(each) for each in given.steps)
    return CompiledDocument(
        pipeline=given.pipeline, version=given.version, input=given.input, steps=steps, children=children
    )


def _step(given: StepGrammar) -> CompiledStep:
    return CompiledStep(
        name=given.name,
        handler=given.handler,
        with_=given.with_,
        needs=tuple(dict.fromkeys(given.needs)),
        side_effects=given.side_effects,
        idempotency_key=given.idempotency_key,
        skip_when=given.skip_when,
        retry=None if given.retry is None else msgspec.to_builtins(given.retry),
        timeout_ms=None if given.timeout is None else milliseconds(given.timeout),
        tags=tuple(dict.fromkeys(given.tags)),
        outputs=given.outputs,
    )
