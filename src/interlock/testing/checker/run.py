"""The check of a whole log.

What it does: walks a log from its first event, and holds it against its earlier self (I14) and the answer of its owner
(I15). What it does not do: the rules of single events are those of `walk`.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.engine.config import RetryPolicy
from interlock.engine.plan import ExecutionPlan
from interlock.engine.reports.records import RunResult
from interlock.journal.chain import Recorded
from interlock.testing.checker.broken import InvariantBroken
from interlock.testing.checker.walk import Walk


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
    walk = Walk(plan, policy or RetryPolicy())
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


def _check_result(walk: Walk, result: RunResult) -> None:
    """I15: the answer says what the log says."""
    if walk.ended is None:
        told = ("running", walk.checkpoint)
    else:
        told = (walk.ended.status.value, walk.ended.final_snapshot_id or "")
    if (result.phase, result.final_snapshot_id or "") != told:
        raise walk.broken("I15", f"the result says {result.phase}, the log {told[0]}, or of another snapshot")
    kind = None if result.waiting is None or walk.ended is not None else result.waiting.kind
    if kind == "parked" and not walk.parked:
        raise walk.broken("I15", "the result says that the run is parked, the log does not")
    if walk.parked and walk.ended is None and walk.concurrency == 1 and kind not in ("parked", "paused"):
        raise walk.broken("I15", "the log says that the run is parked, the result does not")
    if (kind == "paused") != (walk.orders.paused and walk.ended is None and walk.orders.ending is None):
        raise walk.broken("I15", "result and log differ on whether the run is paused")
    if kind == "suspended" and all(state.waits is None for state in walk.states.values()):
        raise walk.broken("I15", "the result says that the run waits, and no state of it does")
