"""Holds the record of calls against what the run came to: who asked, and what was answered, by digests.

What it does: makes the digest of each request and answer that follows from the other logs, and finds the order in which
calls, decisions and submissions came. What it does not do: it decides nothing; `decisions` said what each decision is.

Rules (seed 000): every trigger and every submission was made by one call, in order, but for the trigger of the start
and those of stages that end by themselves; a repeated call is answered with what there is; the request of a repeated or
refused call may be any, which is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from interlock.gates.records import (
    Held,
    NextRequest,
    RunStatus,
    ScenarioStatus,
    Started,
    StatusRequest,
    SubmitRequest,
    Submitted,
    ToolCallError,
    ToolCallRecord,
    TriggerEvent,
    TriggerResult,
)
from interlock.gates.redecide.decisions import Standing
from interlock.gates.redecide.logs import Kind, Logs, Notes, Open
from interlock.gates.values import hash_of, wire

FIRES = ("scenario.trigger", "scenario.next")
_ERRORS = {"provider_missing": FIRES, "submission_conflict": ("scenario.submit",)}


class CallsAgain:
    """The calls of one run. `sources` says of each what it was: the number of a decision or submission, or None."""

    def __init__(
        self, scenario_id: str, stage_id: str, logs: Logs, standings: Sequence[Standing], notes: Notes
    ) -> None:
        self._scenario_id = scenario_id
        self._first_stage = stage_id
        self._logs = logs
        self._standings = standings
        self._notes = notes
        started = bool(standings) and isinstance(standings[0].answer.decision.outcome, Started)
        self._decisions = int(started)
        """How many decisions there were before the call that is looked at."""
        self._submissions = 0
        self._answers = {self._digest(each.answer): at for at, each in enumerate(standings[: self._decisions])}
        self._packet_ids = [each.envelope.packet_id for each in standings[0].answer.packets] if started else []
        self._kept: dict[str, int] = {}
        self.sources: list[tuple[str, int] | None] = []
        """For each call `("decision" | "submission", number)` that it made, `("repeat", number)`, or None."""

    def run(self) -> None:
        """Go through the calls."""
        for place, call in enumerate(self._logs.tool_calls):
            if call.call_id != f"call-{place + 1}":
                self._found(place, "its number is not that of its place")
            self.sources.append(self._call(place, call))
        while self._take_own_tick():
            pass
        if self._decisions < len(self._standings):
            self._found(len(self._logs.tool_calls), "a decision was made without a call")
        if self._submissions < len(self._logs.submissions):
            self._found(len(self._logs.tool_calls), "something was handed in without a call")

    def _call(self, place: int, call: ToolCallRecord) -> tuple[str, int] | None:
        if call.error is not None:
            self._failed(place, call.method, call.error)
        elif call.method in FIRES:
            return self._fired(place, call)
        elif call.method == "scenario.submit":
            return self._submitted(place, call)
        elif call.method == "scenario.status":
            self._status(place, call)
        else:
            self._found(place, "no call of a run has this method")
        return None

    def _failed(self, place: int, method: str, error: ToolCallError) -> None:
        if method not in _ERRORS.get(error.code, ()):
            self._found(place, "a call of this method is not recorded with this error")
        self._notes.left_open(Open.CALL_REQUESTS)

    def _fired(self, place: int, call: ToolCallRecord) -> tuple[str, int] | None:
        now = self._decisions
        while now < len(self._standings) and self._standings[now].by_itself:
            now += 1
        if now < len(self._standings) and call.request_hash == hash_of(wire(self._request(call.method, now))):
            while self._decisions < now:
                self._take()
            answer = self._take()
            self._same(place, call, answer, self._logs.triggers[now].event)
            return "decision", now
        return self._repeated(place, call)

    def _take(self) -> str:
        """Go on by one decision; return the digest of its answer."""
        now = self._decisions
        self._decisions += 1
        self._packet_ids += [each.envelope.packet_id for each in self._standings[now].answer.packets]
        answer = self._digest(self._standings[now].answer)
        self._answers[answer] = now
        return answer

    def _take_own_tick(self) -> bool:
        """Go on by a decision that nobody called for, if one is next."""
        if self._decisions < len(self._standings) and self._standings[self._decisions].by_itself:
            self._take()
            return True
        return False

    def _repeated(self, place: int, call: ToolCallRecord) -> tuple[str, int] | None:
        """A trigger that was decided before, or came after the end."""
        given = self._given(call)
        while given is None and self._take_own_tick():  # it may have come before this call
            given = self._given(call)
        if given is None:
            self._found(place, "its answer is no decision of the run as it stood")
            return None
        if call.request_hash != hash_of(wire(self._request(call.method, given))):
            self._notes.left_open(Open.CALL_REQUESTS)
        return "repeat", given

    def _given(self, call: ToolCallRecord) -> int | None:
        """The decision that a call was given again."""
        if self._status_now == "active":
            return self._answers.get(call.response_hash.value)
        last = self._decisions - 1
        return last if call.response_hash.value == self._digest(self._standings[last].answer) else None

    def _same(self, place: int, call: ToolCallRecord, answer: str, event: TriggerEvent) -> None:
        if call.response_hash.value != answer:
            self._found(place, "its answer is not the digest of the decision")
        if (call.called_at, call.correlation_id) != (event.time, event.correlation_id):
            self._found(place, "its time or correlation is not that of its trigger")

    def _request(self, method: str, number: int) -> Any:
        """What was asked for a decision."""
        event = self._logs.triggers[number].event
        if method == "scenario.trigger":
            return event
        return NextRequest(
            run_id=event.run_id,
            tenant_id=event.tenant_id,
            namespace_id=event.namespace_id,
            trigger_id=event.trigger_id,
            agent_id=event.source_id,
            time=event.time,
            correlation_id=event.correlation_id,
        )

    def _submitted(self, place: int, call: ToolCallRecord) -> tuple[str, int] | None:
        now = self._submissions
        if now < len(self._logs.submissions) and call.request_hash == hash_of(wire(self._handed_in(now))):
            record = self._logs.submissions[now]
            self._submissions += 1
            answer = self._digest(Submitted(record))
            self._kept[answer] = now
            if call.response_hash.value != answer:
                self._found(place, "its answer is not the digest of what was handed in")
            if (call.called_at, call.correlation_id) != (record.submitted_at, record.correlation_id):
                self._found(place, "its time or correlation is not that of what was handed in")
            return "submission", now
        found = self._kept.get(call.response_hash.value)
        if found is None:
            self._found(place, "its answer is nothing that was handed in before")
            return None
        if call.request_hash != hash_of(wire(self._handed_in(found))):
            self._notes.left_open(Open.CALL_REQUESTS)
        return "repeat", found

    def _handed_in(self, number: int) -> SubmitRequest:
        """What was asked for a submission."""
        record = self._logs.submissions[number]
        return SubmitRequest(
            run_id=record.run_id,
            tenant_id=self._logs.tenant_id,
            namespace_id=self._logs.namespace_id,
            submission_id=record.submission_id,
            payload=record.payload,
            content_type=record.content_type,
            submitted_at=record.submitted_at,
            correlation_id=record.correlation_id,
        )

    def _status(self, place: int, call: ToolCallRecord) -> None:
        logs = self._logs
        request = StatusRequest(logs.run_id, logs.tenant_id, logs.namespace_id, call.called_at, call.correlation_id)
        if call.request_hash != hash_of(wire(request)):
            self._found(place, "its request is not that of its time and run")
        while call.response_hash.value != self._digest(self._state_now()) and self._take_own_tick():
            pass
        if call.response_hash.value != self._digest(self._state_now()):
            self._found(place, "its answer is not how the run stood")

    def _state_now(self) -> ScenarioStatus:
        standing = self._standings[self._decisions - 1] if self._decisions else None
        decision = None if standing is None else standing.answer.decision
        return ScenarioStatus(
            run_id=self._logs.run_id,
            scenario_id=self._scenario_id,
            current_stage_id=self._first_stage if standing is None else standing.stage_id,
            status=self._status_now,
            last_decision=decision,
            issued_packet_ids=self._packet_ids,
            safe_summary=decision.outcome.summary if decision and isinstance(decision.outcome, Held) else None,
        )

    @property
    def _status_now(self) -> RunStatus:
        return self._standings[self._decisions - 1].status if self._decisions else "active"

    @staticmethod
    def _digest(answer: TriggerResult | Submitted | ScenarioStatus) -> str:
        return hash_of(wire(answer)).value

    def _found(self, place: int, message: str) -> None:
        self._notes.found(Kind.CALL, f"tool_calls/{place}", message)
