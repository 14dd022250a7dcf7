"""Decides every trigger of a run again, by the same functions that decided it.

What it does: goes through the logs from the first trigger on, makes each decision, its gates and its packets anew, and
names what differs. What it does not do: it reads no file, asks nobody, and judges no call (`calls`).

Rules: one decision follows from one trigger, in their order; what the run comes to is what follows, not what is
recorded, so that a forged record does not lead the rest astray; where the logs leave a choice open, what is recorded
must be one that could have been made, and that it could not be told is said. Where the logs do not even have as many
records as follow, the walk ends: its work is bounded by the size of what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.base.events import Place
from interlock.gates.control.advance import timer_of
from interlock.gates.control.deciding import INIT, TICK, decided, is_overdue
from interlock.gates.control.fold import ScenarioRun, evolve
from interlock.gates.control.packets import DISPATCHER, payload_hash
from interlock.gates.control.policy import DisclosurePolicy
from interlock.gates.control.rules import Rules
from interlock.gates.control.scenario import Scenario
from interlock.gates.control.writing import Writing
from interlock.gates.records import (
    Advanced,
    DecisionOutcome,
    DecisionRecord,
    Failed,
    GateEvalRecord,
    PacketRecord,
    RunConfig,
    RunStatus,
    Started,
    TriggerEvent,
    TriggerResult,
)
from interlock.gates.redecide.gates import Asked, GatesAgain
from interlock.gates.redecide.logs import Broken, Kind, Known, Logs, Notes, Open
from interlock.gates.spec import StageSpec
from interlock.gates.values import Timestamp, UnixMillis

_PERMITS = DisclosurePolicy()


class Standing(NamedTuple):
    """How a run stands after a decision, and the events that such a decision leaves.

    `by_itself` is one that nobody called for: the stage made its own tick.
    """

    answer: TriggerResult
    stage_id: str
    status: RunStatus
    events: Sequence[Struct]
    by_itself: bool


class DecisionsAgain:
    """The decisions of one run."""

    def __init__(self, scenario: Scenario, logs: Logs, known: Known, notes: Notes) -> None:
        self._scenario = scenario
        self._logs = logs
        self._known = known
        self._notes = notes
        self._gates = GatesAgain(scenario, known, notes)
        self._config = self._configured()
        first = scenario.first.stage_id
        self._state = ScenarioRun("", scenario.spec_hash.value, self._config, first, known.started_at)
        if known.started_at is not None:
            self._state.timer_ms = timer_of(scenario.first, known.started_at)
        self._in_time: Timestamp | None = None
        """The latest tick that found the time of the first stage not over, where nobody says when it was entered."""
        self._next_gate = 0
        self._next_packet = 0
        self._packets: list[PacketRecord] = []
        """Those that the log has of the decision that is looked at."""
        bare = [replace(stage, entry_packets=[]) for stage in scenario.spec.stages]
        self._bare = Scenario(replace(scenario.spec, stages=bare), scenario.spec_hash)
        self.standings: list[Standing] = []

    def run(self) -> None:
        """Go through the logs. Side effect: fills `standings`, one for each decision that follows."""
        try:
            self._check_receipts()
        except Broken:
            return
        logs, seen = self._logs, set[str]()
        if self._known.rules is None and not logs.triggers and not logs.submissions and not logs.tool_calls:
            self._notes.left_open(Open.IDENTITY)
        for place, record in enumerate(logs.triggers):
            event = record.event
            if place >= len(logs.decisions):
                self._found(Kind.SEQUENCE, f"triggers/{place}", "no decision follows from it")
            if self._state.status != "active":
                self._found(Kind.SEQUENCE, f"triggers/{place}", "it stands behind the end of the run")
                break
            if event.trigger_id in seen:
                self._found(Kind.SEQUENCE, f"triggers/{place}", "its id stands twice")
            seen.add(event.trigger_id)
            self._check_identity(place, record.seq, event)
            try:
                self._step(place, event)
            except Broken:
                return
            except InterlockError as fault:
                self._found(Kind.DECISION, f"triggers/{place}", f"no decision can follow from it ({fault.code})")
                break
        self._check_rest()

    def _configured(self) -> RunConfig:
        """What the run was started with, as far as it is known."""
        logs, targets = self._logs, self._known.targets
        if targets is None:
            receipts = logs.packets[0].receipts if logs.packets else []
            targets = [each.target for each in receipts]
            if logs.packets:
                self._notes.left_open(Open.DISPATCH_TARGETS, len(logs.packets))
        scenario_id = self._scenario.spec.scenario_id
        return RunConfig(logs.tenant_id, logs.namespace_id, logs.run_id, scenario_id, list(targets), [])

    def _check_receipts(self) -> None:
        """Every packet went to as many targets as the run has. Raises: `Broken`."""
        for place, packet in enumerate(self._logs.packets):
            if len(packet.receipts) != len(self._config.dispatch_targets):
                what = "its receipts are not as many as the targets of the run"
                raise self._notes.broken(Kind.PACKET, f"packets/{place}", what)

    def _check_identity(self, place: int, seq: int, event: TriggerEvent) -> None:
        if seq != place + 1:
            self._found(Kind.SEQUENCE, f"triggers/{place}", f"its number is {seq}, and its place {place + 1}")
        logs = self._logs
        if (event.tenant_id, event.namespace_id, event.run_id) != (logs.tenant_id, logs.namespace_id, logs.run_id):
            self._found(Kind.SEQUENCE, f"triggers/{place}", "it is of another run")

    def _step(self, place: int, event: TriggerEvent) -> None:
        """Decide one trigger, and compare."""
        recorded = self._logs.decisions[place] if place < len(self._logs.decisions) else None
        stage = self._scenario.stage(self._state.stage_id)
        rules = None if self._known.rules is None else self._known.rules[place]
        if place in self._known.passed:
            self._state.timer_ms = None
        by_itself = self._is_own_tick(place, event, stage)
        observed = None if self._known.observed is None else self._known.observed[place]
        first = self._next_gate
        gates = self._gates_of(event.trigger_id)
        self._count_packets(recorded)
        if place == 0 and recorded is not None and isinstance(recorded.outcome, Started):
            self._check_entry(place, stage)
            writing, answer = self._started(event, stage, rules)
            made: list[GateEvalRecord] = []
        else:
            overdue = self._overdue(event, stage, gates, recorded)
            asked = Asked(event.trigger_id, event.time, rules, observed)
            made = [] if overdue else self._gates.made(stage, asked, gates, first)
            writing, answer = self._decided(event, stage, made, recorded, rules, overdue=overdue)
        if not made and gates:
            self._found(Kind.GATE, f"gate_evals/{first}", "it was not evaluated for this trigger")
        if recorded is not None:
            self._compare(place, recorded, answer)
        self._stand(writing, answer, by_itself=by_itself)

    def _gates_of(self, trigger_id: str) -> list[GateEvalRecord]:
        """The next records of the log that are of a trigger."""
        log, first = self._logs.gate_evals, self._next_gate
        while self._next_gate < len(log) and log[self._next_gate].trigger_id == trigger_id:
            self._next_gate += 1
        return log[first : self._next_gate]

    def _started(self, event: TriggerEvent, stage: StageSpec, rules: Rules | None) -> tuple[Writing, TriggerResult]:
        logs, started_at = self._logs, self._known.started_at
        init = TriggerEvent(
            trigger_id=INIT,
            tenant_id=logs.tenant_id,
            namespace_id=logs.namespace_id,
            run_id=logs.run_id,
            kind="external_event",
            time=event.time if started_at is None else started_at,
            source_id="system",
        )
        if event != init:
            self._found(Kind.SEQUENCE, "triggers/0", "the start is not the trigger that a start makes")
        writing = self._writing(init, rules)
        return writing, writing.start(stage)

    def _writing(self, event: TriggerEvent, rules: Rules | None) -> Writing:
        policy = _PERMITS if rules is None else rules.policy
        writing = Writing(self._state, self._scenario, policy, self._config, event)
        place = len(self.standings)
        if self._known.observed is not None:
            writing.observe(self._known.observed[place])
        return writing

    def _overdue(
        self, event: TriggerEvent, stage: StageSpec, gates: list[GateEvalRecord], recorded: DecisionRecord | None
    ) -> bool:
        """Whether a tick found the time of the stage over. Raises: as `advance.is_expired`."""
        if event.kind != "tick" or stage.timeout is None or self._state.entered_at is not None:
            return is_overdue(self._state.entered_at, stage, event)
        self._notes.left_open(Open.STARTED_AT)
        overdue = not gates if stage.gates else _left_late(recorded)
        known = self._in_time
        if known is not None and type(known) is type(event.time):
            if overdue and event.time.value <= known.value:
                what = "the time of the stage was over, and at a later time it had not been"
                self._found(Kind.DECISION, f"decisions/{len(self.standings)}", what)
            known = max(known, event.time, key=lambda each: each.value)
        if not overdue:
            self._in_time = known or event.time
        return overdue

    def _decided(
        self,
        event: TriggerEvent,
        stage: StageSpec,
        gates: list[GateEvalRecord],
        recorded: DecisionRecord | None,
        rules: Rules | None,
        *,
        overdue: bool,
    ) -> tuple[Writing, TriggerResult]:
        outcome = None if recorded is None else recorded.outcome
        self._check_way(event, stage, gates, outcome, overdue=overdue)
        writing = self._writing(event, rules)
        answer = decided(self._scenario, stage, gates, writing, overdue=overdue)
        if rules is None and isinstance(outcome, Failed) and isinstance(answer.decision.outcome, Advanced):
            entered = self._scenario.stage(answer.decision.outcome.to_stage)
            if entered.entry_packets:
                self._notes.left_open(Open.DISCLOSURE_POLICY)
                writing = self._writing(event, rules)
                for gate in gates:
                    writing.gate(gate)
                return writing, writing.fail(stage, outcome.reason)
        return writing, answer

    def _check_way(
        self,
        event: TriggerEvent,
        stage: StageSpec,
        gates: list[GateEvalRecord],
        outcome: DecisionOutcome | None,
        *,
        overdue: bool,
    ) -> None:
        """See where the decision leads before its packets are made: there may be many of them. Raises: `Broken`."""
        if not self._scenario.packets:
            return
        writing = Writing(self._state, self._bare, _PERMITS, self._config, event)
        leads = decided(self._bare, stage, gates, writing, overdue=overdue).decision.outcome
        if isinstance(leads, Advanced) and not isinstance(outcome, Failed):
            self._check_entry(len(self.standings), self._scenario.stage(leads.to_stage))

    def _check_entry(self, place: int, entered: StageSpec) -> None:
        """The packets of a stage are recorded with the decision that enters it. Raises: `Broken`."""
        if len(self._packets) != len(entered.entry_packets):
            what = f"{len(self._packets)} packets are recorded with it, and {len(entered.entry_packets)} follow"
            raise self._notes.broken(Kind.PACKET, f"decisions/{place}", what)

    def _count_packets(self, recorded: DecisionRecord | None) -> None:
        """Take the packets that the log has of a decision."""
        log, first = self._logs.packets, self._next_packet
        while recorded and self._next_packet < len(log) and log[self._next_packet].decision_id == recorded.decision_id:
            self._next_packet += 1
        self._packets = log[first : self._next_packet]

    def _compare(self, place: int, recorded: DecisionRecord, answer: TriggerResult) -> None:
        made = answer.decision
        if recorded != made:
            self._found(Kind.DECISION, f"decisions/{place}", _difference(recorded, made))
        if len(self._packets) != len(answer.packets):
            what = f"{len(self._packets)} packets are recorded with it, and {len(answer.packets)} follow"
            self._found(Kind.PACKET, f"decisions/{place}", what)
        first = self._next_packet - len(self._packets)
        for number, (packet, follows) in enumerate(zip(self._packets, answer.packets, strict=False), first):
            self._packet(f"packets/{number}", packet, follows)

    def _packet(self, place: str, packet: PacketRecord, made: PacketRecord) -> None:
        if self._known.rules is None and packet.receipts:
            self._notes.left_open(Open.DISCLOSURE_POLICY)
        same = (packet.envelope, packet.payload, packet.decision_id) == (made.envelope, made.payload, made.decision_id)
        if not same:
            what = "its payload" if packet.payload != made.payload else "its envelope"
            self._found(Kind.PACKET, place, f"{what} is not that of the scenario and the decision")
        foreign = [each for each in packet.receipts if each.dispatcher != DISPATCHER]
        if foreign and self._known.targets is None:
            self._notes.left_open(Open.DISPATCHERS, len(foreign))
        elif packet.receipts != made.receipts:
            self._found(Kind.PACKET, place, "its receipts are not those of its envelope and the targets of the run")
        if [each.target for each in packet.receipts] != [each.target for each in made.receipts]:
            self._found(Kind.PACKET, place, "its receipts are not of the targets that other packets went to")

    def _is_own_tick(self, place: int, event: TriggerEvent, stage: StageSpec) -> bool:
        """Whether the stage made this tick itself, when its time was over."""
        entered_at = self._state.entered_at
        due_ms = event.time.value if entered_at is None else timer_of(stage, entered_at)
        if stage.auto_tick is not True or stage.timeout is None or due_ms is None:
            return False
        return event == TriggerEvent(
            trigger_id=f"{TICK}:{stage.stage_id}:{place + 1}",
            tenant_id=self._logs.tenant_id,
            namespace_id=self._logs.namespace_id,
            run_id=self._logs.run_id,
            kind="tick",
            time=UnixMillis(due_ms),
            source_id="system",
        )

    def _stand(self, writing: Writing, answer: TriggerResult, *, by_itself: bool) -> None:
        """The run goes on from what follows."""
        before = self._state.entered_at
        for event in writing.events:
            self._state = evolve(self._state, event, Place("", 0, 0, "", None))
        if before is None and not isinstance(answer.decision.outcome, Advanced | Started):
            self._state.entered_at = None  # a decision that stays keeps what is not known
        state = self._state
        self.standings.append(Standing(answer, state.stage_id, state.status, writing.events, by_itself))

    def _check_rest(self) -> None:
        """Whatever no decision has used up is too much."""
        logs = self._logs
        if len(logs.decisions) > len(logs.triggers):
            self._found(Kind.SEQUENCE, f"decisions/{len(logs.triggers)}", "no trigger stands behind it")
        if self._next_gate < len(logs.gate_evals):
            self._found(Kind.GATE, f"gate_evals/{self._next_gate}", "no trigger asks for it at this place")
        if self._next_packet < len(logs.packets):
            self._found(Kind.PACKET, f"packets/{self._next_packet}", "no decision issues it at this place")
        ids: set[str] = set()
        for place, each in enumerate(logs.submissions):
            if each.run_id != logs.run_id or each.submission_id in ids:
                self._found(Kind.SUBMISSION, f"submissions/{place}", "it is of another run, or its id stands twice")
            if each.content_hash != payload_hash(each.payload):
                self._found(Kind.SUBMISSION, f"submissions/{place}", "its digest is not that of its payload")
            ids.add(each.submission_id)

    def _found(self, kind: Kind, place: str, message: str) -> None:
        self._notes.found(kind, place, message)


def _left_late(recorded: DecisionRecord | None) -> bool:
    """Whether a stage without gates was left because its time was over, by what is recorded."""
    match None if recorded is None else recorded.outcome:
        case Advanced(timeout=timeout):
            return timeout
        case Failed():
            return True
        case _:
            return False


def _difference(recorded: DecisionRecord, made: DecisionRecord) -> str:
    """What of a decision does not follow, without a word of its content."""
    names = [str(type(each.outcome).__struct_config__.tag) for each in (recorded, made)]
    if names[0] != names[1]:
        return f"the decision is recorded as {names[0]}, and {names[1]} follows"
    wrong = [name for name in made.__struct_fields__ if getattr(recorded, name) != getattr(made, name)]
    return f"of the decision does not follow: {', '.join(wrong)}"
