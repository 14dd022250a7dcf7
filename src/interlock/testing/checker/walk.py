"""One pass over the log of a run: attempts, and how the run begins and ends.

What it does: keeps what the rules need and raises `InvariantBroken` at an event that cannot stand where it stands.
What it does not do: waits, orders and children are those of `outside`, which this builds on.

Rule: `step` is called with every event in order; `boundary` wherever an append ends, if that is known.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from interlock.engine import events as e
from interlock.engine.attachments import is_attachment
from interlock.engine.config import RetryPolicy
from interlock.testing.checker.outside import Outside
from interlock.testing.checker.state import Attempts

# How an attempt ended is not its own failure: these spend no retry budget.
_ENDINGS = ("run_cancelled", "run_timed_out")
_CLOSURES = ("orphan_attempt_recovered", "side_effect_outcome_unknown", *_ENDINGS)
_WITHIN_ATTEMPT = (e.DomainEmitted, e.ArtifactWritten, e.EffectIntended, e.EffectSettled)


class Walk(Outside):
    """A walk over one log. Every method named after an event raises `InvariantBroken` if it cannot stand there."""

    def step(self, record: Struct) -> None:
        """Take one event. Raises: `InvariantBroken`."""
        if self.ended is not None:
            raise self.broken("I3", "an event follows RunCompleted")
        if (self.initial is None) != isinstance(record, e.RunStarted):
            raise self.broken("I2", "RunStarted is the first event and no other")
        before, self.before = self.before, record
        if self.dangling is not None and not isinstance(record, self.dangling):
            raise self.broken("I4", f"{type(before).__name__} has not its other half behind it")
        self.dangling = None
        match record:
            case e.RunStarted():
                self.initial = self.checkpoint = record.initial_snapshot_id
                self.boundaries.add(self.checkpoint)
            case e.RunLimits():
                self.concurrency, self.deadline_ms = record.max_concurrency, record.deadline_ms
            case e.StateEntered():
                self.entered(record)
            case e.StateCompleted():
                self.completed(record)
            case e.StateFailed():
                self.failed(record)
            case e.RunCompleted():
                self.run_completed(record)
            case e.FactRecorded():
                self.bound(record, before)
            case e.RetryScheduled():
                self.scheduled(record)
            case e.BranchCompleted():
                self.branch(record)
            case _ if not self.told(record):
                self.within(record)

    def boundary(self) -> None:
        """An append ends here: nothing may be half said. Raises: `InvariantBroken`."""
        if self.dangling is not None:
            raise self.broken("I4", f"an append ends with half of what {type(self.before).__name__} begins")
        if self.orders.ending is not None and not self.open and self.ended is None:
            raise self.broken("K7", "the run is to end, nothing is open, and the append does not end it")

    def scheduled(self, record: e.RetryScheduled) -> None:
        """A retry is set for later."""
        state = self.states.get(record.state_id)
        if state is None or state.error is None or record.state_id in self.open:
            raise self.broken("I4", f"a retry of {record.state_id} is scheduled without a failure before it")
        state.due_ms = record.due_ms

    def within(self, record: Struct) -> None:
        """An event that belongs to an attempt."""
        if not isinstance(record, _WITHIN_ATTEMPT) or (isinstance(record, e.ArtifactWritten) and is_attachment(record)):
            return
        state_id = getattr(record, "state_id", None)
        if not self.open:
            raise self.broken("I4", f"{type(record).__name__} stands outside of an attempt")
        if state_id not in self.open and (state_id is not None or self.concurrency > 1 > len(self.open)):
            raise self.broken("I4", f"{type(record).__name__} is of a state that is not open")
        if isinstance(record, e.EffectIntended) and record.fact_key in self.facts:
            raise self.broken("I12", "an effect is intended although its outcome is recorded")

    def entered(self, record: e.StateEntered) -> None:
        """An attempt begins."""
        state_id = record.state_id
        if state_id in self.open or (self.open and self.concurrency == 1):
            raise self.broken("I4", f"{state_id} is entered while {', '.join(sorted(self.open))} is open")
        if len(self.open) >= self.concurrency:
            raise self.broken("B1", f"{state_id} is entered although {len(self.open)} states are open")
        if state_id in self.parked or (self.parked and self.concurrency == 1):
            raise self.broken("I4", f"{state_id} is entered while it is parked")
        self.check_orders(state_id)
        if record.base_snapshot_id in self.diagnostic - self.boundaries:
            raise self.broken("I7", "an attempt starts from a diagnostic snapshot")
        known = self.states.get(state_id)
        if record.attempt != (0 if known is None else known.entered):
            raise self.broken("I4", f"attempt {record.attempt} of {state_id} is out of turn")
        if known is None:
            self.first(record)
        else:
            self.again(record, known)
        self.open.add(state_id)

    def first(self, record: e.StateEntered) -> None:
        """The first attempt at a state."""
        if self.concurrency == 1:
            if record.base_snapshot_id != self.checkpoint:
                rule = "I6" if any(each.completed for each in self.states.values()) else "I5"
                raise self.broken(rule, "a first attempt does not start from the checkpoint")
            unfinished = [each for each, state in self.states.items() if not state.completed]
            if unfinished:
                raise self.broken("I4", f"{record.state_id} is entered before {unfinished[0]} has completed")
        if self.plan is not None:
            if record.state_id not in self.plan.index:
                raise self.broken("I9", f"{record.state_id} is no state of the plan")
            for edge in self.plan.edges:
                before = self.states.get(edge.before)
                if edge.after == record.state_id and (before is None or not before.completed):
                    raise self.broken("I9", f"{edge.after} is entered before {edge.before} has completed")
        self.states[record.state_id] = Attempts(record.base_snapshot_id)
        self.boundaries.add(record.base_snapshot_id)

    def again(self, record: e.StateEntered, known: Attempts) -> None:
        """Another attempt at a state."""
        state_id = record.state_id
        if known.completed:
            raise self.broken("I10", f"{state_id} is entered again after it has completed")
        if record.base_snapshot_id != known.base:
            raise self.broken("I5", "a retry starts from another base than the attempt before it")
        if known.waits is not None:
            self.check_awake(state_id, known)
        elif state_id not in self.orders.skips:
            self.check_retry(state_id, known)
        known.entered, known.due_ms, known.waits = known.entered + 1, 0, None

    def check_retry(self, state_id: str, known: Attempts) -> None:
        """Whether a state that failed may be tried again."""
        if known.error is None or not known.error.error.info.retryable:
            raise self.broken("I11", f"{state_id} is entered again after a failure that forbids it")
        counted = known.error.error.info.code not in _CLOSURES
        if counted and known.failures >= self.policy_of(state_id).max_attempts:
            raise self.broken("I11", f"{state_id} is entered after its attempts are used up")
        if self.at_ms < known.due_ms:
            raise self.broken("P9", f"{state_id} is entered {known.due_ms - self.at_ms} ms too early")

    def policy_of(self, state_id: str) -> RetryPolicy:
        """The retry policy of a state: as edited, else its own, else the run's."""
        edited = self.orders.edits.get(state_id)
        if edited is not None:
            return msgspec.json.decode(edited, type=RetryPolicy)
        own = None if self.plan is None else self.plan.states[self.plan.index[state_id]].retry
        return own or self.policy

    def branch(self, record: e.BranchCompleted) -> None:
        """What a state wrote is joined."""
        if self.concurrency == 1:
            raise self.broken("B3", "a sequential run has no branches")
        if record.state_id not in self.open:
            raise self.broken("I4", f"a branch ends at {record.state_id}, which is not open")
        self.branches.add(record.state_id)

    def completed(self, record: e.StateCompleted) -> None:
        """An attempt has succeeded."""
        state = self.closing(record.state_id)
        if self.concurrency > 1 and record.state_id not in self.branches:
            raise self.broken("B3", f"{record.state_id} completes without its branch")
        state.completed, state.error = True, None
        self.checkpoint = record.context_snapshot_id
        self.boundaries.add(self.checkpoint)

    def failed(self, record: e.StateFailed) -> None:
        """An attempt has failed, or was closed."""
        state, code = self.closing(record.state_id), record.error.info.code
        state.error = record
        state.failures += code not in _CLOSURES
        if state.failures > self.policy_of(record.state_id).max_attempts:
            raise self.broken("I11", f"{record.state_id} fails more often than its policy allows")
        if record.failure_snapshot_id is not None:
            self.diagnostic.add(record.failure_snapshot_id)
        if code in _ENDINGS:
            self.closed_for.add(code)

    def run_completed(self, record: e.RunCompleted) -> None:
        """The run ends."""
        if self.open:
            raise self.broken("I3", f"the run ends while {min(self.open)} is open")
        if record.final_snapshot_id in self.diagnostic - self.boundaries:
            raise self.broken("I7", "the run ends with a diagnostic snapshot")
        if record.final_snapshot_id != self.checkpoint:
            raise self.broken("I16", "the final snapshot is not that of the last completed state")
        wanted = set(self.states if self.plan is None else self.plan.index)
        done = {state_id for state_id, state in self.states.items() if state.completed}
        if record.status is e.RunStatus.COMPLETED and done != wanted:
            raise self.broken("I10", f"the run is completed without {', '.join(sorted(wanted - done))}")
        self.check_status(record.status)
        if self.timers:
            raise self.broken("W3", f"the run ends with {len(self.timers)} timers")
        self.ended = record

    def check_status(self, status: e.RunStatus) -> None:
        """Whether the run may end in this way."""
        if (status is e.RunStatus.CANCELLED) != (self.orders.ending is e.RunStatus.CANCELLED):
            raise self.broken("K7", f"the run ends as {status.value}, which is not what it was told")
        told = self.orders.ending is not None or self.orders.abandoned
        if status is e.RunStatus.FAILED and not told and not any(map(self.failed_for_good, self.states)):
            raise self.broken("I10", "the run fails, but no state of it has failed for good")

    def failed_for_good(self, state_id: str) -> bool:
        """Whether a state has failed and may not be tried again."""
        state = self.states[state_id]
        if state.completed or state.error is None:
            return False
        info = state.error.error.info
        spent = info.code not in _CLOSURES and state.failures >= self.policy_of(state_id).max_attempts
        return not info.retryable or spent
