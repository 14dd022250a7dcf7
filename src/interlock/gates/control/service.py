"""Scenario runs for the rest of the product: start, trigger, next, status, submit.

What it does: takes a run's turn, asks for the evidence that its stage needs, and executes the decider. What it does not
do: it decides nothing; it knows no wire and no configuration file.

Rules (seed 000): the turn is held from the look at the run until the append; evidence is asked for only where a stage
is to be evaluated; what the run left behind meanwhile is made anew, a bounded number of times.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import aclosing
from functools import partial
from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from interlock.base.errors import Conflict
from interlock.base.events import Place, Timer
from interlock.base.ids import shown
from interlock.base.principal import TRUSTED, Principal, PrincipalKind
from interlock.base.secret_scan import refuse_secrets, scan_bytes
from interlock.gates.control.calls import Call, check_ids, check_time
from interlock.gates.control.decide import (
    RUN_FOLD,
    RUNS,
    AskStatus,
    Command,
    EvidenceTooOld,
    Fire,
    Given,
    StageTimeOver,
    StartRun,
    Submit,
    status_asked,
)
from interlock.gates.control.deciding import TICK, is_overdue
from interlock.gates.control.definitions import Definitions
from interlock.gates.control.errors import (
    PAYLOAD_TOO_LARGE,
    SCENARIO_CALL_INVALID,
    SCENARIO_MISMATCH,
    SCENARIO_RUN_MOVED,
    SCENARIO_RUN_NOT_FOUND,
)
from interlock.gates.control.evaluation import EvidenceSource, asked
from interlock.gates.control.fold import ScenarioRun
from interlock.gates.control.keys import (
    RUN_INDEX,
    SUBMISSION_INDEX,
    TRIGGER_INDEX,
    call_key,
    closing_stage,
    run_key,
    run_stream,
)
from interlock.gates.control.policy import DisclosurePolicy, check_policy
from interlock.gates.control.reading import Answered, RunReading
from interlock.gates.control.rules import InForce, Rules
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.turns import MutationStats, Turns
from interlock.gates.evidence.query import Gathered
from interlock.gates.evidence.records import EvidenceContext
from interlock.gates.records import (
    NextRequest,
    RunConfig,
    RunState,
    RunStatus,
    ScenarioStatus,
    StatusRequest,
    SubmissionRecord,
    SubmitRequest,
    TriggerEvent,
)
from interlock.gates.spec import BytesPayload, Payload
from interlock.gates.values import Timestamp, wire
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner
from interlock.journal.streams import tenant_of

_LOG = logging.getLogger("interlock.gates")
SecretScan = Literal["off", "warn", "refuse"]
"""What becomes of payloads that look like secrets: they are kept and exported as they are given."""

ATTEMPTS_MAX = 20
_NAME = "system:scenarios"
RULES_KNOWN_MAX = 256
POINTER_CHARACTERS_MAX = 200
PAYLOAD_BYTES_MAX = 2 * 1024 * 1024


class RunStanding(Struct, frozen=True):
    """How a run of a list stands; `entered_at` is when it entered its stage."""

    run: str
    stage: str
    status: RunStatus
    entered_at: Timestamp | None
    triggers: int


class _Seen(NamedTuple):
    """A run as it stood when it was looked at; `document_id` is that of its scenario."""

    exists: bool
    document_id: str
    stage_id: str
    status: RunStatus
    last_decision: int
    entered_at: Timestamp | None


def _seen(state: ScenarioRun) -> _Seen:
    return _Seen(state.exists, state.document_id, state.stage_id, state.status, state.last_decision, state.entered_at)


def _check_scenario(run: _Seen | ScenarioRun, scenario: Scenario) -> None:
    """Take a run of another scenario for one that is not there. Raises: `scenario_run_not_found`."""
    if run.exists and run.document_id != scenario.spec_hash.value:
        raise SCENARIO_RUN_NOT_FOUND.error("there is no such run")


def _standing(run_id: str, state: ScenarioRun) -> RunStanding:
    return RunStanding(run_id, state.stage_id, state.status, state.entered_at, state.triggers)


def check_payload(payload: Payload, scan: SecretScan) -> None:
    """Refuse what is too large to be kept, and tell of what looks like a secret, or refuse it.

    Raises: `payload_too_large`; `secrets_detected`.
    """
    content = wire(payload)
    text = bytes(payload.bytes) if isinstance(payload, BytesPayload) else content
    if len(content) > PAYLOAD_BYTES_MAX:
        raise PAYLOAD_TOO_LARGE.error(
            f"a payload of more than {PAYLOAD_BYTES_MAX} bytes", limit_bytes=PAYLOAD_BYTES_MAX
        )
    if scan == "refuse":
        refuse_secrets(text, "payload")
    elif scan == "warn" and (found := scan_bytes(text)) is not None:
        _LOG.warning(
            "a payload that is kept and exported as it is looks like a secret: %s at %s; "
            '`payload_secret_scan = "refuse"` takes none',
            found.kind,
            shown(found.pointer.removeprefix("/value"), POINTER_CHARACTERS_MAX),
        )


class ScenarioRuns:
    """The scenario runs of a journal. `principal` says in which tenant, and who acts."""

    def __init__(
        self,
        journal: Journal,
        runner: Runner,
        definitions: Definitions,
        evidence: EvidenceSource,
        turns: Turns,
        policy: DisclosurePolicy,
        secret_scan: SecretScan = "warn",  # noqa: S107 - what is done, not a secret
    ) -> None:
        check_policy(policy)
        self._journal = journal
        self._runner = runner
        self._definitions = definitions
        self._evidence = evidence
        self._turns = turns
        self._policy = policy
        self._known_rules: dict[str, InForce] = {}
        self._secret_scan = secret_scan
        self.read = RunReading(journal)

    async def start(
        self,
        scenario_id: str,
        config: RunConfig,
        started_at: Timestamp,
        *,
        issue_entry_packets: bool,
        principal: Principal,
        command_id: str | None = None,
    ) -> RunState:
        """Begin a run in the first stage.

        Raises: `scenario_not_found`, `scenario_run_exists`, `policy_denied`; `gate_input_invalid` for a time that no
        double is.
        """
        check_time(started_at)
        scenario = await self._scenario(scenario_id, config.namespace_id, config.tenant_id, principal)
        if config.scenario_id != scenario_id:
            raise SCENARIO_MISMATCH.error("the configuration is of another scenario")
        stream = run_stream(principal.tenant, config.tenant_id, config.namespace_id, config.run_id)
        command = StartRun(stream, scenario, self._rules(scenario), config, started_at, issue_entry_packets)
        async with self._turns.hold(stream):
            records: Sequence[Struct] = await self._runner.execute(RUNS, command, principal, command_id)
        state = RUN_FOLD.initial(stream)
        for seq, record in enumerate(records, 1):  # all that there is of the run
            state = RUN_FOLD.evolve(state, record, Place(stream, seq, 0, principal.id, None))
        return await self.read.assembled(records, state, scenario)

    async def trigger(self, scenario_id: str, event: TriggerEvent, *, principal: Principal) -> Answered:
        """Look at the stage of a run, and decide.

        Raises: `scenario_not_found`, `scenario_run_not_found`, `provider_missing`, `trigger_time_mismatch`,
        `gate_resolution_failed`, `evidence_too_large`, `payload_too_large`, `gate_input_invalid`.
        """
        call = Call("scenario.trigger", event, event.time, event.correlation_id)
        return await self._fire(scenario_id, call, event, principal)

    async def next(self, scenario_id: str, request: NextRequest, *, principal: Principal) -> Answered:
        """An agent asks to go on: as `trigger`."""
        event = TriggerEvent(
            trigger_id=request.trigger_id,
            tenant_id=request.tenant_id,
            namespace_id=request.namespace_id,
            run_id=request.run_id,
            kind="agent_request_next",
            time=request.time,
            source_id=request.agent_id,
            correlation_id=request.correlation_id,
        )
        call = Call("scenario.next", request, request.time, request.correlation_id)
        return await self._fire(scenario_id, call, event, principal)

    async def status(self, scenario_id: str, request: StatusRequest, *, principal: Principal) -> ScenarioStatus:
        """How a run stands; the question is recorded. Raises: `scenario_not_found`, `scenario_run_not_found`."""
        check_time(request.requested_at)
        scenario = await self._scenario(scenario_id, request.namespace_id, request.tenant_id, principal)
        stream = run_stream(principal.tenant, request.tenant_id, request.namespace_id, request.run_id)
        call = Call("scenario.status", request, request.requested_at, request.correlation_id)
        async with self._turns.hold(stream):
            for _ in range(ATTEMPTS_MAX):
                seen = await self._look(stream, scenario)
                last = None
                if seen.last_decision:
                    answered = await self.read.answer_at(stream, seen.last_decision, scenario)
                    last = Given(seen.last_decision, answered.decision, seen.status)
                command = AskStatus(stream, scenario, call, request, last)
                answer = await self._runner.look(RUNS, stream, partial(status_asked, command=command))
                if await self._executed(command, principal) is not None and answer is not None:
                    return answer
        raise SCENARIO_RUN_MOVED.error("the run kept moving")

    async def submit(self, scenario_id: str, request: SubmitRequest, *, principal: Principal) -> SubmissionRecord:
        """Hand something in. Raises: `scenario_not_found`, `scenario_run_not_found`, `submission_conflict`."""
        check_time(request.submitted_at)
        check_payload(request.payload, self._secret_scan)
        scenario = await self._scenario(scenario_id, request.namespace_id, request.tenant_id, principal)
        stream = run_stream(principal.tenant, request.tenant_id, request.namespace_id, request.run_id)
        call = Call("scenario.submit", request, request.submitted_at, request.correlation_id)
        async with self._turns.hold(stream):
            for _ in range(ATTEMPTS_MAX):
                place = await self.place_of(stream, SUBMISSION_INDEX, request.submission_id)
                known = None if place is None else await self.read.submission_at(stream, place)
                given = None if place is None else Given(place, known, "active")
                records = await self._executed(Submit(stream, scenario, call, request, given), principal)
                if records is not None:
                    return known or await self.read.submission(records)
        raise SCENARIO_RUN_MOVED.error("the run kept moving")

    async def _fire(self, scenario_id: str, call: Call, event: TriggerEvent, principal: Principal) -> Answered:
        if event.trigger_id.startswith(f"{TICK}:"):  # else a caller could take the place of a stage's own tick
            raise SCENARIO_CALL_INVALID.error(f"ids that begin with `{TICK}:` are those of stages", member="id")
        check_time(event.time)
        if event.payload is not None:
            check_payload(event.payload, self._secret_scan)
        scenario = await self._scenario(scenario_id, event.namespace_id, event.tenant_id, principal)
        stream = run_stream(principal.tenant, event.tenant_id, event.namespace_id, event.run_id)
        async with self._turns.hold(stream):
            for _ in range(ATTEMPTS_MAX):
                command = await self._prepared(stream, scenario, call, event)
                records = await self._executed(command, principal)
                if records is not None:
                    given = command.given
                    answer = await self.read.answer(records, scenario) if given is None else given.answer
                    if answer is not None:
                        return answer
        raise SCENARIO_RUN_MOVED.error("the run kept moving")

    async def _prepared(self, stream: str, scenario: Scenario, call: Call, event: TriggerEvent) -> Fire:
        """The command for a trigger: with its evidence, or with the answer that there is."""
        seen = await self._look(stream, scenario)
        fire = partial(Fire, stream, scenario, self._rules(scenario), call, event, seen.stage_id)
        missing = self._evidence.missing(scenario.spec)
        if missing is not None or not seen.exists:
            return fire([], missing)
        place = seen.last_decision
        if seen.status == "active":
            place = await self.place_of(stream, TRIGGER_INDEX, event.trigger_id) or 0
        if place:
            known = await self.read.answer_at(stream, place, scenario)
            return fire([], None, Given(place, msgspec.structs.replace(known, status=seen.status), seen.status))
        return fire(await self._gathered(scenario, seen, event, tenant_of(stream)))

    async def _gathered(self, scenario: Scenario, seen: _Seen, event: TriggerEvent, tenant: str) -> list[Gathered]:
        """The evidence for the stage, asked for now; none for a run that cannot use it."""
        stage = scenario.places.get(seen.stage_id) is not None and scenario.stage(seen.stage_id)
        if not stage or is_overdue(seen.entered_at, stage, event):
            return []
        context = EvidenceContext(
            tenant_id=event.tenant_id,
            namespace_id=event.namespace_id,
            run_id=event.run_id,
            scenario_id=scenario.spec.scenario_id,
            stage_id=stage.stage_id,
            trigger_id=event.trigger_id,
            trigger_time=event.time,
            correlation_id=event.correlation_id,
        )
        return await self._evidence.gather(asked(scenario, stage), context, tenant=tenant)

    async def _executed(self, command: Command, principal: Principal) -> Sequence[Struct] | None:
        """What a command recorded; None where the run had moved on."""
        try:
            recorded: Sequence[Struct] = await self._runner.execute(RUNS, command, principal)
        except Conflict as fault:
            if fault.kind is SCENARIO_RUN_MOVED:
                return None
            raise
        return recorded

    async def _look(self, stream: str, scenario: Scenario) -> _Seen:
        """A run as it stands now, before anything of it is read by that scenario. Raises: `scenario_run_not_found`."""
        seen = await self._runner.look(RUNS, stream, _seen)
        _check_scenario(seen, scenario)
        return seen

    async def place_of(self, stream: str, index: str, call_id: str) -> int | None:
        """The event of the call of that id, if it was made before."""
        [row] = await self._journal.store.index.get(tenant_of(stream), index, [call_key(stream, call_id)])
        return None if row is None else int(row.split()[0])

    async def _scenario(self, scenario_id: str, namespace_id: int, tenant_id: int, principal: Principal) -> Scenario:
        check_ids(namespace_id, tenant_id)
        return await self._definitions.find(namespace_id, scenario_id, tenant_id, principal=principal)

    async def state(
        self, scenario_id: str, tenant_id: int, namespace_id: int, run_id: str, *, principal: Principal
    ) -> RunState:
        """A run with all its logs. Raises: `scenario_not_found`, `scenario_run_not_found`."""
        scenario, _, state = await self.seen(scenario_id, tenant_id, namespace_id, run_id, None, principal=principal)
        return await self.read.whole(state.stream, state, scenario)

    async def stands(self, config: RunConfig, *, principal: Principal) -> bool:
        """Whether there is a run of that configuration, which names its scenario."""
        stream = run_stream(principal.tenant, config.tenant_id, config.namespace_id, config.run_id)
        return await self._runner.look(RUNS, stream, lambda state: state.config == config)

    async def seen(
        self,
        scenario_id: str,
        tenant_id: int,
        namespace_id: int,
        run_id: str,
        at_seq: int | None,
        *,
        principal: Principal,
    ) -> tuple[Scenario, int, ScenarioRun]:
        """A run as of one of its events (None: the last), and the number of that event; nothing is recorded.

        Raises: `scenario_not_found`; `scenario_run_not_found` for a run of another scenario.
        """
        scenario = await self._scenario(scenario_id, namespace_id, tenant_id, principal)
        stream = run_stream(principal.tenant, tenant_id, namespace_id, run_id)
        if at_seq is None:
            loaded = await self._journal.load(RUN_FOLD, stream)
            _check_scenario(loaded.state, scenario)
            return scenario, loaded.head.seq, loaded.state
        state, seq = RUN_FOLD.initial(stream), 0
        async with aclosing(self._journal.read(stream, until_seq=at_seq)) as pages:
            async for page in pages:
                for event in page:
                    if event.record is not None:
                        state, seq = RUN_FOLD.evolve(state, event.record, event.place), event.envelope.seq
        _check_scenario(state, scenario)
        return scenario, seq, state

    async def listed(
        self, scenario_id: str, tenant_id: int, namespace_id: int, after: str, limit: int, *, principal: Principal
    ) -> list[RunStanding]:
        """At most `limit` runs of a scenario after the one named `after`, in the order of their ids.

        Raises: `scenario_not_found`.
        """
        await self._scenario(scenario_id, namespace_id, tenant_id, principal)
        prefix = run_key(namespace_id, scenario_id, tenant_id)
        rows = await self._journal.store.index.scan(principal.tenant, RUN_INDEX, prefix, prefix + after, limit)
        return [
            await self._runner.look(RUNS, stream.decode(), partial(_standing, key.removeprefix(prefix)))
            for key, stream in rows
        ]

    async def scenario_of(self, stream: str) -> Scenario:
        """The scenario of a run. Raises: `scenario_run_not_found`, `artifact_not_found`."""
        config = await self._runner.look(RUNS, stream, lambda state: state.config)
        if config is None:
            raise SCENARIO_RUN_NOT_FOUND.error("there is no such run")
        principal = Principal(id=_NAME, tenant=tenant_of(stream), kind=PrincipalKind.SYSTEM)
        return await self._scenario(config.scenario_id, config.namespace_id, config.tenant_id, principal)

    async def due(self, timer: Timer) -> StageTimeOver | EvidenceTooOld:
        """What a timer tells the run that it belongs to. Raises: `scenario_not_found`."""
        loaded = await self._journal.load(RUN_FOLD, timer.stream)
        scenario = await self._definitions.of_document(loaded.state.document_id)
        stage_id = closing_stage(timer)
        if stage_id is not None:
            return EvidenceTooOld(timer.stream, scenario, stage_id, timer.due_ms)
        return StageTimeOver(timer.stream, scenario, self._rules(scenario), timer.due_ms)

    def _rules(self, scenario: Scenario) -> InForce:
        """The rules of this installation for a scenario; they are the same for as long as it is open."""
        name = scenario.spec_hash.value
        rules = self._known_rules.get(name)
        if rules is None:
            if len(self._known_rules) >= RULES_KNOWN_MAX:
                self._known_rules.clear()
            rules = InForce.of(Rules(self._policy, self._evidence.rules(scenario.spec)))
            self._known_rules[name] = rules
        return rules

    @property
    def now_ms(self) -> int:
        """The time of the journal, in ms since 1970."""
        return self._journal.now_ms()

    def statistics(self, principal: Principal) -> MutationStats:
        """Figures of the turns: of the whole process for the user of this machine, of its own tenant for anybody."""
        return self._turns.statistics(None if principal.kind in TRUSTED else principal.tenant)
