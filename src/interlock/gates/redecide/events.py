"""Holds the events of a run against what follows from its records: every member that a fold or an index rests on.

What it does: makes the events of each decision, submission and call anew, and finds whether they stand where they
belong. What it does not do: it proves no chain and reads no artifact; whoever reads the stream does. It judges no log:
those are of the same events, and were found to follow before.

Rules: a run begins with its start; rules are named where they change; a call stands behind what it made, and a repeated
one names the event of what was given again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec import Struct

from interlock.base.events import Place
from interlock.gates.control import events as e
from interlock.gates.control.advance import timer_of
from interlock.gates.control.calls import given_digest, kept
from interlock.gates.control.evaluation import asked
from interlock.gates.control.fold import ScenarioRun, evolve
from interlock.gates.control.scenario import Scenario
from interlock.gates.records import RunConfig, Started
from interlock.gates.redecide.again import Redecided
from interlock.gates.redecide.logs import Finding, Kind, Logs
from interlock.gates.values import Timestamp, wire

_OF_A_DECISION = (e.Triggered, e.GateEvaluated, e.ScenarioDecided, e.PacketIssued)


class Begun(Struct, frozen=True):
    """What the first event of a run says, decoded."""

    config: RunConfig
    started_at: Timestamp


class EventsAgain:
    """The events of one run; a finding's place is `events/<number>`, from 0."""

    def __init__(self, scenario: Scenario, begun: Begun, logs: Logs, again: Redecided) -> None:
        self._scenario = scenario
        self._begun = begun
        self._logs = logs
        self._again = again
        self._follows = (event for standing in again.standings for event in standing.events)
        self._state = ScenarioRun("")
        self._evidence: list[str] = []
        """The conditions of the trigger before, of which no event has said yet when their evidence was observed."""
        self._triggers: list[int] = []
        self._decisions: list[int] = []
        self._submissions: list[int] = []
        self._calls = 0
        self._ends = [0, *accumulate(len(standing.events) for standing in again.standings)]
        self._consumed = 0
        started = bool(again.standings) and isinstance(again.standings[0].answer.decision.outcome, Started)
        self._accounted = [int(started), 0]
        """How many decisions and submissions the calls so far, and the start, have made."""

    def findings(self, events: Sequence[Struct | None]) -> Iterator[Finding]:
        """What does not follow."""
        for place, event in enumerate(events):
            wrong = self._wrong(place, event)
            if wrong is not None:
                yield Finding(Kind.SEQUENCE, f"events/{place}", wrong)
            if event is not None:
                self._state = evolve(self._state, event, Place("", place + 1, 0, "", None))

    def _wrong(self, place: int, event: Struct | None) -> str | None:
        """What is wrong with an event."""
        if place == 0 or isinstance(event, e.ScenarioRunStarted):
            return self._start(place, event)
        if isinstance(event, _OF_A_DECISION):
            return self._of_a_decision(place, event)
        match event:
            case e.RulesApplied(rules_id=rules_id):
                return "it names the rules that were in force already" if self._state.rules_id == rules_id else None
            case e.EvidenceAsked():
                return self._asked(event)
            case e.StageTimePassed(at_ms=at_ms, code=code):
                due = self._state.status == "active" and self._state.timer_ms == at_ms
                return None if due and code is not None else "the timer of the stage was not the one that fired"
            case e.GatesClosed():
                return self._closed(event)
            case e.Submitted():
                return self._submitted(place, event)
            case e.ToolCalled():
                return self._called(event)
            case _:
                return "no run of a scenario has such an event"

    def _start(self, place: int, event: Struct | None) -> str | None:
        if place or not isinstance(event, e.ScenarioRunStarted):
            return "a run has one start, which comes first"
        begun = self._begun
        sound = (bytes(event.config), bytes(event.started_at)) == (wire(begun.config), wire(begun.started_at))
        first = self._scenario.first
        due_ms = timer_of(first, begun.started_at)
        timer = None if due_ms is None else e.StageTimer(due_ms)
        follows = (self._scenario.spec_hash.value, first.stage_id, timer)
        named = (event.document_id, event.stage_id, event.timer) == follows
        return None if sound and named else "it is not the start of this run"

    def _of_a_decision(self, place: int, event: Struct) -> str | None:
        if isinstance(event, e.Triggered):
            self._triggers.append(place)
            self._triggered(len(self._triggers) - 1)
        else:
            self._evidence = []
        if isinstance(event, e.ScenarioDecided):
            self._decisions.append(place)
        self._consumed += 1
        return None if next(self._follows, None) == event else "it is not the event that follows"

    def _triggered(self, number: int) -> None:
        """Learn what may be said of the evidence of a trigger, and that nobody calls for a stage's own tick."""
        standing = self._again.standings[number]
        if any(isinstance(each, e.GateEvaluated) for each in standing.events):
            stage = self._scenario.stage(standing.answer.decision.stage_id)
            self._evidence = [each.condition_id for each in asked(self._scenario, stage)]
        if standing.by_itself:
            self._accounted[0] = number + 1

    def _asked(self, event: e.EvidenceAsked) -> str | None:
        """Each condition at most once, in the order in which they are asked, and with something to say."""
        if event.condition_id not in self._evidence or not (event.calls or event.observed_ms is not None):
            return "nobody asked for that evidence, at this place"
        self._evidence = self._evidence[self._evidence.index(event.condition_id) + 1 :]
        in_order = sorted(event.calls, key=lambda each: (each.namespace, each.request_digest))
        return None if in_order == list(event.calls) else "its calls are not in their order"

    def _closed(self, event: e.GatesClosed) -> str | None:
        """Gates close when their evidence is too old, each once."""
        until = self._state.until.get(event.stage_id)
        follows = e.gates_closed(event.stage_id, until) if until else None
        return None if event == follows else "those gates did not close"

    def _submitted(self, place: int, event: e.Submitted) -> str | None:
        number = len(self._submissions)
        self._submissions.append(place)
        record = self._logs.submissions[number]
        keeping = kept(record)
        follows = e.Submitted(given_digest(record), keeping.record, keeping.record_id, record.submission_id)
        return None if event == follows else "it is not the event of what was handed in"

    def _called(self, event: e.ToolCalled) -> str | None:
        number = self._calls
        self._calls += 1
        call, source = self._logs.tool_calls[number], self._again.sources[number]
        if bytes(event.record) != wire(call):
            return "it is not the event of its call"
        if source is not None and source[0] != "repeat":
            self._accounted[source[0] == "submission"] = source[1] + 1
        if (self._consumed, len(self._submissions)) != (self._ends[self._accounted[0]], self._accounted[1]):
            return "it does not stand behind what it made"
        return None if event.repeats == self._repeats(call.method, source) else "it names another event as given again"

    def _repeats(self, method: str, source: tuple[str, int] | None) -> int | None:
        """The number of the event that a repeated call names, from 1."""
        if source is None or source[0] != "repeat":
            return None
        if method == "scenario.submit":
            return self._submissions[source[1]] + 1
        ended = self._again.standings[len(self._decisions) - 1].status != "active"
        return (self._decisions if ended else self._triggers)[source[1]] + 1
