"""What a replay finds, as it finds it: which ends agree, which differ, and which say nothing.

What it does: compares how an attempt ended with how it ended then, keeps the first divergence and counts the others,
and makes the report. What it does not do: it drives nothing and reads no store.

Rules: a recorded failure that the replay cannot reach, because the outside caused it and left no fact, is not
comparable; the order of an attempt's events is remarkable, but tasks within a handler may have chosen it, so that it is
no divergence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from interlock.base.merkle_map import Value
from interlock.engine import events as e
from interlock.engine.config import RunConfig
from interlock.engine.io.replay import ReplayedAttempt
from interlock.engine.replay.attempts import FAILED, SUSPENDED, Enacted, Told
from interlock.engine.replay.report import (
    KEYS_SHOWN_MAX,
    LISTED_MAX,
    Divergence,
    DivergenceKind,
    NotComparable,
    ReplayReport,
    ReplayWarning,
    difference,
)
from interlock.engine.reports.records import RUNNING
from interlock.engine.run_state import RunState

_OF_FACTS = frozenset(
    {"missing_fact", "missing_fact_key", "fact_request_mismatch", "fact_payload_conflict", "fact_payload_invalid"}
)
NO_FACT = "the outside ended the attempt, and no fact says what it answered"


class Findings:
    """The report, while it is made."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.attempts = 0
        self.compared = 0
        self.skipped = 0
        self._divergence: Divergence | None = None
        self._divergent = 0
        self._incomparable: list[NotComparable] = []
        self._incomparable_count = 0
        self._warnings: list[ReplayWarning] = []
        self._warnings_count = 0

    def diverged(self, divergence: Divergence) -> None:
        """Keep the first; count all."""
        self._divergence = self._divergence or divergence
        self._divergent += 1

    def incomparable(self, state_id: str, attempt: int, recorded: str, now: Enacted, why: str) -> None:
        """An attempt that says nothing about the record."""
        self._incomparable_count += 1
        if len(self._incomparable) < LISTED_MAX:
            self._incomparable.append(NotComparable(state_id, attempt, recorded, _end_now(now), why))

    def warn(self, warnings: Iterable[ReplayWarning]) -> None:
        """Something remarkable."""
        for warning in warnings:
            self._warnings_count += 1
            if len(self._warnings) < LISTED_MAX:
                self._warnings.append(warning)

    def compare_ends(
        self,
        number: int,
        record: e.StateCompleted | e.StateFailed | e.StateSuspended,
        attempt: ReplayedAttempt,
        now: Enacted,
    ) -> None:
        """Hold the end of an attempt against its recorded one, where not both completed."""
        if _agree(record, attempt, now):
            self.compared += 1
            return
        state_id, recorded = record.state_id, _end_then(record)
        if attempt.missing and not isinstance(record, e.StateCompleted):
            self.incomparable(state_id, number, recorded, now, NO_FACT)
            return
        self.compared += 1
        key = now.fact_key or next(iter(attempt.missing), None)
        kind, message = _kind(record, now), now.message
        self.diverged(Divergence(state_id, number, kind, recorded, _end_now(now, attempt), message, key))

    def compare_told(
        self,
        state_id: str,
        number: int,
        divergence: Divergence | None,
        recorded: Sequence[Told],
        replayed: Sequence[Told],
        config: RunConfig,
    ) -> None:
        """Hold the events of a completed attempt against the recorded ones; `divergence` is what differs already."""
        self.compared += 1
        if divergence is None and recorded != replayed and config.event_profile != "Minimal":
            lost, added = Counter(recorded) - Counter(replayed), Counter(replayed) - Counter(recorded)
            if lost or added:
                divergence = _events_divergence(state_id, number, list(lost), list(added))
            else:
                why = "the attempt told the same events in another order"
                self.warn([ReplayWarning("event_order", why, state_id=state_id)])
        if divergence is not None:
            self.diverged(divergence)

    def report(self, state: RunState) -> ReplayReport:
        """What was found about a run that stands as `state`."""
        return ReplayReport(
            run_id=self.run_id,
            identical=self._divergence is None,
            divergence=self._divergence,
            divergent=self._divergent,
            phase=RUNNING if state.status is None else state.status.value,
            events=state.seq,
            attempts=self.attempts,
            compared=self.compared,
            skipped=self.skipped,
            not_comparable=self._incomparable,
            not_comparable_count=self._incomparable_count,
            warnings=self._warnings,
            warnings_count=self._warnings_count,
        )


def snapshot_divergence(
    state_id: str,
    number: int,
    recorded_id: str,
    replayed_id: str,
    keys: Sequence[tuple[str, Value | None, Value | None]],
) -> Divergence:
    """An attempt that completes with another context."""
    shown = [difference(*each) for each in keys[:KEYS_SHOWN_MAX]]
    named = ", ".join(each.key for each in shown[:5])
    message = f"the context differs in {len(keys)} {'key' if len(keys) == 1 else 'keys'}: {named}"
    omitted = len(keys) - len(shown)
    return Divergence(
        state_id, number, DivergenceKind.SNAPSHOT, recorded_id, replayed_id, message, None, shown, omitted
    )


def writes_divergence(state_id: str, number: int, recorded_id: str, replayed_id: str | None) -> Divergence:
    """A branch that leaves the same context by other writes: what it joins with may become another."""
    message = "the state writes other keys, or values that its base has already"
    return Divergence(state_id, number, DivergenceKind.WRITES, recorded_id, replayed_id or "", message)


def _events_divergence(state_id: str, number: int, lost: Sequence[Told], added: Sequence[Told]) -> Divergence:
    then, now = (", ".join(sorted({name for name, _ in each})[:10]) or "none" for each in (lost, added))
    message = f"{len(lost)} recorded events are not told now, {len(added)} are told that were not"
    return Divergence(state_id, number, DivergenceKind.EVENTS, then, now, message)


def _agree(record: e.StateCompleted | e.StateFailed | e.StateSuspended, attempt: ReplayedAttempt, now: Enacted) -> bool:
    if isinstance(record, e.StateFailed):
        return now.outcome == FAILED and now.code == record.error.info.code
    if isinstance(record, e.StateSuspended):
        return now.outcome == SUSPENDED and attempt.waits.keys() == {wait.name for wait in record.waits}
    return False


def _kind(record: e.StateCompleted | e.StateFailed | e.StateSuspended, now: Enacted) -> DivergenceKind:
    if now.code in _OF_FACTS:
        return DivergenceKind.FACTS
    if isinstance(record, e.StateSuspended) and now.outcome == SUSPENDED:
        return DivergenceKind.WAITS
    if isinstance(record, e.StateFailed) and now.outcome == FAILED:
        return DivergenceKind.ERROR
    return DivergenceKind.OUTCOME


def _end_then(record: e.StateCompleted | e.StateFailed | e.StateSuspended) -> str:
    if isinstance(record, e.StateFailed):
        return f"failed: {record.error.info.code}"
    if isinstance(record, e.StateSuspended):
        return f"suspended: {', '.join(sorted(wait.name for wait in record.waits))}"
    return "completed"


def _end_now(now: Enacted, attempt: ReplayedAttempt | None = None) -> str:
    if now.outcome == SUSPENDED and attempt is not None:
        return f"suspended: {', '.join(sorted(attempt.waits))}"
    return now.outcome if now.code is None else f"{now.outcome}: {now.code}"
