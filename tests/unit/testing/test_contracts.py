"""The contract suites catch what they are there to catch: each seeded bug fails the test that names it."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
from collections import Counter
from collections.abc import Callable, Sequence

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.base.events import Claim, ClearTimer, Row, SetTimer, Timer
from interlock.journal.ports import (
    Append,
    Appended,
    Blob,
    Head,
    Store,
    StoredEvent,
    StreamAppend,
    ViewRow,
)
from interlock.stores.activation import Activation
from interlock.stores.memory import MemoryStore
from interlock.stores.memory.activations import MemoryActivations
from interlock.stores.memory.agenda import Agenda
from interlock.stores.memory.data import MemoryData
from interlock.stores.memory.events import MemoryEventLog
from interlock.stores.memory.rows import SortedRows
from interlock.stores.memory.tables import MemoryArtifacts, MemoryIndex, MemoryTimers, MemoryViewStore
from interlock.stores.memory.timers import TimerTable, TimerTables
from interlock.testing.contracts import StoreContract
from interlock.testing.loop import run

Patch = Callable[[pytest.MonkeyPatch], None]


class Suite(StoreContract):
    run: Callable[..., object] = staticmethod(run)

    async def make_store(self) -> Store:
        return MemoryStore()

    async def reopen(self, store: Store) -> Store:
        assert isinstance(store, MemoryStore)
        return store.reopen()


def compare_sequence_numbers_only(patch: pytest.MonkeyPatch) -> None:
    def check(data: MemoryData, append: StreamAppend, partition: str) -> None:
        head = data.head(append.stream)
        same = append.expected.seq == head.seq
        original(data, msgspec.structs.replace(append, expected=head) if same else append, partition)

    original = MemoryData._check_stream
    patch.setattr(MemoryData, "_check_stream", check)


def append_to_fresh_heads(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryData, "_check_stream", lambda *_: None)


def emit_many_as_many_appends(patch: pytest.MonkeyPatch) -> None:
    def commit(data: MemoryData, append: Append) -> Appended:
        return [original(data, Append([each], append.rows, append.blobs)) for each in append.streams][-1]

    original = MemoryData.commit
    patch.setattr(MemoryData, "commit", commit)


def show_half_an_append(patch: pytest.MonkeyPatch) -> None:
    async def read(log: MemoryEventLog, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        events = await original(log, stream, after_seq, limit)
        return events[:-1] if len(events) > 2 and log._queued else events

    original = MemoryEventLog.read
    patch.setattr(MemoryEventLog, "read", read)


def fail_a_batch_as_one(patch: pytest.MonkeyPatch) -> None:
    async def append(log: MemoryEventLog, appends: Sequence[Append]) -> list[Appended | InterlockError]:
        outcomes = await original(log, appends)
        faults = [each for each in outcomes if isinstance(each, InterlockError)]
        return [faults[0]] * len(outcomes) if faults else outcomes

    original = MemoryEventLog.append
    patch.setattr(MemoryEventLog, "append", append)


def count_positions_over_partitions(patch: pytest.MonkeyPatch) -> None:
    def commit(data: MemoryData, append: Append) -> Appended:
        outcome = original(data, append)
        return Appended(outcome.partition, sum(len(feed) for feed in data.feeds.values()))

    original = MemoryData.commit
    patch.setattr(MemoryData, "commit", commit)


def normalise_data(patch: pytest.MonkeyPatch) -> None:
    async def read(log: MemoryEventLog, stream: str, after_seq: int, limit: int) -> list[StoredEvent]:
        events = await original(log, stream, after_seq, limit)
        return [msgspec.structs.replace(each, data=(each.data or b"").rstrip()) for each in events]

    original = MemoryEventLog.read
    patch.setattr(MemoryEventLog, "read", read)


def keep_rows_of_refused_appends(patch: pytest.MonkeyPatch) -> None:
    def commit(data: MemoryData, append: Append) -> Appended:
        partition = append.streams[0].partition if append.streams else "default"
        for row in data._index_changes(partition, append.rows).values():
            data._write_index(partition, row)
        return original(data, append)

    original = MemoryData.commit
    patch.setattr(MemoryData, "commit", commit)


def name_artifacts_by_kind_too(patch: pytest.MonkeyPatch) -> None:
    async def put(artifacts: MemoryArtifacts, blobs: Sequence[Blob]) -> list[str]:
        kinds = [blob.kind.encode() + b"\0" + blob.content for blob in blobs]
        for content in kinds:
            artifacts._blobs.put(hashlib.sha256(content).hexdigest(), content)
        return [hashlib.sha256(content).hexdigest() for content in kinds]

    patch.setattr(MemoryArtifacts, "put", put)


def believe_names_of_artifacts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("interlock.stores.memory.tables.check_blobs", lambda _: None)


def treat_a_prefix_as_a_bound(patch: pytest.MonkeyPatch) -> None:
    async def scan(
        index: MemoryIndex, partition: str, name: str, prefix: str, after: str, limit: int
    ) -> list[tuple[str, bytes]]:
        return list(index._index[partition, name].since(max(prefix, after + "\0")))[:limit]

    patch.setattr(MemoryIndex, "scan", scan)


def overwrite_fresh_keys(patch: pytest.MonkeyPatch) -> None:
    def changes(data: MemoryData, partition: str, rows: Sequence[Row]) -> object:
        return original(data, partition, [_stale(row) for row in rows])

    original = MemoryData._index_changes
    patch.setattr(MemoryData, "_index_changes", changes)


def _stale(row: Row) -> Row:
    return msgspec.structs.replace(row, fresh=False) if hasattr(row, "fresh") else row


def apply_views_from_anywhere(patch: pytest.MonkeyPatch) -> None:
    async def apply(
        views: MemoryViewStore, partition: str, view: str, rows: Sequence[ViewRow], _: int, position: int
    ) -> bool:
        before = await views.position(partition, view)
        return await original(views, partition, view, rows, before, position)

    original = MemoryViewStore.apply
    patch.setattr(MemoryViewStore, "apply", apply)


def lose_a_wake_at_the_release(patch: pytest.MonkeyPatch) -> None:
    def released(activation: Activation, until_ms: int | None) -> Activation:
        return msgspec.structs.replace(activation, owner=None, expires_ms=None, due_ms=until_ms)

    patch.setattr(Activation, "released", released)


def lose_a_wake_at_the_hold(patch: pytest.MonkeyPatch) -> None:
    def recorded(activation: Activation, claim: Claim) -> Activation:
        return activation.claimed(claim.owner, claim.expires_ms)

    patch.setattr(Activation, "recorded", recorded)


def keep_the_epoch(patch: pytest.MonkeyPatch) -> None:
    def claimed(activations: MemoryActivations, stream: str, owner: str, expires_ms: int) -> Claim:
        claim = original(activations, stream, owner, expires_ms)
        return msgspec.structs.replace(claim, epoch=1)

    original = MemoryActivations._claimed
    patch.setattr(MemoryActivations, "_claimed", claimed)


def renew_what_is_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryActivations, "_held_by", lambda self, claim: self._agenda.get(claim.stream))


def keep_the_claims_of_the_dead(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Agenda, "end_claims", lambda *_: None)


def ring_no_bell(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryData, "changed", lambda _: None)


def lose_the_head(patch: pytest.MonkeyPatch) -> None:
    async def heads(log: MemoryEventLog, streams: Sequence[str]) -> list[Head]:
        return sorted(await original(log, streams), key=lambda head: head.seq)

    original = MemoryEventLog.heads
    patch.setattr(MemoryEventLog, "heads", heads)


def fire_in_the_order_of_setting(patch: pytest.MonkeyPatch) -> None:
    async def due(timers: MemoryTimers, partition: str, now_ms: int, limit: int) -> list[Timer]:
        found = timers._timers.of(partition).by_id._rows.values()
        return [timer for timer in found if timer.due_ms <= now_ms][:limit]

    patch.setattr(MemoryTimers, "due", due)


def keep_the_old_time_of_a_moved_timer(patch: pytest.MonkeyPatch) -> None:
    def apply(table: TimerTable, row: SetTimer | ClearTimer) -> Timer | None:
        kept = SortedRows[tuple[int, str], Timer]()
        for key, timer in table.by_time.since((0, "")):
            kept.put(key, timer)
        old = original(table, row)
        for key, timer in kept.since((0, "")) if isinstance(row, SetTimer) else ():
            table.by_time.put(key, timer)
        return old

    original = TimerTable.apply
    patch.setattr(TimerTable, "apply", apply)


def call_due_whatever_is_set(patch: pytest.MonkeyPatch) -> None:
    def ready(tables: TimerTables, now_ms: int) -> list[str]:
        return sorted(name for name, table in tables._of.items() if table.by_id.first() is not None and now_ms)

    patch.setattr(TimerTables, "ready", ready)


def call_ready_what_waits(patch: pytest.MonkeyPatch) -> None:
    def ready(agenda: Agenda, kinds: Sequence[str], now_ms: int, after: str) -> list[str]:
        return original(agenda, kinds, now_ms + 1, after)

    original = Agenda.ready
    patch.setattr(Agenda, "ready", ready)


def begin_every_page_anew(patch: pytest.MonkeyPatch) -> None:
    def ready(agenda: Agenda, kinds: Sequence[str], now_ms: int, after: str) -> list[str]:
        return original(agenda, kinds, now_ms, "")

    original = Agenda.ready
    patch.setattr(Agenda, "ready", ready)


def set_timers_of_refused_appends(patch: pytest.MonkeyPatch) -> None:
    def commit(data: MemoryData, append: Append) -> Appended:
        for row in append.rows:
            if isinstance(row, SetTimer | ClearTimer):
                data.timers.apply(append.streams[0].partition, row)
        return original(data, append)

    original = MemoryData.commit
    patch.setattr(MemoryData, "commit", commit)


SEEDED: list[tuple[Patch, str]] = [
    (compare_sequence_numbers_only, "only_the_exact_head_is_appended_to"),
    (append_to_fresh_heads, "of_many_writers_at_one_head_exactly_one_wins"),
    (emit_many_as_many_appends, "one_stale_stream_stops_the_whole_append"),
    (show_half_an_append, "a_reader_beside_a_writer_sees_only_whole_appends"),
    (fail_a_batch_as_one, "a_conflict_in_a_batch_is_no_others"),
    (count_positions_over_partitions, "partitions_count_their_own_positions"),
    (normalise_data, "bytes_are_kept_exactly_as_they_were_given"),
    (lose_the_head, "heads_come_in_the_order_they_are_asked_for"),
    (keep_rows_of_refused_appends, "an_append_that_is_refused_leaves_no_row_behind"),
    (name_artifacts_by_kind_too, "the_kind_is_no_part_of_the_name"),
    (believe_names_of_artifacts, "a_name_that_is_not_the_digest_is_refused_with_its_whole_batch"),
    (treat_a_prefix_as_a_bound, "a_scan_gives_what_is_under_a_prefix_in_order_page_by_page"),
    (overwrite_fresh_keys, "a_fresh_row_refuses_a_taken_key_and_all_that_comes_with_it"),
    (apply_views_from_anywhere, "of_two_writers_at_one_position_one_wins"),
    (lose_a_wake_at_the_release, "a_wake_while_it_is_held_survives_the_release"),
    (lose_a_wake_at_the_hold, "recording_the_claim_that_stands_keeps_a_wake_that_came_before"),
    (keep_the_epoch, "the_epoch_rises_by_one_with_every_claim"),
    (renew_what_is_lost, "only_what_is_still_ours_is_renewed"),
    (keep_the_claims_of_the_dead, "a_dead_owners_claims_have_ended_at_once"),
    (fire_in_the_order_of_setting, "timers_are_due_in_the_order_of_time_and_then_of_id"),
    (keep_the_old_time_of_a_moved_timer, "a_timer_that_is_set_again_moves_with_all_that_it_has"),
    (set_timers_of_refused_appends, "an_append_that_is_refused_sets_and_clears_no_timer"),
    (call_due_whatever_is_set, "a_partition_is_ready_until_its_due_timers_are_moved_or_cleared"),
    (call_ready_what_waits, "of_all_partitions_those_are_ready_in_which_something_can_be_claimed"),
    (begin_every_page_anew, "ready_partitions_come_in_pages_in_the_order_of_their_names"),
    (ring_no_bell, "a_commit_ends_the_wait_of_everyone"),
]


@pytest.mark.parametrize(("bug", "name"), SEEDED, ids=[bug.__name__ for bug, _ in SEEDED])
def test_a_seeded_bug_fails_the_test_that_names_it(bug: Patch, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    test = getattr(Suite(), f"test_{name}")
    test()

    bug(monkeypatch)

    with pytest.raises((AssertionError, InterlockError, TimeoutError)):
        test()


def test_no_suite_hides_a_test_of_another() -> None:
    names = Counter(name for suite in StoreContract.__mro__ for name in vars(suite) if name.startswith("test_"))

    assert [name for name, count in names.items() if count > 1] == []


def test_every_test_of_a_suite_is_a_plain_method_that_a_collector_can_call() -> None:
    tests = [member for name, member in inspect.getmembers(StoreContract) if name.startswith("test_")]

    assert len(tests) > 100
    assert all(list(inspect.signature(test).parameters) == ["self"] for test in tests)
    assert not any(inspect.iscoroutinefunction(test) for test in tests)


def test_a_suite_runs_in_real_time_too() -> None:
    class RealTime(Suite):
        run: Callable[..., object] = staticmethod(asyncio.run)

    RealTime().test_a_reader_beside_a_writer_sees_only_whole_appends()


def test_a_failure_over_interleavings_names_its_seed() -> None:
    class Seeded(Suite):
        seeds = 5
        made = 0

        async def make_store(self) -> Store:
            self.made += 1
            assert self.made < 4
            return await super().make_store()

    with pytest.raises(AssertionError) as caught:
        Seeded().test_a_batch_of_nothing_has_no_outcome()

    assert caught.value.__notes__ == ["with seed=2"]
