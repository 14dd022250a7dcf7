"""The verbs `scenario lint` and `scenario define`: documents in, findings or a definition out.

What it does: reads the document that a person names, checks it with everything that is known here, and defines it if
no finding is an error. What it does not do: it starts no run.

Rule: reading files is for the user of this machine (docs/threats.md, T3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Raw, Struct

from interlock.base.canonical import parse
from interlock.base.errors import InterlockError
from interlock.base.part import CallContext, Command, Effect, InDocument
from interlock.base.principal import PrincipalKind
from interlock.engine.document.commands import LINT_REFUSED, LintReport
from interlock.engine.document.findings import Finding, Level
from interlock.gates.config import GatesSettings
from interlock.gates.control.backtest import Backtest, backtest
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.namespaces import named_in, proved
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.service import ScenarioRuns
from interlock.gates.errors import GATE_INPUT_INVALID, SCENARIO_INVALID
from interlock.gates.evidence.query import Evidence
from interlock.gates.scenario.check import linter
from interlock.gates.scenario.lint import LintedScenario
from interlock.gates.values import TenantId

FINDINGS_TOLD_MAX = 5


class ScenarioLintInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to check."""

    documents: Annotated[tuple[str, ...], Meta(min_length=1, max_length=1_000, description="Scenario documents.")]


class DefineInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to define."""

    document: Annotated[
        Annotated[str, Meta(min_length=1)] | None, Meta(description="The file of a scenario document.")
    ] = None
    spec: Annotated[Raw | None, Meta(description="The document itself, as JSON, in the place of a file.")] = None


class ScenarioDefinition(Struct, frozen=True):
    """A scenario that is defined; `fresh` if it was not before."""

    scenario: str
    namespace: int
    spec_hash: str
    fresh: bool


class BacktestInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which document, over the runs of which scenario."""

    document: Annotated[str, Meta(min_length=1, description="The file of today's document.")]
    scenario: Annotated[
        Annotated[str, Meta(min_length=1, max_length=400)] | None,
        Meta(description="The scenario whose runs are decided anew; default: the document's own id."),
    ] = None
    tenant: Annotated[TenantId, Meta(description="The tenant's number.")] = 1


def _read(ctx: CallContext, name: str) -> LintedScenario:
    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise LINT_REFUSED.error("only the user of this machine may have files read")
    validation = ctx.services.get(GatesSettings).validation
    return linter(ctx.services.get(Evidence), validation).file(Path(name), name)


def _given(ctx: CallContext, content: bytes) -> LintedScenario:
    validation = ctx.services.get(GatesSettings).validation
    return linter(ctx.services.get(Evidence), validation).content(content, "spec.json")


async def _lint(ctx: CallContext, given: ScenarioLintInput) -> LintReport:
    findings: list[Finding] = []
    omitted = 0
    for name in given.documents:
        linted = _read(ctx, name)
        findings += linted.findings
        omitted += linted.omitted
    errors = sum(each.level is Level.ERROR for each in findings)
    return LintReport(len(given.documents), errors, len(findings) - errors, omitted, findings)


def _namespace(given: DefineInput) -> int | None:
    """The namespace that a document names, read as it is read to be defined; that of a file is not looked at."""
    try:
        return None if given.spec is None else named_in(parse(bytes(given.spec), wide=True))
    except InterlockError:
        return None


async def _define(ctx: CallContext, given: DefineInput) -> ScenarioDefinition:
    if (given.document is None) == (given.spec is None):
        raise GATE_INPUT_INVALID.error(
            "`document`: give the file of a document, or the document as `spec`", place="document"
        )
    linted = _given(ctx, bytes(given.spec or b"")) if given.document is None else _read(ctx, given.document)
    if linted.normalised is None:
        raise _refused(linted)
    spec = linted.normalised.spec
    if given.spec is not None:
        proved(_namespace(given), spec.namespace_id)
    defined = await ctx.services.get(Definitions).define(spec, principal=ctx.principal, command_id=ctx.command_id)
    return ScenarioDefinition(spec.scenario_id, spec.namespace_id, defined.spec_hash.value, defined.fresh)


async def _backtest(ctx: CallContext, given: BacktestInput) -> Backtest:
    linted = _read(ctx, given.document)
    if linted.normalised is None:
        raise _refused(linted)
    spec, evidence = linted.normalised.spec, ctx.services.get(Evidence)
    recorded = await ctx.services.get(Definitions).find(
        spec.namespace_id, given.scenario or spec.scenario_id, given.tenant, principal=ctx.principal
    )
    today = Scenario(spec, linted.normalised.spec_hash)
    runs = ctx.services.get(ScenarioRuns)
    return await backtest(runs, recorded, today, evidence.judged, ctx.principal.tenant)


def _refused(linted: LintedScenario) -> Exception:
    errors = [each for each in linted.findings if each.level is Level.ERROR]
    told = "; ".join(f"line {each.line}: {each.message}" for each in errors[:FINDINGS_TOLD_MAX])
    more = len(errors) - FINDINGS_TOLD_MAX + linted.omitted
    return SCENARIO_INVALID.error(f"{told}{f'; and {more} more' if more > 0 else ''}")


COMMANDS = (
    Command(
        "scenario",
        "lint",
        ScenarioLintInput,
        LintReport,
        _lint,
        "Check scenario documents, and show every finding.",
        "interlock scenario lint release.json",
        "scenario.read",
        Effect.READS,
        local=True,
        positional=("documents",),
        exit_code=lambda report: 1 if report.errors or report.omitted else 0,
        reads_store=lambda _given: False,
    ),
    Command(
        "scenario",
        "define",
        DefineInput,
        ScenarioDefinition,
        _define,
        "Define a scenario; the same document again is the one that is there.",
        "interlock scenario define release.json",
        "scenario.define",
        Effect.CHANGES,
        positional=("document",),
        creates=True,
        namespace=InDocument("spec.namespace_id", _namespace),
    ),
    Command(
        "scenario",
        "backtest",
        BacktestInput,
        Backtest,
        _backtest,
        "Decide recorded runs by a document of today, and list the decisions that would change.",
        "interlock scenario backtest release.json",
        "scenario.read",
        Effect.READS,
        local=True,
        positional=("document",),
        exit_code=lambda report: 1 if report.changed else 0,
    ),
)
