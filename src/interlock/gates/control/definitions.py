"""Scenarios that are defined: each under its id in a namespace, once and for all.

What it does: keeps documents, finds them again, and lists them. What it does not do: it validates none
(`scenario.validate` did) and starts no run.

Rules: whoever is not the user of this machine defines only what asks the providers that are offered; a definition never
changes; the same document again is the definition that is there; the document is an artifact whose id is the spec's
hash, so what is found is what was defined.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from interlock.base.bounds import JSON_BYTES_MAX
from interlock.base.canonical import digest
from interlock.base.events import Place
from interlock.base.ids import shown
from interlock.base.part import Artifact, DecideContext, Decided, Decider, Decision, Refusal
from interlock.base.principal import Principal
from interlock.gates.control import events as e
from interlock.gates.control.errors import SCENARIO_CONFLICT, SCENARIO_NOT_FOUND
from interlock.gates.control.keys import SCENARIO_INDEX, scenario_stream
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.offered import OfferedProviders
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import HashDigest, read, wire
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner

SPEC_KIND = "ScenarioSpec"
CACHED_MAX = 256
OFFERED_ALWAYS = OfferedProviders()


class Define(Struct, frozen=True):
    """Keep a document under its id."""

    stream: str
    event: e.ScenarioDefined
    content: bytes


class Defined(Struct, frozen=True):
    """A scenario that is defined; `fresh` if it was not before."""

    scenario_id: str
    spec_hash: HashDigest
    fresh: bool


class Listed(Struct, frozen=True):
    """A scenario in a list."""

    scenario_id: str
    namespace_id: int
    spec_hash: HashDigest


def _evolve(_state: Any, record: Struct, _place: Place) -> Any:
    return record


def _decide(states: Mapping[str, Any], command: Define, _ctx: DecideContext) -> Decision:
    known: e.ScenarioDefined | None = states[command.stream]
    if known is None:
        return Decided({command.stream: (command.event,)}, [Artifact(SPEC_KIND, command.content)])
    if known.document_id != command.event.document_id:
        return Refusal(SCENARIO_CONFLICT.error(f"another document is defined under {shown(command.event.scenario_id)}"))
    return {}


def _result(events: Mapping[str, Sequence[Struct]], _command: Define) -> bool:
    return bool(events)


DEFINITIONS = Decider(
    name="gates.scenario",
    streams=lambda command: (command.stream,),
    initial=lambda _stream: None,
    decide=_decide,
    evolve=_evolve,
    result=_result,
)


class Definitions:
    """The scenarios of a journal. `principal` says in which tenant, and who acts."""

    def __init__(self, journal: Journal, runner: Runner, offered: OfferedProviders = OFFERED_ALWAYS) -> None:
        self._journal = journal
        self._runner = runner
        self._offered = offered
        self._known: OrderedDict[str, Scenario] = OrderedDict()

    async def define(self, spec: ScenarioSpec, *, principal: Principal, command_id: str | None = None) -> Defined:
        """Keep a validated document. Raises: `scenario_conflict`; `provider_not_offered`, and nothing is kept."""
        self._offered.check_spec(principal, spec)
        content = wire(spec)
        document_id = digest(content)
        default = None if spec.default_tenant_id is None else str(spec.default_tenant_id)
        event = e.ScenarioDefined(default, document_id, str(spec.namespace_id), spec.scenario_id, spec.spec_version)
        stream = scenario_stream(principal.tenant, spec.namespace_id, spec.scenario_id)
        fresh = await self._runner.execute(DEFINITIONS, Define(stream, event, content), principal, command_id)
        return Defined(spec.scenario_id, HashDigest("sha256", document_id), fresh)

    async def find(self, namespace_id: int, scenario_id: str, tenant_id: int, *, principal: Principal) -> Scenario:
        """The scenario of that id, if the tenant label may use it. Raises: `scenario_not_found`."""
        stream = scenario_stream(principal.tenant, namespace_id, scenario_id)
        scenario = self._known.get(stream)
        if scenario is None:
            scenario = await self._loaded(stream)
            self._known[stream] = scenario
            if len(self._known) > CACHED_MAX:
                self._known.popitem(last=False)
        if scenario.spec.default_tenant_id not in (None, tenant_id):
            raise SCENARIO_NOT_FOUND.error("there is no such scenario")
        return scenario

    async def _loaded(self, stream: str) -> Scenario:
        document_id = await self._runner.look(DEFINITIONS, stream, lambda known: known and known.document_id)
        if document_id is None:
            raise SCENARIO_NOT_FOUND.error("there is no such scenario")
        return await self.of_document(document_id)

    async def of_document(self, document_id: str) -> Scenario:
        """The scenario of a document that is stored. Raises: `artifact_not_found`, `artifact_corrupt`."""
        [content] = await self._journal.store.artifacts.get([document_id])
        return Scenario(read(content, ScenarioSpec, bytes_max=JSON_BYTES_MAX), HashDigest("sha256", document_id))

    async def listed(
        self, namespace_id: int, tenant_id: int, after: str, limit: int, *, principal: Principal
    ) -> list[Listed]:
        """Scenarios of a namespace that a tenant label may use, in the order of their ids, after one of them."""
        found: list[Listed] = []
        prefix = f"{namespace_id}:"
        while len(found) < limit:
            rows = await self._journal.store.index.scan(principal.tenant, SCENARIO_INDEX, prefix, prefix + after, limit)
            for key, value in rows:
                after = key.removeprefix(prefix)
                document_id, _, default = value.decode("ascii").partition(" ")
                if default in ("", str(tenant_id)) and len(found) < limit:
                    found.append(Listed(after, namespace_id, HashDigest("sha256", document_id)))
            if len(rows) < limit:
                break
        return found
