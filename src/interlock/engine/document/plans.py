"""Plans made of documents.

What it does: builds the plan of a compiled document, loads one from a file that the local user names, and names it so
that a run finds it again in its store. What it does not do: it checks no document (`lint`).

Rules: the plan of a run is made of the bytes that the run keeps, never of the file again; the file's path is kept for
people, and for its folder, to which relative paths of the document belong.
"""

from __future__ import annotations

import os.path
import shlex
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any, Final

from interlock.base.canonical import canonical
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import shown
from interlock.base.part import StepHandler
from interlock.engine.config import RetryPolicy
from interlock.engine.document import rules
from interlock.engine.document.compiled import DOCUMENT_UNREADABLE, CompiledDocument, CompiledStep, read_compiled
from interlock.engine.document.findings import Finding, Level
from interlock.engine.document.lint import Linted, Linter
from interlock.engine.document.reading import SUFFIXES
from interlock.engine.errors import PLAN_NOT_FOUND
from interlock.engine.plan import DependencyEdge, ExecutionPlan, PlanDocument, StateNode, read_outline
from interlock.engine.steps.call import StepHandlers
from interlock.engine.steps.step import DocumentState

DOCUMENT_INVALID = ErrorCode(
    "document_invalid", Category.INVALID, "Correct the document: `interlock run lint FILE` shows every finding."
)
STEP_HANDLER_MISSING = ErrorCode(
    "step_handler_missing", Category.UNAVAILABLE, "Install the plug-in whose handler the document names."
)
ERRORS = (DOCUMENT_INVALID, STEP_HANDLER_MISSING, DOCUMENT_UNREADABLE)

_FINDINGS_IN_ERROR: Final = 20
FOLDER_ENTRIES_MAX: Final = 1_000
"""Entries of a folder among which a name that was mistyped is looked for."""


def is_document(source: str) -> bool:
    """Whether a source names a file that is read as a document."""
    return source.lower().endswith(SUFFIXES)


def load_document(source: str, linter: Linter, handlers: StepHandlers) -> ExecutionPlan:
    """The plan of the document in a file. Raises: `plan_not_found`; `document_invalid`, with its first findings."""
    path = Path(source)
    linted = linter.file(path, source)
    if linted.document is None:
        raise _unread(path, source, linted) or _invalid(linted, source)
    return plan_of(linted.document, os.path.abspath(path), handlers)  # noqa: PTH100 - symbolic links stay as named


def _unread(path: Path, source: str, linted: Linted) -> InterlockError | None:
    """The error of a file that cannot be read; None where its content is what is wrong."""
    first = linted.findings[0] if linted.findings else None
    name = shown(source, 200)
    if first is None or first.rule not in (rules.FILE_MISSING.id, rules.FILE_UNREADABLE.id):
        return None
    if first.rule == rules.FILE_UNREADABLE.id:
        return PLAN_NOT_FOUND.error(f"{name} cannot be read: {first.message}", source=name)
    beside = _documents_in(path.parent)
    near = get_close_matches(path.stem[:100], list(beside), n=1)
    hint = f"; did you mean {shown(str(path.with_name(beside[near[0]])), 200)}?" if near else ""
    return PLAN_NOT_FOUND.error(f"there is no file {name}{hint}", source=name)


def _documents_in(folder: Path) -> dict[str, str]:
    """The names of the first documents of a folder, by their stems; none where it cannot be read."""
    try:
        names = sorted(entry.name for entry in islice(folder.iterdir(), FOLDER_ENTRIES_MAX))
    except (OSError, ValueError):
        return {}
    return {Path(name).stem: name for name in names if is_document(name)}


def _invalid(linted: Linted, source: str) -> InterlockError:
    """The error of a document that cannot run."""
    errors = [each for each in linted.findings if each.level is Level.ERROR]
    count = len(errors) + linted.omitted
    more = f", and {count - 1} more" if count > 1 else ""
    first = errors[0].brief if errors else "the document cannot be read"
    fault = DOCUMENT_INVALID.error(
        f"{first}{more}", errors=count, findings=[_line(each) for each in errors[:_FINDINGS_IN_ERROR]]
    )
    file = shlex.quote(shown(source, 200))
    return fault.advising(f"Correct the document: `interlock run lint {file}` shows every finding.")


def _line(finding: Finding) -> str:
    return f"{finding} ({finding.hint})"


def plan_of(document: CompiledDocument, path: str, handlers: StepHandlers) -> ExecutionPlan:
    """The plan of a compiled document whose file is at `path`. Raises: `step_handler_missing`, `plan_invalid`."""
    folder = os.path.dirname(path)  # noqa: PTH120 - symbolic links stay as named
    children = {
        written: plan_of(child, os.path.normpath(os.path.join(folder, written)), handlers)  # noqa: PTH118 - the same
        for written, child in document.children.items()
    }
    edges = [
        DependencyEdge(_state_id(document, need), _state_id(document, step.name))
        for step in document.steps
        for need in step.needs
    ]
    nodes = [_node(document, step, folder, children, handlers) for step in document.steps]
    kept = PlanDocument(document.content, f"document:{path}", canonical(document.input))
    return ExecutionPlan(document.pipeline, document.version, tuple(nodes), tuple(edges), document=kept)


def plan_of_outline(outline: bytes, path: str, handlers: StepHandlers) -> ExecutionPlan:
    """The plan of the outline that a run keeps. Raises: `document_unreadable`, `step_handler_missing`."""
    content = read_outline(outline).document
    if bytes(content) == b"null":
        raise DOCUMENT_UNREADABLE.error("the stored plan holds no document")
    return plan_of(read_compiled(bytes(content)), path, handlers)


def _state_id(document: CompiledDocument, step: str) -> str:
    return f"{document.pipeline}.{step}.main"


def _node(
    document: CompiledDocument, step: CompiledStep, folder: str, children: dict[str, Any], handlers: StepHandlers
) -> StateNode:
    handler = handlers.get(step.handler)
    if handler is None:
        raise STEP_HANDLER_MISSING.error(f"no handler {shown(step.handler)} is installed", handler=shown(step.handler))
    state_id = _state_id(document, step.name)
    state = DocumentState(step, state_id, handler, folder, document.input, children)
    return StateNode(state_id, state, _policy(step), step.timeout_ms, declared=_declares(step, handler))


def _declares(step: CompiledStep, handler: StepHandler) -> bool:
    """Whether the author said what the step does; of a handler that asks for nothing, its default counts as said."""
    return step.side_effects is not None or not handler.declares(step.with_)


def _policy(step: CompiledStep) -> RetryPolicy | None:
    if step.retry is None:
        return None
    attempts, backoff = step.retry["max_attempts"], step.retry["backoff"]
    if backoff is None:
        return RetryPolicy.fixed(attempts)
    if backoff["kind"] == "fixed":
        return RetryPolicy.fixed(attempts, backoff["delay_ms"])
    return RetryPolicy.exponential(attempts, backoff["base_ms"], backoff["max_ms"])
