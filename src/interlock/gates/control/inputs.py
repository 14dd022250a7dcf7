"""What the verbs about scenarios and their runs take, and the lists that they answer with.

It declares records, and runs nothing. Rule: a tenant and a namespace are numbers within the tenant of the caller.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

from interlock.gates.control.service import RunStanding
from interlock.gates.records import TriggerKind
from interlock.gates.values import NamespaceId, TenantId

LIMIT_MAX = 1000
ScenarioName = Annotated[str, Meta(min_length=1, max_length=400, description="The scenario's id.")]
RunName = Annotated[str, Meta(min_length=1, max_length=400, description="The run's id.")]
CallName = Annotated[str, Meta(min_length=1, max_length=400)]
Correlation = Annotated[str, Meta(min_length=1, max_length=128)]
When = Annotated[str | None, Meta(description="The time of the call: ms since 1970, or logical:N; default now.")]


class InNamespace(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where a scenario stands."""

    tenant: Annotated[TenantId, Meta(description="The tenant's number.")] = 1
    namespace: Annotated[NamespaceId, Meta(description="The namespace's number.")] = 1


class ListScenarios(InNamespace, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which scenarios to list, in the order of their ids."""

    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class ScenarioRow(Struct, frozen=True):
    """A scenario in the list."""

    scenario: str
    namespace: int
    spec_hash: str


class ScenarioList(Struct, frozen=True):
    """A page of scenarios."""

    items: list[ScenarioRow]
    next: str | None


class ListScenarioRuns(InNamespace, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which scenario's runs to list, in the order of their ids."""

    scenario: ScenarioName
    limit: Annotated[int, Meta(ge=1, le=LIMIT_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class ScenarioRunList(Struct, frozen=True):
    """A page of a scenario's runs."""

    items: list[RunStanding]
    next: str | None


class RunInput(InNamespace, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run of which scenario."""

    scenario: ScenarioName
    run: RunName


class StartInput(RunInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The run to begin."""

    time: When = None
    packets: Annotated[bool, Meta(description="Disclose the first stage's entry packets.")] = False
    to: Annotated[
        tuple[str, ...],
        Meta(max_length=100, description="Who gets packets: agent:ID, session:ID, channel:ID, external:SYSTEM/TARGET."),
    ] = ()


class CallInput(RunInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call of a run."""

    id: Annotated[CallName | None, Meta(description="Its id; the same id is one call.")] = None
    time: When = None
    correlation: Annotated[Correlation | None, Meta(description="What it belongs to.")] = None


class TriggerInput(CallInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What makes the stage be looked at. The payload is kept and exported as it is given: no secrets."""

    kind: Annotated[TriggerKind, Meta(description="A tick also ends a stage whose time is over.")] = "external_event"
    source: Annotated[CallName | None, Meta(description="Where it comes from; default: who calls.")] = None
    payload: Annotated[Raw | None, Meta(description="JSON that is kept with it.")] = None


class NextInput(CallInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An agent asks to go on."""

    agent: Annotated[str, Meta(min_length=1, max_length=400, description="The agent's id.")]


class SubmitInput(CallInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is handed in. It is kept and exported as it is given: no secrets."""

    payload: Annotated[Raw, Meta(description="The JSON to keep.")]
    content_type: Annotated[str, Meta(min_length=1, max_length=255)] = "application/json"


class StatusInput(RunInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run, and as of which of its events."""

    at: Annotated[
        Annotated[int, Meta(ge=1)] | None, Meta(description="The event of the run's stream; default: the last one.")
    ] = None


class ExplainInput(RunInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run, and for which trigger."""

    trigger: Annotated[str | None, Meta(description="The trigger's id; default: the last one.")] = None


class PrecheckInput(InNamespace, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a stage would come to, if the payload were true."""

    scenario: ScenarioName
    shape: Annotated[str, Meta(pattern=r"\A.+@.+\Z", max_length=800, description="The data shape: ID@VERSION.")]
    payload: Annotated[Raw, Meta(description="The data, a member for each condition, as JSON.")]
    stage: Annotated[CallName | None, Meta(description="The stage's id; default: the first.")] = None
