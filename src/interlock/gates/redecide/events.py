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

from interlock.gates.control import events as e
from interlock.gates.control.advance import timer_of
from interlock.gates.control.calls import given_digest, kept
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
        self._rules_id = ""
        self._triggers: list[int] = []
        self._decisions: list[int] = []
        self._submissions: list[int] = []
        self._calls = 0
        self._asks_now = False
        """Whether evidence may have been asked for here."""
        self._ends = [0, *accumulate(len(standing.events) for standing in again.standings)]
        self._consumed = 0
        started = bool(again.standings) and isinstance(again.standings[0].answer.decision.outcome, Started)
        self._accounted = [int(started), 0]
        """How many decisions and submissions the calls so far, and the start, have made."""

    def findings(self, events: Sequence[Struct | None]) -> Iterator[Finding]:
        """What does not follow."""
        for place, event in enumerate(events):
            wrong = self._wrong(place, event)
            self._asks_now = isinstance(event, e.Triggered | e.EvidenceAsked)
            if wrong is not None:
                yield Finding(Kind.SEQUENCE, f"events/{place}", wrong)

    def _wrong(self, place: int, event: Struct | None) -> str | None:
        """What is wrong with an event."""
        if place == 0 or isinstance(event, e.ScenarioRunStarted):
            return self._start(place, event)
        if isinstance(event, _OF_A_DECISION):
            return self._of_a_decision(place, event)
        match event:
            case e.RulesApplied(rules_id=rules_id):
                known, self._rules_id = self._rules_id, rules_id
                return "it names the rules that were in force already" if known == rules_id else None
            case e.EvidenceAsked():
                return None if self._asks_now else "it does not stand behind its trigger"
            case e.StageTimePassed():
                return None
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
        named = (event.document_id, event.stage_id) == (self._scenario.spec_hash.value, self._scenario.first.stage_id)
        timer_ms = timer_of(self._scenario.first, begun.started_at)
        timed = event.timer == (None if timer_ms is None else e.StageTimer(timer_ms))
        return None if sound and named and timed else "it is not the start of this run"

    def _of_a_decision(self, place: int, event: Struct) -> str | None:
        if isinstance(event, e.Triggered):
            self._triggers.append(place)
        elif isinstance(event, e.ScenarioDecided):
            self._decisions.append(place)
        self._consumed += 1
        return None if next(self._follows, None) == event else "it is not the event that follows"

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
        if (self._consumed, len(self._submissions)) != (self._ends[self._made()], self._accounted[1]):
            return "it does not stand behind what it made"
        return None if event.repeats == self._repeats(call.method, source) else "it names another event as given again"

    def _made(self) -> int:
        """How many decisions there are here: those of calls, and those that stages have made by themselves since."""
        made, standings = self._accounted[0], self._again.standings
        while made < len(standings) and standings[made].alone and self._ends[made + 1] <= self._consumed:
            made += 1
        return made

    def _repeats(self, method: str, source: tuple[str, int] | None) -> int | None:
        """The number of the event that a repeated call names, from 1."""
        if source is None or source[0] != "repeat":
            return None
        if method == "scenario.submit":
            return self._submissions[source[1]] + 1
        ended = self._again.standings[len(self._decisions) - 1].status != "active"
        return (self._decisions if ended else self._triggers)[source[1]] + 1
