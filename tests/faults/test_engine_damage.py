"""Damage to what a run rests on: snapshots, manifest, facts, events and heads.

What is damaged and needed stops the run with an error that says so, and leaves it as it was: once the bytes are back,
the run goes on. What is damaged and not needed stops nothing, and doctor names it. Rows are damaged on both durable
stores; dates and sizes of files are SQLite's alone.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import Struct

from interlock import App, Plan, Recorder
from interlock.base.errors import Category, InterlockError
from interlock.base.events import EventType
from interlock.engine import events as e
from interlock.engine.reports.records import RunResult
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship, Recorded
from interlock.journal.journal import Journal, StreamWriter
from interlock.journal.ports import Blob
from interlock.journal.store_name import StoreName
from interlock.testing.app import read_run
from tests.faults.durable import Durable
from tests.faults.halting import OTHER, RUN, STREAM, Halted, damage, findings, sql

pytestmark = pytest.mark.unproved("every test damages its store, to see the damage refused")


@pytest.fixture
def halted(durable: Durable, tmp_path: Path) -> Halted:
    return Halted(durable.fresh(tmp_path))


@pytest.fixture
def in_a_file(tmp_path: Path) -> Halted:
    return Halted(tmp_path / "store")


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> RunResult:
    """What the run comes to where nothing is damaged."""
    return Halted(tmp_path_factory.mktemp("usual") / "store").resume()


DAMAGES = {"missing": "artifact_not_found", "flipped": "artifact_corrupt"}


@pytest.mark.parametrize(("how", "code"), DAMAGES.items())
def test_a_damaged_checkpoint_stops_the_run_and_no_older_one_is_taken(
    halted: Halted, usual: RunResult, how: str, code: str
) -> None:
    """S4, M4: the run is not resumed from another snapshot and does not fail for good; restored, it goes on."""
    restore = damage(halted.store, halted.records(e.StateCompleted)[-1].context_snapshot_id, how)

    assert halted.refused().code == code
    assert halted.refused().code == code
    assert "read" not in halted.outside.calls

    restore()
    assert halted.resume() == usual


@pytest.mark.parametrize(("how", "code"), DAMAGES.items())
def test_a_damaged_checkpoint_stops_also_a_run_that_needs_nothing_of_it(
    durable: Durable, tmp_path: Path, how: str, code: str
) -> None:
    """S4, I8, I16: a run never ends with a final snapshot that is not there."""
    plan = Plan("frugal")
    halting = True

    @plan.state
    async def one() -> int:
        return 1

    @plan.state(after=[one])
    async def two() -> None:
        if halting:
            raise asyncio.CancelledError

    store = durable.fresh(tmp_path)

    async def drive(verb: str) -> RunResult:
        async with App.open(store) as app:
            work = app.runs.start(plan, run_id=RUN) if verb == "start" else app.runs.resume(RUN, plan=plan)
            return await work

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(drive("start"))
    halting = False
    [checkpoint] = asyncio.run(checkpoints(store))
    assert checkpoint is not None
    restore = damage(store, checkpoint, how)

    with pytest.raises(InterlockError) as caught:
        asyncio.run(drive("resume"))

    assert caught.value.code == code
    restore()
    assert asyncio.run(drive("resume")).final_snapshot_id == checkpoint


async def checkpoints(store: StoreName) -> list[str | None]:
    """What the states of the run left that have completed."""
    async with App.open(store) as app:
        events = await read_run(app, RUN)
    return [each.record.context_snapshot_id for each in events if isinstance(each.record, e.StateCompleted)]


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_to_an_older_checkpoint_stops_nothing_and_is_named(halted: Halted, usual: RunResult, how: str) -> None:
    """S5."""
    older = halted.records(e.RunStarted)[0].initial_snapshot_id
    damage(halted.store, older, how)

    assert halted.resume() == usual
    assert older in findings(halted.store)


@pytest.mark.parametrize("how", DAMAGES)
def test_damage_to_a_diagnostic_snapshot_stops_nothing_and_is_named(halted: Halted, usual: RunResult, how: str) -> None:
    """S6, M1."""
    [failed] = halted.records(e.StateFailed)
    damage(halted.store, failed.failure_snapshot_id, how)

    assert halted.resume() == usual
    assert failed.failure_snapshot_id in findings(halted.store)


@pytest.mark.parametrize(("how", "code"), DAMAGES.items())
def test_a_damaged_manifest_stops_the_run_before_any_handler(
    halted: Halted, usual: RunResult, how: str, code: str
) -> None:
    """S7: nobody knows any more what the run is."""
    restore = damage(halted.store, halted.records(e.RunStarted)[0].manifest_id, how)

    assert halted.refused().code == code
    assert halted.outside.calls == []

    restore()
    assert halted.resume() == usual


@pytest.mark.parametrize(("how", "code"), DAMAGES.items())
def test_a_damaged_fact_is_an_error_when_it_is_used_and_is_never_asked_anew(
    halted: Halted, usual: RunResult, how: str, code: str
) -> None:
    """S8, M6: the outside is not called a second time, and the key stays bound to what was recorded."""
    [fact] = halted.records(e.FactRecorded)
    restore = damage(halted.store, fact.payload_id, how)

    assert halted.refused().code == code
    assert halted.outside.calls == ["four"]
    assert halted.records(e.FactRecorded) == [fact]

    restore()
    assert halted.resume() == usual


EVENT = "(SELECT no FROM stream WHERE id = 'default/run/{}')"
MINE, THEIRS = EVENT.format(RUN), EVENT.format(OTHER)
DISORDERS = {
    "a gap": [f"DELETE FROM event WHERE stream = {MINE} AND seq = 9"],
    "a lost beginning": [f"DELETE FROM event WHERE stream = {MINE} AND seq = 1"],
    "a lost end": [f"DELETE FROM event WHERE stream = {MINE} AND seq >= 14"],
    "all of it lost": [f"DELETE FROM event WHERE stream = {MINE}"],
    "two events that changed places": [
        f"UPDATE event SET seq = -seq WHERE stream = {MINE} AND seq IN (8, 9)",
        f"UPDATE event SET seq = 17 + seq WHERE stream = {MINE} AND seq < 0",
    ],
    "an event of another run": [
        f"UPDATE event SET (digest, envelope, data) = (SELECT t.digest, t.envelope, t.data FROM event AS t "
        f"WHERE t.stream = {THEIRS} AND t.seq = 9) WHERE stream = {MINE} AND seq = 9"
    ],
    "the events of another run": [
        f"UPDATE stream SET id = 'elsewhere' WHERE id = 'default/run/{RUN}'",
        f"UPDATE stream SET id = 'default/run/{RUN}' WHERE id = 'default/run/{OTHER}'",
    ],
    "data of another event": [
        f"UPDATE event SET data = (SELECT t.data FROM event AS t WHERE t.stream = {MINE} AND t.seq = 6) "
        f"WHERE stream = {MINE} AND seq = 9"
    ],
    "a head before the end": [f"UPDATE stream SET seq = seq - 1 WHERE no = {MINE}"],
    "a head behind the end": [f"UPDATE stream SET seq = seq + 1 WHERE no = {MINE}"],
    "a head of another digest": [
        f"UPDATE stream SET digest = (SELECT t.digest FROM event AS t WHERE t.stream = {MINE} AND "
        f"t.seq = 3) WHERE no = {MINE}"
    ],
}


@pytest.mark.parametrize("disorder", DISORDERS)
def test_a_history_that_was_disordered_is_refused_before_any_handler_and_is_named(
    durable: Durable, tmp_path: Path, disorder: str
) -> None:
    """S3: a gap, a duplicate, a foreign event, another head."""
    halted = Halted(durable.fresh(tmp_path), OTHER)
    for statement in DISORDERS[disorder]:
        sql(halted.store, statement)

    with pytest.raises(InterlockError) as caught:
        halted.resume()

    assert caught.value.category is Category.CORRUPT
    assert halted.outside.calls == []
    assert STREAM in findings(halted.store) or "elsewhere" in findings(halted.store)


@pytest.mark.parametrize("loss", ["DELETE FROM partition", "UPDATE partition SET no = no + 6"])
def test_a_stream_whose_partition_is_lost_is_refused_and_named(halted: Halted, durable: Durable, loss: str) -> None:
    """S3, P20: a head that cannot be found is damage, and not another writer's doing for ever."""
    generated = "ALTER TABLE partition ALTER COLUMN no SET GENERATED {}"
    if durable.on_files:
        sql(halted.store, loss)
    else:
        for statement in (generated.format("BY DEFAULT"), loss, generated.format("ALWAYS")):
            sql(halted.store, statement)

    with pytest.raises(InterlockError) as caught:
        halted.resume()

    assert caught.value.category is Category.CORRUPT
    assert halted.outside.calls == []
    assert findings(halted.store)


@pytest.mark.parametrize("seq", range(1, 15))
def test_an_event_without_its_data_is_refused(halted: Halted, seq: int) -> None:
    """S3: nothing that a run rests on can be erased, so data that is missing is lost."""
    sql(halted.store, "UPDATE event SET data = NULL WHERE seq = ?", seq)

    with pytest.raises(InterlockError) as caught:
        halted.resume()

    assert caught.value.category is Category.CORRUPT
    assert f"{STREAM}#{seq}" in findings(halted.store)


class Novelty(Struct, frozen=True):
    """An event of a version that is not installed."""

    text: str


def forge(halted: Halted, records: Sequence[Struct]) -> None:
    """Append to the run what its owner would not have written, soundly chained."""

    async def main(app: App) -> None:
        catalogue = EventCatalogue([*e.EVENTS, EventType("engine.novelty", 1, Novelty)])
        journal = Journal(app.store, catalogue, app.journal.clock, app.journal.entropy)
        last = halted.events[-1]
        [head] = await app.store.events.heads([STREAM])
        await StreamWriter(journal, STREAM, head, last.envelope.at_ms, Authorship("forger")).append(
            records, last.envelope.at_ms
        )

    halted.drive(main)


FORGERIES: dict[str, list[Struct]] = {
    "an unknown type": [Novelty("new")],
    "a second start": [e.RunStarted("0" * 64, "0" * 64, "needy")],
    "a second attempt beside the open one": [e.StateEntered(0, "0" * 64, "needy.four.main")],
    "the end of a state that is not open": [e.StateCompleted("0" * 64, "needy.one.main")],
    "an end with an open attempt": [e.RunCompleted(None, e.RunStatus.COMPLETED)],
    "a fact that is bound anew": [e.FactRecorded("read:1", "json", "0" * 64, None)],
    "an owner out of turn": [e.OwnerClaimed(9, 9, 0, "nobody")],
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_history_that_no_engine_wrote_is_refused_before_any_handler(halted: Halted, forgery: str) -> None:
    """S3, C25: sound bytes with an impossible meaning are damage, too."""
    forge(halted, FORGERIES[forgery])

    with pytest.raises(InterlockError) as caught:
        halted.resume()

    assert caught.value.category is Category.CORRUPT
    assert halted.outside.calls == []


def test_a_store_that_names_an_artifact_otherwise_is_not_believed(durable: Durable, tmp_path: Path) -> None:
    """S11: the id is that of the bytes, whatever the store says; no event names another."""
    plan = Plan("liar")

    @plan.state
    async def one(rec: Recorder) -> str:
        return await rec.artifact("Output", b"report")

    async def main() -> tuple[str, list[Recorded]]:
        async with App.open(durable.fresh(tmp_path)) as app:
            honest = app.store.artifacts.put

            async def put(blobs: Sequence[Blob]) -> list[str]:
                await honest(blobs)
                return ["0" * 64 for _ in blobs]

            app.store.artifacts.put = put  # type: ignore[method-assign]
            with pytest.raises(InterlockError) as caught:
                await app.runs.start(plan, run_id=RUN)
            return caught.value.code, await read_run(app, RUN)

    code, events = asyncio.run(main())

    assert code == "artifact_id_mismatch"
    assert not [event for event in events if isinstance(event.record, e.ArtifactWritten)]


@pytest.mark.parametrize("moved", [0, 4_000_000_000])
def test_the_dates_of_files_decide_nothing(in_a_file: Halted, usual: RunResult, moved: int) -> None:
    """S12."""
    for path in Path(in_a_file.store).parent.rglob("*"):
        os.utime(path, (moved, moved))

    assert in_a_file.resume() == usual
    assert findings(in_a_file.store) == ""


@pytest.mark.parametrize("size", [0, 1])
def test_a_store_cut_to_nothing_is_damage_and_never_begun_anew(in_a_file: Halted, usual: RunResult, size: int) -> None:
    """S12: whoever opens it, to read or to start; nothing is deleted, doctor names it, restored it goes on."""
    path = Path(in_a_file.store)
    whole = path.read_bytes()
    path.write_bytes(whole[:size])

    with pytest.raises(InterlockError) as caught:
        in_a_file.resume()
    assert (caught.value.code, caught.value.category) == ("store_corrupt", Category.CORRUPT)
    with pytest.raises(InterlockError) as caught:
        in_a_file.drive(lambda app: app.runs.start(in_a_file.plan))
    assert (caught.value.code, caught.value.category) == ("store_corrupt", Category.CORRUPT)

    assert in_a_file.outside.calls == []
    assert path.stat().st_size == size
    assert f"{path.name}: {path.name} was cut to {size} bytes" in findings(in_a_file.store)
    path.write_bytes(whole)
    assert in_a_file.resume() == usual
