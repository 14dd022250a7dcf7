"""What reaches a run from outside, as its log tells it: waits, orders, effects in doubt and children.

What it does: the half of the walk that is about everything but attempts. What it does not do: it enters and closes no
attempt (`walk`).
"""

from __future__ import annotations

from msgspec import Struct

from interlock.engine import events as e
from interlock.engine.config import RetryPolicy
from interlock.engine.plan import ExecutionPlan
from interlock.testing.checker.bounds import Bounds
from interlock.testing.checker.broken import InvariantBroken
from interlock.testing.checker.state import Attempts, Causes, Orders


class Outside:
    """What a walk knows, and its rules about waits, orders and children."""

    def __init__(self, plan: ExecutionPlan | None, policy: RetryPolicy) -> None:
        self.plan = plan
        self.policy = policy
        self.seq = 0
        self.at_ms = 0
        self.initial: str | None = None
        self.checkpoint = ""
        self.concurrency = 1
        self.deadline_ms: int | None = None
        self.open: set[str] = set()
        self.parked: set[str] = set()
        self.states: dict[str, Attempts] = {}
        self.facts: dict[str, str] = {}
        self.diagnostic: set[str] = set()
        self.boundaries: set[str] = set()
        self.branches: set[str] = set()
        self.timers: set[str] = set()
        self.children: dict[str, e.RunStatus | None] = {}
        self.child_waits: dict[str, tuple[str, str]] = {}
        self.orders = Orders()
        self.bounds = Bounds()
        self.causes = Causes()
        self.closed_for: set[str] = set()
        self.ended: e.RunCompleted | None = None
        self.before: Struct | None = None
        self.dangling: type[Struct] | None = None

    def broken(self, invariant: str, why: str) -> InvariantBroken:
        """The error of the event that the walk is at."""
        return InvariantBroken(invariant, self.seq, why)

    def closing(self, state_id: str) -> Attempts:
        """The state whose attempt ends here."""
        if state_id not in self.open:
            raise self.broken("I4", f"an attempt at {state_id} ends, but it has none that is open")
        self.open.remove(state_id)
        return self.states[state_id]

    def told(self, record: Struct) -> bool:
        """Take an event that is about the outside; False for any other."""
        why = self.bounds.fault(record, self.seq, self.states)
        if why is not None:
            raise self.broken("L1", why)
        match record:
            case e.StateSuspended():
                self.suspended(record)
            case e.SignalReceived():
                if record.code is None:
                    self.causes.answers.add((record.state_id, record.name, record.payload_id))
                else:
                    self.causes.answers.discard((record.state_id, record.name, record.payload_id))
            case e.WaitExpired():
                self.expired(record)
            case e.TimersCleared():
                self.timers.difference_update(record.timer_ids)
            case e.RunParked():
                self.park(record)
            case e.EffectResolved():
                self.resolved(record)
            case e.ChildRunSpawned() | e.ChildRunCompleted():
                self.child(record)
            case e.InboxTaken():
                if record.inbox_seq <= self.orders.inbox_seq:
                    raise self.broken("W4", "the inbox is taken backwards")
                self.orders.inbox_seq = record.inbox_seq
            case _:
                return self.ordered(record)
        return True

    def ordered(self, record: Struct) -> bool:
        """Take an order; False for any other event."""
        orders = self.orders
        match record:
            case e.RunPaused() | e.RunUnpaused():
                orders.paused = isinstance(record, e.RunPaused)
            case e.RunCancelling():
                orders.ending = e.RunStatus.CANCELLED
            case e.RunTimedOut():
                if record.deadline_ms != self.deadline_ms or self.at_ms < record.deadline_ms:
                    raise self.broken("O2", "the run times out before its deadline")
                orders.ending = orders.ending or e.RunStatus.FAILED
            case e.StepSkipped():
                if record.state_id in self.states and self.states[record.state_id].completed:
                    raise self.broken("I10", f"{record.state_id} is to be skipped after it has completed")
                orders.skips.add(record.state_id)
            case e.StepRetried():
                self.states[record.state_id].due_ms = 0
                if record.reset:
                    self.states[record.state_id].failures = 0
            case e.StepEdited():
                if bytes(record.retry) != b"null":
                    orders.edits[record.state_id] = bytes(record.retry)
            case _:
                return False
        return True

    def check_orders(self, state_id: str) -> None:
        """Whether anything may be entered at all."""
        if self.orders.paused:
            raise self.broken("O1", f"{state_id} is entered while the run is paused")
        if self.orders.ending is not None or self.closed_for or self.orders.abandoned:
            raise self.broken("O2", f"{state_id} is entered although the run is to end")

    def suspended(self, record: e.StateSuspended) -> None:
        """An attempt ends to wait."""
        state = self.closing(record.state_id)
        if not record.waits:
            raise self.broken("W1", f"{record.state_id} waits for nothing")
        names = tuple(wait.name for wait in record.waits)
        state.waits, state.error = names, None
        for wait in record.waits:
            if wait.due_ms is not None and not wait.waited:
                self.timers.add(wait.token)

    def check_awake(self, state_id: str, known: Attempts) -> None:
        """Whether a state that waits may be entered again."""
        arrived = any(f"wait:{state_id}:{name}" in self.facts for name in known.waits or ())
        if not arrived and state_id not in self.orders.skips:
            raise self.broken("W1", f"{state_id} is entered again, but nothing that it waits for has come")

    def expired(self, record: e.WaitExpired) -> None:
        """The deadline of a wait has passed."""
        if record.token not in self.timers:
            raise self.broken("W2", f"the wait {record.name} expires without a timer")
        self.timers.discard(record.token)
        self.causes.ended.add((record.state_id, record.name))
        self.dangling = e.FactRecorded

    def park(self, record: e.RunParked) -> None:
        """A state waits for an operator."""
        if record.state_id in self.open or record.state_id in self.parked:
            raise self.broken("I4", f"{record.state_id} is parked within an attempt, or twice")
        self.parked.add(record.state_id)

    def resolved(self, record: e.EffectResolved) -> None:
        """An operator has decided."""
        if record.state_id not in self.parked:
            raise self.broken("I4", f"{record.state_id} is decided, but it is not parked")
        self.parked.remove(record.state_id)
        self.orders.abandoned |= record.action is e.Resolution.ABANDON
        if record.action is e.Resolution.ADOPT:
            self.dangling = e.FactRecorded

    def child(self, record: e.ChildRunSpawned | e.ChildRunCompleted) -> None:
        """A child is linked, or has ended."""
        run_id = record.child_run_id
        if isinstance(record, e.ChildRunSpawned):
            if run_id in self.children or not isinstance(self.before_spawn, e.FactRecorded):
                raise self.broken("H2", f"the child {run_id} is linked twice, or without its fact")
            self.children[run_id] = None
            self.child_waits[run_id] = (record.state_id, record.name)
            return
        if run_id not in self.children or self.children[run_id] is not None:
            raise self.broken("H4", f"the child {run_id} ends twice, or was never started")
        self.children[run_id] = record.status
        self.causes.ended.add(self.child_waits[run_id])

    before_spawn: Struct | None = None

    def bound(self, record: e.FactRecorded, before: Struct | None) -> None:
        """A fact is bound: within an attempt, or as the end of something that is on record."""
        if record.key in self.facts:
            raise self.broken("I12", f"the fact {record.key} is bound a second time")
        if record.key.startswith("wait:"):
            _, state_id, name = record.key.split(":", 2)
            if not self.causes.allow(state_id, name, record.payload_id):
                raise self.broken("W2", f"the wait {name} of {state_id} ends without a cause")
        elif not self.open and not isinstance(before, e.EffectResolved):
            raise self.broken("I4", f"the fact {record.key} is bound outside of an attempt")
        if record.key.startswith("child:"):
            self.dangling, self.before_spawn = e.ChildRunSpawned, record
        self.facts[record.key] = record.payload_id
