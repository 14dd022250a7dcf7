"""Checks the expressions of a document: their syntax, and that what they read is there.

What it does: finds every expression of a step, compiles those that are CEL, and holds each name that they read against
inputs, steps and needs. What it does not do: it evaluates nothing.

Rules: a step reads only steps that it needs, itself or through others, since nothing else is sure to have completed
(and where states run at once, is seen); which ones, is seen in the text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from interlock.base.ids import shown
from interlock.engine.document import cel, rules
from interlock.engine.document.findings import Findings, Hint, Place, Rule, meant, one_of
from interlock.engine.document.result_types import result_type
from interlock.engine.document.templates import (
    CLOSE,
    EXPRESSION_CHARACTERS_MAX,
    OPEN,
    Expression,
    Reference,
    Unclosed,
    bare_path,
    pieces,
    references,
)
from interlock.engine.document.tree import Node

_ROOTS = ("input", "steps")
_WORDS = (*_ROOTS, "size", "string", "int", "matches", "startsWith")
_UNDECLARED = "undeclared reference to "


@dataclass(slots=True)
class Scope:
    """What the expressions of one step may read.

    `inputs` are the types of their defaults by name, None where any value is taken.
    `steps` are all names with the members of their output (none: any), `needed` those that the step needs, itself or
    through others; `used` collects the inputs that are read, None in it for all of them.
    """

    step: str
    inputs: Mapping[str, str | None]
    steps: Mapping[str, tuple[str, ...]]
    needed: frozenset[str]
    used: set[str | None] = field(default_factory=set)


def check_template(node: Node, scope: Scope, findings: Findings, *, own_output: tuple[str, ...] | None = None) -> None:
    """Check every expression in a value; `own_output` are the members of `output`, where that can be read."""
    for _, each in node.texts():
        try:
            found = pieces(each.text() or "")
        except Unclosed:
            findings.add(rules.EXPRESSION_UNCLOSED, each.place, "an expression is not closed")
            continue
        for piece in found:
            if isinstance(piece, Expression):
                _check(piece.source, each.place, scope, findings, own_output)


def check_skip_when(node: Node, scope: Scope, findings: Findings) -> None:
    """Check the bare expression of `skip_when`."""
    source = node.text()
    if source is None:
        return
    if source.strip().startswith(OPEN):
        findings.add(rules.EXPRESSION_WRAPPED, node.place, "`skip_when` stands between braces")
        source = source.strip().removeprefix(OPEN).removesuffix(CLOSE)
    _check(source, node.place, scope, findings, None)
    kind = result_type(source, scope.inputs)
    if kind not in {None, "boolean"}:
        findings.add(rules.SKIP_WHEN_TYPE, node.place, f"`skip_when` is of type {kind}")


def refuse_expressions(node: Node | None, what: str, findings: Findings) -> None:
    """Find texts that hold an expression where none can be."""
    for _, each in () if node is None else node.texts():
        if OPEN in (each.text() or ""):
            findings.add(rules.EXPRESSION_NOT_ALLOWED, each.place, f"`{what}` holds an expression")


def _check(source: str, place: Place, scope: Scope, findings: Findings, own_output: tuple[str, ...] | None) -> None:
    """Check one expression."""
    if not source.strip():
        findings.add(rules.EXPRESSION_EMPTY, place, "an expression is empty")
        return
    if len(source) > EXPRESSION_CHARACTERS_MAX:
        findings.add(
            rules.EXPRESSION_TOO_LARGE, place, f"an expression has more than {EXPRESSION_CHARACTERS_MAX} characters"
        )
        return
    path = bare_path(source)
    if path is not None:
        _check_reference(Reference(*path), place, scope, findings, own_output, is_path=True)
        return
    _compile(source, place, findings)
    for reference in references(source):
        _check_reference(reference, place, scope, findings, own_output, is_path=False)


def _compile(source: str, place: Place, findings: Findings) -> None:
    try:
        cel.compiled(source)
    except cel.CelMissingError:
        findings.add(rules.CEL_MISSING, place, f"the expression {shown(source, 80)} needs CEL, which is not installed")
    except cel.CelFault as fault:
        if fault.text.startswith(_UNDECLARED):
            name = fault.text.removeprefix(_UNDECLARED).split("'")[1:2]
            hint = meant("".join(name), _WORDS, f"{{}} {rules.REFERENCE_ROOT.hint}")
            findings.add(rules.REFERENCE_ROOT, place, f"`{''.join(name)}` is not known in {shown(source, 80)}", hint)
        else:
            where = f" at its character {fault.column}" if fault.column else ""
            findings.add(rules.EXPRESSION_INVALID, place, f"{shown(source, 80)}{where}: {shown(fault.text, 160)}")


def _check_reference(
    reference: Reference,
    place: Place,
    scope: Scope,
    findings: Findings,
    own_output: tuple[str, ...] | None,
    *,
    is_path: bool,
) -> None:
    root, members = reference
    if root == "input":
        _check_input(members, place, scope, findings)
    elif root == "steps":
        for rule, message, hint in _step_faults(members, scope):
            findings.add(rule, place, message, hint)
    elif root == "output" and own_output is None:
        findings.add(rules.REFERENCE_ROOT, place, "`output` is known in `outputs` alone")
    elif root == "output" and own_output and members and str(members[0]) not in own_output:
        message = f"the step's output has no `{shown(members[0])}`"
        findings.add(rules.OUTPUT_UNKNOWN, place, message, one_of(str(members[0]), own_output))
    elif is_path and root not in {"input", "steps", "output"}:
        hint = meant(root, _ROOTS, f"{{}} {rules.REFERENCE_ROOT.hint}")
        findings.add(rules.REFERENCE_ROOT, place, f"`{shown(root)}` is not known", hint)


def _check_input(members: tuple[str | int, ...], place: Place, scope: Scope, findings: Findings) -> None:
    if not members:
        scope.used.add(None)
        return
    name = str(members[0])
    scope.used.add(name)
    if name not in scope.inputs:
        findings.add(rules.INPUT_UNKNOWN, place, f"there is no input `{shown(name)}`", one_of(name, scope.inputs))


def _step_faults(members: tuple[str | int, ...], scope: Scope) -> Iterator[tuple[Rule, str, str | Hint | None]]:
    if not members or isinstance(members[0], int):
        yield rules.STEP_DYNAMIC, "which step is read cannot be seen", None
        return
    name = str(members[0])
    if name not in scope.steps:
        yield rules.STEP_UNKNOWN, f"there is no step `{shown(name)}`", one_of(name, scope.steps)
        return
    if name == scope.step:
        yield rules.STEP_NOT_NEEDED, "a step reads its own output", "Use `outputs` to make something of it."
    elif name not in scope.needed:
        yield rules.STEP_NOT_NEEDED, f"`{name}` is read and not needed", f"Add `{name}` to `needs` of `{scope.step}`."
    if len(members) < 2 or members[1] != "output":
        yield rules.STEP_MEMBER, f"of `{name}`, something else than its output is read", None
        return
    known = scope.steps[name]
    if known and len(members) > 2 and str(members[2]) not in known:
        yield rules.OUTPUT_UNKNOWN, f"`{name}` has no output `{shown(members[2])}`", one_of(str(members[2]), known)
