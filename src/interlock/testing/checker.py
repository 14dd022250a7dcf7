"""Checks the log of a run against the invariants of the run engine, independently of the engine's own fold.

What it does: walks recorded events with plain loops and raises `InvariantBroken` at the first one that no correct
engine could have written. What it does not do: it shares no code with `engine.fold` and `engine.decide`, it mends
nothing, and it does not verify digests of events (reading them through the journal does).

Rules: `check_run` is about one log, what must be true of it alone or beside its plan, an earlier state of itself and
the answer that its owner gave; `check_artifacts` is about what it names; `check_absent` about what no byte may hold.
Names are those of docs/coverage/run-engine.md: I1 to I16, and P9 for a retry before its time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from interlock.base.canonical import canonical, digest, parse
from interlock.base.errors import InterlockError
from interlock.engine import events as e
from interlock.engine.config import RetryPolicy
from interlock.engine.plan import ExecutionPlan
from interlock.engine.reports import RunResult
from interlock.journal.chain import Recorded
from interlock.journal.ports import Artifacts

# How an attempt ended is not its own failure: these spend no retry budget.
_CLOSURES = ("orphan_attempt_recovered", "side_effect_outcome_unknown")
_WITHIN_ATTEMPT = (e.DomainEmitted, e.ArtifactWritten, e.EffectIntended, e.EffectSettled)


class InvariantBroken(AssertionError):
    """A log that no correct engine could have written: `invariant` names the rule, `seq` the event (0: the whole)."""

    def __init__(self, invariant: str, seq: int, why: str) -> None:
        super().__init__(f"{invariant} is broken at event {seq}: {why}")
        self.invariant = invariant
        self.seq = seq


class _Attempts:
    """What the walk knows of one state."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.entered = 1
        self.failures = 0
        self.completed = False
        self.error: e.StateFailed | None = None
        self.due_ms = 0


class _Walk:
    """One pass over a log. Every method named after an event raises `InvariantBroken` if it cannot stand there."""

    def __init__(self, plan: ExecutionPlan | None, policy: RetryPolicy) -> None:
        self.plan = plan
        self.policy = policy
        self.seq = 0
        self.at_ms = 0
        self.initial: str | None = None
        self.checkpoint = ""
        self.open: str | None = None
        self.parked = False
        self.states: dict[str, _Attempts] = {}
        self.facts: dict[str, str] = {}
        self.adopting: str | None = None
        self.diagnostic: set[str] = set()
        self.boundaries: set[str] = set()
        self.ended: e.RunCompleted | None = None

    def broken(self, invariant: str, why: str) -> InvariantBroken:
        return InvariantBroken(invariant, self.seq, why)

    def step(self, record: Struct) -> None:
        if self.ended is not None:
            raise self.broken("I3", "an event follows RunCompleted")
        if (self.initial is None) != isinstance(record, e.RunStarted):
            raise self.broken("I2", "RunStarted is the first event and no other")
        adopting, self.adopting = self.adopting, None
        match record:
            case e.RunStarted():
                self.initial = self.checkpoint = record.initial_snapshot_id
                self.boundaries.add(self.checkpoint)
            case e.StateEntered():
                self.entered(record)
            case e.StateCompleted():
                self.completed(record)
            case e.StateFailed():
                self.failed(record)
            case e.RunCompleted():
                self.run_completed(record)
            case e.FactRecorded():
                self.bound(record, adopting)
            case e.RetryScheduled():
                self.scheduled(record)
            case e.RunParked():
                self.parked = True
            case e.EffectResolved():
                self.parked = False
                self.adopting = record.fact_key if record.action is e.Resolution.ADOPT else None
            case _:
                self.within(record)

    def scheduled(self, record: e.RetryScheduled) -> None:
        state = self.states.get(record.state_id)
        if state is None or state.error is None or self.open is not None:
            raise self.broken("I4", f"a retry of {record.state_id} is scheduled without a failure before it")
        state.due_ms = record.due_ms

    def within(self, record: Struct) -> None:
        if isinstance(record, _WITHIN_ATTEMPT) and self.open is None:
            raise self.broken("I4", f"{type(record).__name__} stands outside of an attempt")
        if isinstance(record, e.EffectIntended) and record.state_id != self.open:
            raise self.broken("I4", "an effect is intended for a state that is not open")
        if isinstance(record, e.EffectIntended) and record.fact_key in self.facts:
            raise self.broken("I12", "an effect is intended although its outcome is recorded")

    def entered(self, record: e.StateEntered) -> None:
        if self.open is not None:
            raise self.broken("I4", f"{record.state_id} is entered while {self.open} is open")
        if self.parked:
            raise self.broken("I4", f"{record.state_id} is entered while the run is parked")
        if record.base_snapshot_id in self.diagnostic - self.boundaries:
            raise self.broken("I7", "an attempt starts from a diagnostic snapshot")
        known = self.states.get(record.state_id)
        if record.attempt != (0 if known is None else known.entered):
            raise self.broken("I4", f"attempt {record.attempt} of {record.state_id} is out of turn")
        if known is None:
            self.first(record)
        else:
            self.again(record, known)
        self.open = record.state_id

    def first(self, record: e.StateEntered) -> None:
        if record.base_snapshot_id != self.checkpoint:
            rule = "I6" if any(each.completed for each in self.states.values()) else "I5"
            raise self.broken(rule, "a first attempt does not start from the checkpoint")
        if self.plan is not None:
            if record.state_id not in self.plan.index:
                raise self.broken("I9", f"{record.state_id} is no state of the plan")
            for edge in self.plan.edges:
                before = self.states.get(edge.before)
                if edge.after == record.state_id and (before is None or not before.completed):
                    raise self.broken("I9", f"{edge.after} is entered before {edge.before} has completed")
        self.states[record.state_id] = _Attempts(record.base_snapshot_id)

    def again(self, record: e.StateEntered, known: _Attempts) -> None:
        if known.completed:
            raise self.broken("I10", f"{record.state_id} is entered again after it has completed")
        if record.base_snapshot_id != known.base:
            raise self.broken("I5", "a retry starts from another base than the attempt before it")
        if known.error is None or not known.error.error.info.retryable:
            raise self.broken("I11", f"{record.state_id} is entered again after a failure that forbids it")
        counted = known.error.error.info.code not in _CLOSURES
        if counted and known.failures >= self.policy_of(record.state_id).max_attempts:
            raise self.broken("I11", f"{record.state_id} is entered after its attempts are used up")
        if self.at_ms < known.due_ms:
            raise self.broken("P9", f"{record.state_id} is entered {known.due_ms - self.at_ms} ms too early")
        known.entered, known.due_ms = known.entered + 1, 0

    def policy_of(self, state_id: str) -> RetryPolicy:
        own = None if self.plan is None else self.plan.states[self.plan.index[state_id]].retry
        return own or self.policy

    def closing(self, state_id: str) -> _Attempts:
        if self.open != state_id:
            raise self.broken("I4", f"an attempt at {state_id} ends, but {self.open or 'none'} is open")
        self.open = None
        return self.states[state_id]

    def completed(self, record: e.StateCompleted) -> None:
        self.closing(record.state_id).completed = True
        self.checkpoint = record.context_snapshot_id
        self.boundaries.add(self.checkpoint)

    def failed(self, record: e.StateFailed) -> None:
        state = self.closing(record.state_id)
        state.error = record
        state.failures += record.error.info.code not in _CLOSURES
        if state.failures > self.policy_of(record.state_id).max_attempts:
            raise self.broken("I11", f"{record.state_id} fails more often than its policy allows")
        if record.failure_snapshot_id is not None:
            self.diagnostic.add(record.failure_snapshot_id)

    def run_completed(self, record: e.RunCompleted) -> None:
        if self.open is not None:
            raise self.broken("I3", f"the run ends while {self.open} is open")
        if record.final_snapshot_id in self.diagnostic - self.boundaries:
            raise self.broken("I7", "the run ends with a diagnostic snapshot")
        if record.final_snapshot_id != self.checkpoint:
            raise self.broken("I16", "the final snapshot is not that of the last completed state")
        wanted = set(self.states if self.plan is None else self.plan.index)
        done = {state_id for state_id, state in self.states.items() if state.completed}
        if record.status is e.RunStatus.COMPLETED and done != wanted:
            raise self.broken("I10", f"the run is completed without {', '.join(sorted(wanted - done))}")
        self.ended = record

    def bound(self, record: e.FactRecorded, adopting: str | None) -> None:
        if record.key in self.facts:
            raise self.broken("I12", f"the fact {record.key} is bound a second time")
        if self.open is None and record.key != adopting:
            raise self.broken("I4", f"the fact {record.key} is bound outside of an attempt")
        self.facts[record.key] = record.payload_id


def check_run(
    events: Sequence[Recorded],
    *,
    plan: ExecutionPlan | None = None,
    policy: RetryPolicy | None = None,
    earlier: Sequence[Recorded] = (),
    result: RunResult | None = None,
) -> None:
    """Check the whole log of one run, in order, as the journal gave it out.

    `plan` adds I9 and the plan's half of I10; `policy` is the run's own (states with another have it in the plan);
    `earlier` is the log as it was read before (I14); `result` is what its owner returned last (I15).
    Raises: `InvariantBroken`.
    """
    walk = _Walk(plan, policy or RetryPolicy())
    for place, event in enumerate(events, 1):
        envelope, record = event.envelope, event.record
        walk.seq = place
        if envelope.seq != place or envelope.stream != events[0].envelope.stream:
            raise walk.broken("I1", f"event {envelope.seq} of {envelope.stream} stands at {place}")
        if record is None:
            raise walk.broken("I1", "it has no data")
        walk.at_ms = envelope.at_ms
        walk.step(record)
    if [event.digest for event in events[: len(earlier)]] != [event.digest for event in earlier]:
        raise InvariantBroken("I14", _first_difference(events, earlier), "the log is not a continuation of itself")
    if result is not None:
        _check_result(walk, result)


def _first_difference(events: Sequence[Recorded], earlier: Sequence[Recorded]) -> int:
    pairs = zip(events, earlier, strict=False)
    return next((new.envelope.seq for new, old in pairs if new.digest != old.digest), len(events) + 1)


def _check_result(walk: _Walk, result: RunResult) -> None:
    """I15: the answer says what the log says."""
    if walk.ended is None:
        told = ("running", walk.checkpoint)
    else:
        told = (walk.ended.status.value, walk.ended.final_snapshot_id or "")
    if (result.phase, result.final_snapshot_id or "") != told:
        raise InvariantBroken(
            "I15", walk.seq, f"the result says {result.phase}, the log {told[0]}, or of another snapshot"
        )
    parked = result.waiting is not None and result.waiting.kind == "parked"
    if parked != walk.parked:
        raise InvariantBroken("I15", walk.seq, "result and log differ on whether the run is parked")


def snapshots_of(record: Struct | None) -> list[str | None]:
    """The context snapshots that an event names."""
    match record:
        case e.RunStarted(initial, _):
            return [initial]
        case e.StateEntered(_, base):
            return [base]
        case e.StateCompleted(context):
            return [context]
        case e.StateFailed(_, diagnostic):
            return [diagnostic]
        case e.RunCompleted(final):
            return [final]
        case _:
            return []


async def check_artifacts(events: Iterable[Recorded], artifacts: Artifacts) -> None:
    """I8: each artifact that the events name exists, hashes to its id, and is canonical where it is structured.

    Of a snapshot that holds for the whole tree below its root. Raises: `InvariantBroken`.
    """
    kept = _Kept(artifacts)
    for event in events:
        seq = event.envelope.seq
        for snapshot in snapshots_of(event.record):
            if snapshot is not None:
                await kept.check_tree(seq, snapshot)
        match event.record:
            case e.RunStarted(_, manifest):
                await kept.check(seq, manifest, structured=True)
            case e.FactRecorded(_, kind, payload):
                await kept.check(seq, payload, structured=kind == "json")
            case e.ArtifactWritten(artifact) | e.DomainEmitted(_, _, str(artifact)):
                await kept.check(seq, artifact, structured=False)
            case _:
                pass


class _Kept:
    """Artifacts as they are stored, each checked once."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._checked: set[tuple[str, bool]] = set()
        self._trees: set[str] = set()

    async def check(self, seq: int, artifact: str, *, structured: bool) -> bytes | None:
        """The bytes of an artifact, or None if it was checked before."""
        if (artifact, structured) in self._checked:
            return None
        self._checked.add((artifact, structured))
        try:
            [content] = await self._artifacts.get([artifact])
        except InterlockError as fault:
            raise InvariantBroken("I8", seq, f"the artifact {artifact} cannot be had ({fault.code})") from fault
        if digest(content) != artifact:
            raise InvariantBroken("I8", seq, f"the artifact {artifact} holds other bytes")
        if structured and canonical(parse(content)) != content:
            raise InvariantBroken("I8", seq, f"the artifact {artifact} is not canonical")
        return content

    async def check_tree(self, seq: int, root: str) -> None:
        """A snapshot: the node `root`, the nodes below it (tag `n`) and the large values that leaves name (`a`)."""
        content = await self.check(seq, root, structured=True)
        members = {} if content is None else parse(content)
        if not isinstance(members, dict):
            raise InvariantBroken("I8", seq, f"the snapshot {root} is not a node of a map")
        for member in members.values():
            match member:
                case ["n", str(node)]:
                    await self.check_tree(seq, node)
                case ["a", str(large)]:
                    await self.check(seq, large, structured=True)
                case _:
                    pass


def check_absent(canaries: Iterable[bytes], places: Iterable[tuple[str, bytes]]) -> None:
    """I13: none of `canaries` stands anywhere in `places`, which are pairs of a name and bytes.

    Raises: `InvariantBroken`, naming the place and never the canary.
    """
    sought = tuple(canaries)
    for name, content in places:
        for number, canary in enumerate(sought):
            if canary in content:
                raise InvariantBroken("I13", 0, f"canary {number} stands in {name}")
