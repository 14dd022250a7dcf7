"""The walk over the run of a scenario: the same for export and for verification.

What it does: walks the run's stream and that of its scenario, proves chains and artifacts, decides the whole run again
under the rules that it recorded, and derives the folder of seed 000. What it does not do: it writes and compares
nothing; a sink takes what is derived.

Rules: what is damaged is named, and what rests on it is not judged; the folder is dated by the last time that the run
recorded, so that it follows from the events alone; it is left out where a file of it would be larger than its layout
allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.bounds import JSON_BYTES_MAX
from interlock.base.errors import Corruption, InterlockError, Invalid, NotFound
from interlock.gates.control import events as e
from interlock.gates.control.decide import RUNS
from interlock.gates.control.fold import ScenarioRun
from interlock.gates.control.keys import SCENARIO_RUN, run_stream, scenario_stream
from interlock.gates.control.reading import RunReading
from interlock.gates.control.rules import Rules
from interlock.gates.control.scenario import Scenario
from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.records import RunState
from interlock.gates.redecide.again import redecide
from interlock.gates.redecide.events import Begun, EventsAgain
from interlock.gates.redecide.logs import Known, Logs, NotRederivable
from interlock.gates.scenario.validate import validate
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import HashDigest, Timestamp, read, wire
from interlock.journal.chain import Recorded
from interlock.journal.streams import stream_id
from interlock.packs.errors import (
    PACK_CONTENT_INVALID,
    PACK_MEMBER_MISSING,
    RUNPACK_SCENARIO_WRONG,
    RUNPACK_SEQUENCE_WRONG,
    RUNPACK_TOO_LARGE,
)
from interlock.packs.manifest import RUNPACK, Root
from interlock.packs.runpack.build import Wish, built
from interlock.packs.runpack.codes import CODES
from interlock.packs.survey import Survey, Surveyed

_PLACES: dict[str, type[Struct]] = {
    "triggers": e.Triggered,
    "gate_evals": e.GateEvaluated,
    "decisions": e.ScenarioDecided,
    "packets": e.PacketIssued,
    "submissions": e.Submitted,
    "tool_calls": e.ToolCalled,
}
"""The event of each record of a log."""


class Lived(Struct, frozen=True):
    """A run as its events tell it. `anchors` are those that every decision asked for."""

    scenario: Scenario
    state: RunState
    anchors: list[AnchorRequirement]
    last: Timestamp


class ScenarioSurvey(Survey):
    """One walk over the run of a scenario; `lived` is what it found, None where that rests on damage."""

    lived: Lived | None = None

    @property
    def found(self) -> Lived:
        """The run, of a walk that found no damage."""
        if self.lived is None:
            raise PACK_CONTENT_INVALID.error("the run rests on damage")
        return self.lived

    async def run(self) -> Surveyed:
        """Walk everything. Raises: `pack_too_large`, and what is no damage, such as `store_closed`."""
        wanted = self._wanted
        stream = stream_id(wanted.tenant, SCENARIO_RUN, wanted.run_id)
        taken = _Taken()
        if not await self._stream(stream, taken) and stream not in self._unreadable:
            self.examination.found(PACK_MEMBER_MISSING.code, stream, "the run is not there")
        left_open = await self._judged(stream, taken) if taken.whole else []
        if self.lived is None:
            self._unjudged.add(wanted.run_id)
        entry = await self._sink.artifacts(self._nodes, self._others)
        self._members.sort(key=lambda member: member.name)
        active = self.lived is not None and self.lived.state.status == "active"
        return Surveyed(
            artifacts=entry,
            left_out=[],
            members=self._members,
            root=Root(wanted.run_id, "scenario_run", wanted.tenant),
            runs=[],
            streams=self._streams,
            unjudged=self._unjudged,
            unsealed=(wanted.run_id,) if active else (),
            not_rederivable=tuple(left_open),
        )

    async def _judged(self, stream: str, taken: _Taken) -> list[NotRederivable]:
        """Decide the run again, and derive what follows from it; return what is left open."""
        try:
            return await self._decided_again(stream, taken)
        except (Corruption, NotFound, Invalid) as fault:
            named = fault.details.get("artifact")
            self.examination.damaged(fault, named if isinstance(named, str) else stream)
        except msgspec.MsgspecError:
            self.examination.found(PACK_CONTENT_INVALID.code, stream, "a record of the run cannot be read")
        return []

    async def _decided_again(self, stream: str, taken: _Taken) -> list[NotRederivable]:
        state = self._folded(stream, taken)
        begun = _begun(state, taken)
        scenario = await self._scenario(state.document_id)
        await self._check_definition(stream, begun, scenario)
        run = await RunReading(self._journal).assembled(taken.records, state, scenario)
        rules = await self._rules(taken)
        logs = _logs_of(run)
        observed, passed = _observed(taken), _passed(taken)
        known = Known(begun.started_at, begun.config.dispatch_targets, rules, observed, passed)
        again = redecide(scenario, logs, known)
        for each in again.findings:
            self.examination.found(CODES[each.kind].code, f"{stream}#{taken.seq(each.place)}", each.message)
        if again.findings:
            return again.not_rederivable
        wrong = list(EventsAgain(scenario, begun, logs, again).findings(taken.records))
        for each in wrong:
            self.examination.found(CODES[each.kind].code, f"{stream}#{taken.seq(each.place)}", each.message)
        if not wrong:
            last = run.tool_calls[-1].called_at if run.tool_calls else begun.started_at
            self.lived = Lived(scenario, run, _anchors(rules), last)
            self._derive(self.lived)
        return again.not_rederivable

    def _folded(self, stream: str, taken: _Taken) -> ScenarioRun:
        state: ScenarioRun = RUNS.initial(stream)
        for event in taken.events:
            if event.record is not None:
                state = RUNS.evolve(state, event.record, event.place)
        return state

    async def _scenario(self, document_id: str) -> Scenario:
        """The document of the run. Raises: `artifact_not_found`, and as `validate`."""
        spec: ScenarioSpec = await self._record(document_id, ScenarioSpec)
        validate(spec)
        return Scenario(spec, HashDigest("sha256", document_id))

    async def _record(self, artifact: str, kind: Any) -> Any:
        """The record in an artifact, which is its one spelling."""
        [content] = await self._journal.store.artifacts.get([artifact])
        found = (
            msgspec.json.decode(content, type=kind) if kind is Rules else read(content, kind, bytes_max=JSON_BYTES_MAX)
        )
        if wire(found) != content:
            raise PACK_CONTENT_INVALID.error("an artifact is not in its one canonical form", artifact=artifact)
        return found

    async def _check_definition(self, stream: str, begun: Begun, scenario: Scenario) -> None:
        """The run is where its ids say, and its scenario was defined as this document."""
        config, spec, tenant = begun.config, scenario.spec, self._wanted.tenant
        if run_stream(tenant, config.tenant_id, config.namespace_id, config.run_id) != stream:
            self.examination.found(
                RUNPACK_SEQUENCE_WRONG.code, f"{stream}#1", "the run is another than its stream says"
            )
        place = scenario_stream(tenant, spec.namespace_id, spec.scenario_id)
        defined = _Taken()
        await self._stream(place, defined)
        same = (spec.scenario_id, spec.namespace_id) == (config.scenario_id, config.namespace_id)
        if (
            not same
            or spec.default_tenant_id not in (None, config.tenant_id)
            or defined.records != [_defined(scenario)]
        ):
            what = "the run is not of the scenario that was defined under its id"
            self.examination.found(RUNPACK_SCENARIO_WRONG.code, place, what)

    async def _rules(self, taken: _Taken) -> list[Rules]:
        """The rules that each trigger was decided under. Raises: `pack_content_invalid`."""
        found: list[Rules] = []
        rules: Rules | None = None
        for record in taken.records:
            if isinstance(record, e.RulesApplied):
                rules = await self._record(record.rules_id, Rules)
            elif isinstance(record, e.Triggered):
                if rules is None:
                    raise PACK_CONTENT_INVALID.error("a decision rests on rules that nobody named")
                found.append(rules)
        return found

    def _derive(self, lived: Lived) -> None:
        """Make the folder of seed 000."""
        wish = Wish(generated_at=lived.last, anchors=lived.anchors)
        try:
            made = built(lived.scenario.spec, lived.state, wish)
        except InterlockError as fault:
            if fault.kind is not RUNPACK_TOO_LARGE:
                raise
            return
        for path, content in made.files.items():
            member = self._sink.member(f"{RUNPACK}/{path}", RUNPACK)
            member.write(content)
            self._members.append(member.close())


class _Taken:
    """The events of a stream as far as they can be believed."""

    def __init__(self) -> None:
        self.events: list[Recorded] = []
        self._damaged = False

    def take(self, events: Sequence[Recorded]) -> None:
        self.events += events

    def give_up(self) -> None:
        self._damaged = True

    @property
    def whole(self) -> bool:
        """Whether all of them are there."""
        return bool(self.events) and not self._damaged

    @property
    def records(self) -> list[Struct | None]:
        return [event.record for event in self.events]

    def seq(self, place: str) -> int:
        """The event of a record, by its place in the logs or among the events; the last one where there is none."""
        log, _, number = place.partition("/")
        kind = _PLACES.get(log)
        seqs = [at for at, record in enumerate(self.records, 1) if kind is None or isinstance(record, kind)]
        return seqs[int(number)] if int(number) < len(seqs) else len(self.events)


def _begun(state: ScenarioRun, taken: _Taken) -> Begun:
    """What the run began with. Raises: `pack_content_invalid`."""
    first = taken.records[0]
    if state.config is None or not isinstance(first, e.ScenarioRunStarted):
        raise PACK_CONTENT_INVALID.error("the run does not begin with its start")
    started_at = msgspec.json.decode(first.started_at, type=Timestamp)
    return Begun(state.config, started_at)


def _observed(taken: _Taken) -> list[dict[str, int | None]]:
    """When the evidence of each trigger was observed, by condition."""
    found: list[dict[str, int | None]] = []
    for record in taken.records:
        if isinstance(record, e.Triggered):
            found.append({})
        elif isinstance(record, e.EvidenceAsked) and found:
            found[-1][record.condition_id] = record.observed_ms
    return found


def _passed(taken: _Taken) -> frozenset[int]:
    """The triggers before which the timer of the stage had fired in vain."""
    found: set[int] = set()
    count = 0
    for record in taken.records:
        if isinstance(record, e.Triggered):
            count += 1
        elif isinstance(record, e.StageTimePassed):
            found.add(count)
    return frozenset(found)


def _defined(scenario: Scenario) -> e.ScenarioDefined:
    """The event by which a scenario was defined."""
    spec = scenario.spec
    default = None if spec.default_tenant_id is None else str(spec.default_tenant_id)
    return e.ScenarioDefined(
        default, scenario.spec_hash.value, str(spec.namespace_id), spec.scenario_id, spec.spec_version
    )


def _anchors(rules: Sequence[Rules]) -> list[AnchorRequirement]:
    """The anchors that every decision asked for."""
    asked = [{each.anchor.provider_id: each.anchor for each in one.providers.values() if each.anchor} for one in rules]
    first, *others = asked or [{}]
    return [anchor for name, anchor in first.items() if all(each.get(name) == anchor for each in others)]


def _logs_of(run: RunState) -> Logs:
    return Logs(**{name: getattr(run, name) for name in Logs.__struct_fields__})
