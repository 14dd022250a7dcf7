"""Histories that earlier versions wrote are read, folded and gone on with by today's code.

The files are never written again: what was recorded is the proof. `scripts/record_histories.py` adds those of a new
version.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from interlock import __version__
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig, read_manifest
from interlock.engine.events import RunStarted
from interlock.engine.fold import RUN_FOLD
from interlock.engine.run_state import RunState
from interlock.journal.chain import Recorded
from interlock.journal.journal import FOLD_INDEX
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import check_artifacts, check_run
from interlock.testing.loop import run
from tests.histories import plans
from tests.histories.recorded import CATALOGUE, FOLDER, STREAM, History, files, load, put_back, summary
from tests.simulation.crashes import RUN_ID
from tests.simulation.outside import Outside, OutsideTransport

FILES = files()
NAMES = [f"{path.parent.name}/{path.stem}" for path in FILES]
BYTES_MAX = 200_000
each_history = pytest.mark.parametrize("path", FILES, ids=NAMES)


def test_every_life_is_recorded_by_this_version_and_takes_little_room() -> None:
    recorded = {path.stem for path in (FOLDER / __version__).glob("*.json")}

    assert recorded == set(plans.LIVES)
    assert sum(path.stat().st_size for path in FILES if path.parent.name == __version__) < BYTES_MAX


@each_history
def test_todays_code_makes_of_a_history_what_its_version_made_of_it(path: Path) -> None:
    history = load(path)

    async def scenario() -> None:
        app = memory_app(await put_back(history))
        state = (await app.journal.load(RUN_FOLD, STREAM)).state
        assert summary(state, await app.runs.read.context(RUN_ID)) == history.summary

    run(scenario())


@each_history
def test_a_history_keeps_every_rule_of_a_run(path: Path) -> None:
    """I1 to I16, by a checker that shares no code with the engine."""
    history = load(path)

    async def scenario() -> None:
        app = memory_app(await put_back(history))
        log = await read_run(app, RUN_ID)
        config = await config_of(app.store.artifacts, log)
        check_run(log, plan=plan_of(history).build(), policy=config.retry_policy)
        await check_artifacts(log, app.store.artifacts)

    run(scenario())


@each_history
def test_a_fold_from_any_snapshot_and_its_tail_is_the_fold_of_all(path: Path) -> None:
    async def scenario() -> None:
        log = await read_run(memory_app(await put_back(load(path))), RUN_ID)
        whole = folded(RUN_FOLD.initial(STREAM), log)
        assert RUN_FOLD.save is not None
        assert RUN_FOLD.restore is not None
        for cut in range(1, len(log) + 1):
            kept = RUN_FOLD.save(folded(RUN_FOLD.initial(STREAM), log[:cut]))
            assert RUN_FOLD.save(folded(RUN_FOLD.restore(kept), log[cut:])) == RUN_FOLD.save(whole), cut

    run(scenario())


@pytest.mark.parametrize("name", ["completed", "minimal", "recovered", "skipped"])
def test_a_recorded_snapshot_gives_with_its_tail_the_fold_of_all(name: str) -> None:
    """Where the fold means the same as then; a snapshot of another version is passed over."""
    history = load(FOLDER / "0.1.0" / f"{name}.json")
    snapshots = [key for index, key, _ in history.rows if index == FOLD_INDEX]
    assert snapshots

    async def scenario() -> None:
        store = await put_back(history)
        journal = memory_app(store).journal
        by_snapshot = (await journal.load(RUN_FOLD, STREAM)).state
        for key in snapshots:
            store._handle.data.index["default", FOLD_INDEX].drop(key)
        assert (await journal.load(RUN_FOLD, STREAM)).state == by_snapshot

    run(scenario())


@each_history
def test_an_event_of_a_type_that_is_still_current_would_be_written_with_the_same_bytes(path: Path) -> None:
    """A stored type never changes: another shape is the next version."""
    current = 0
    for event in load(path).events:
        envelope = msgspec.json.decode(event.envelope, type=dict[str, object])
        record = CATALOGUE.decode(str(envelope["type"]), int(str(envelope["version"])), event.data.encode())
        kind, data = CATALOGUE.encode(record)
        if kind.version == envelope["version"]:
            assert data == event.data.encode()
            current += 1
    if path.parent.name == __version__:
        assert current == len(load(path).events)


@each_history
def test_todays_code_goes_on_with_a_history_to_the_end_that_its_version_reached(path: Path) -> None:
    """A run that has ended stays as it is; an interrupted one ends as the one that nobody interrupted."""
    history = load(path)
    whole = load(path.parent / "completed.json").summary

    async def scenario() -> None:
        transports = {"outside": OutsideTransport(Outside(), lambda _: None, _open)}
        app = memory_app(await put_back(history), transports=transports)
        before = await read_run(app, RUN_ID)
        result = await app.runs.resume(RUN_ID, plan=plan_of(history))
        after = await read_run(app, RUN_ID)
        assert after[: len(before)] == before
        if history.summary.status is not None:
            assert (result.phase, after) == (history.summary.status, before)
        elif history.summary.parked is not None:
            assert result.waiting is not None
            assert (result.waiting.kind, after) == ("parked", before)
        else:
            assert (result.phase, await app.runs.read.output(RUN_ID, "publish")) == ("completed", PUBLISHED)
            state = (await app.journal.load(RUN_FOLD, STREAM)).state
            assert {name: step.status for name, step in state.steps.items()} == dict.fromkeys(whole.steps, "completed")

    run(scenario())


PUBLISHED = {"name": "publish", "state": "after publish"}


async def _open() -> None:
    """The outside stands open."""


def plan_of(history: History) -> Plan:
    """The plan of a history."""
    made: Plan = getattr(plans, history.plan)()
    return made


async def config_of(artifacts: object, log: list[Recorded]) -> RunConfig:
    """The configuration in the manifest of a run."""
    started = log[0].record
    assert isinstance(started, RunStarted)
    [content] = await artifacts.get([started.manifest_id])  # type: ignore[attr-defined]
    return read_manifest(started.manifest_id, content).run_config


def folded(state: RunState, log: list[Recorded]) -> RunState:
    """The state after more events; it consumes the state that it is given."""
    for event in log:
        assert event.record is not None
        state = RUN_FOLD.evolve(state, event.record, event.place)
    return state
