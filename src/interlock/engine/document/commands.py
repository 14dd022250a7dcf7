"""The verb `run lint`: every finding of plan documents, or the schema that editors use.

What it does: checks the documents that are named and answers with their findings, also as SARIF. What it does not do:
it starts nothing, and needs no store.

Rule: reading files is for the user of this machine (docs/threats.md, T3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.engine.document.findings import Finding, Level
from interlock.engine.document.sarif import sarif
from interlock.engine.document.schema import editor_schema
from interlock.engine.runs import Runs

Format = Literal["text", "sarif", "schema"]

LINT_SUBJECT_MISSING = ErrorCode("lint_subject_missing", Category.INVALID, "Name one or more plan documents.")
LINT_REFUSED = ErrorCode(
    "lint_refused",
    Category.REFUSED,
    "Check the documents where they are: files are read for this machine's user alone.",
)
ERRORS = (LINT_SUBJECT_MISSING, LINT_REFUSED)
DOCUMENTS_MAX = 1_000


class DocumentSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What plan documents may name."""

    children_anywhere: Annotated[
        bool, Meta(description="Whether documents may start others from outside of their own folder.")
    ] = False


class LintInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to check."""

    documents: Annotated[tuple[str, ...], Meta(max_length=DOCUMENTS_MAX, description="Plan documents.")] = ()
    format: Annotated[
        Format, Meta(description="Lines for people, SARIF for code hosts, or the JSON Schema for editors.")
    ] = "text"


class LintReport(Struct, frozen=True):
    """The findings of documents, in the order in which they were named; `content` is what `format` asks for."""

    documents: int
    errors: int
    warnings: int
    omitted: int
    findings: list[Finding]
    content: Any = None


async def _lint(ctx: CallContext, given: LintInput) -> LintReport:
    plans = ctx.services.get(Runs).plans
    if given.format == "schema":
        return LintReport(0, 0, 0, 0, [], editor_schema(plans.handlers))
    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise LINT_REFUSED.error("only the user of this machine may have files read")
    if not given.documents:
        raise LINT_SUBJECT_MISSING.error("no document is named")
    findings: list[Finding] = []
    omitted = 0
    for name in given.documents:
        linted = plans.linter.file(Path(name), name)
        findings += linted.findings
        omitted += linted.omitted
    findings = list(dict.fromkeys(findings))
    errors = sum(each.level is Level.ERROR for each in findings)
    content = sarif(findings) if given.format == "sarif" else None
    return LintReport(len(given.documents), errors, len(findings) - errors, omitted, findings, content)


COMMANDS = (
    Command(
        "run",
        "lint",
        LintInput,
        LintReport,
        _lint,
        "Check plan documents, and show every finding.",
        "interlock run lint release.yaml",
        "run.read",
        Effect.READS,
        local=True,
        positional=("documents",),
        exit_code=lambda report: 1 if report.errors or report.omitted else 0,
        reads_store=lambda _given: False,
    ),
)
