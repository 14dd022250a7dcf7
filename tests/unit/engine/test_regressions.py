"""What once went wrong and must not again: long runs, parked runs, references, and plans that fail on import."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec import Struct

from interlock import (
    App,
    Context,
    DependencyEdge,
    ExecutionPlan,
    InterlockError,
    Io,
    IoCall,
    Plan,
    Recorder,
    RunConfig,
    SideEffectKind,
    StateMeta,
    StateNode,
    StateOutcome,
)
from interlock.base.bounds import EVENTS_PER_APPEND_MAX
from interlock.base.principal import local_principal
from interlock.doctor import examine
from interlock.engine import events as e
from interlock.engine.reports.records import RunResult
from interlock.engine.sources import load_plan
from interlock.journal.journal import Fold, Journal, Loaded
from interlock.journal.ports import Append
from interlock.parts import installed_parts, sections_of
from interlock.settings import load
from interlock.testing.app import read_run
from tests.faults.killing import wait_for
from tests.surfaces.process import PRODUCT, Ended, run

SECONDS_MAX = 20
PERSON = local_principal("ada")
UNSAFE: dict[str, object] = {"unsafe_synchronous_normal": True}
"""For tests of many appends and no crash: nobody waits for the disk."""

KILLED: dict[str, Any] = {"kind": "run_program_v1", "program_path": "/bin/sh", "argv": ["-c", "kill -9 $$"]}
LATE: dict[str, Any] = {"kind": "run_program_v1", "program_path": "/bin/sleep", "argv": ["60"], "timeout_ms": 50}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def opened(path: Path, **sections: dict[str, object]) -> AbstractAsyncContextManager[App]:
    settings = load(sections_of(installed_parts()), arguments=sections, environ={}, folder=path.parent)
    return App.open(path, settings=settings)


def parking(entered: list[int], request: dict[str, Any] = LATE, facts: int = 0) -> Plan:
    """A state that records `facts` and then has an effect that nobody can know the outcome of."""
    plan = Plan("parking")

    @plan.state(side_effects="apply_side_effect")
    async def publish(io: Io) -> Any:
        entered.append(1)
        for number in range(facts):
            await io.record_value(f"fact:{number}", number)
        return (await io.call(IoCall("exec", request, "effect:publish"))).response

    return plan


async def parked(path: Path, plan: Plan, **sections: dict[str, object]) -> str:
    """The id of a run of `plan`, parked by a process that is gone."""
    async with opened(path, **sections) as app:
        result = await app.runs.start(plan)
    assert result.waiting is not None
    assert result.waiting.kind == "parked"
    return result.run_id


async def records(path: Path, run_id: str) -> list[Struct | None]:
    async with opened(path) as app:
        return [event.record for event in await read_run(app, run_id)]


# Parked runs


def test_an_unkeyed_effect_of_a_program_that_a_signal_ended_parks_the_run(path: Path) -> None:
    """A program that was killed may have done its work: nobody tries again unasked."""
    entered: list[int] = []

    async def main() -> tuple[list[Struct | None], list[str]]:
        plan = parking(entered, KILLED)
        run_id = await parked(path, plan)
        async with opened(path) as app:
            reasons = await app.runs.read.why(run_id)
        return await records(path, run_id), [reason.kind for reason in reasons]

    log, reasons = asyncio.run(main())
    assert entered == [1]
    assert reasons == ["parked"]
    assert [each.code for each in log if isinstance(each, e.RunParked)] == ["side_effect_outcome_unknown"]


def test_resuming_a_parked_run_for_which_nobody_decided_appends_nothing(path: Path) -> None:
    entered: list[int] = []

    async def main() -> None:
        plan = parking(entered)
        run_id = await parked(path, plan)
        before = await records(path, run_id)
        for _ in range(5):
            async with opened(path) as app:
                result = await app.runs.resume(run_id, plan=plan)
                assert result.waiting is not None
                assert result.waiting.kind == "parked"
        assert await records(path, run_id) == before

    asyncio.run(main())
    assert entered == [1]


@pytest.mark.parametrize("same_process", [True, False], ids=["one process", "two processes"])
def test_a_second_decision_before_the_first_is_taken_is_refused_and_the_first_holds(
    path: Path, *, same_process: bool
) -> None:
    entered: list[int] = []

    async def main() -> tuple[RunResult, Any]:
        plan = parking(entered)
        run_id = await parked(path, plan)
        async with opened(path) as one, opened(path) as other:
            await one.runs.control.resolve(
                run_id, "publish", e.Resolution.ADOPT, "it is out", adopt={"done": 1}, principal=PERSON
            )
            with pytest.raises(InterlockError) as caught:
                await (one if same_process else other).runs.control.resolve(
                    run_id, "publish", e.Resolution.ABANDON, "never mind", principal=PERSON
                )
            assert caught.value.code == "resolve_invalid"
        async with opened(path) as app:
            result = await app.runs.resume(run_id, plan=plan)
            return result, await app.runs.read.output(run_id, "publish")

    result, output = asyncio.run(main())
    assert result.phase == "completed"
    assert output == {"done": 1}


def test_a_decision_about_a_long_run_reads_a_part_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new process starts from the fold snapshot, as resuming does."""
    often: dict[str, object] = {"fold_snapshot_events": 100}

    async def main() -> tuple[int, int]:
        run_id = await parked(path, parking([], facts=2000), engine=often, sqlite=UNSAFE)
        async with opened(path, engine=often) as app:
            found, read = [0], app.store.events.read

            async def counted(stream: str, after_seq: int, limit: int) -> Sequence[Any]:
                page = await read(stream, after_seq, limit)
                found[0] += len(page)
                return page

            monkeypatch.setattr(app.store.events, "read", counted)
            await app.runs.control.resolve(run_id, "publish", e.Resolution.RETRY, "it is not out", principal=PERSON)
            resolving = found[0]
            return resolving, (await app.runs.read.report(run_id)).events

    reads, events = asyncio.run(main())
    assert events > 2000
    assert reads < events / 3


# Long runs


class Skipped:
    """A state that must never be handled."""

    def meta(self) -> StateMeta:
        return StateMeta(tags=("unwanted",), side_effects=SideEffectKind.PURE)

    async def handle(self, ctx: Context, io: Io, rec: Recorder) -> StateOutcome | None:
        raise AssertionError("a skipped state was handled")


def test_a_plan_of_20_000_skipped_states_ends_in_appends_that_stay_bounded(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"long.s{number:05d}.main" for number in range(20_000)]
    edges = tuple(DependencyEdge(*pair) for pair in pairwise(ids))
    plan = ExecutionPlan("long", "1", tuple(StateNode(each, Skipped()) for each in ids), edges)
    sizes: list[int] = []

    async def main() -> tuple[str, int]:
        async with opened(path) as app:
            append = app.store.events.append

            async def measured(appends: Sequence[Append]) -> Any:
                sizes.extend(len(stream.events) for each in appends for stream in each.streams)
                return await append(appends)

            monkeypatch.setattr(app.store.events, "append", measured)
            result = await app.runs.start(plan, config=RunConfig(skip_tags=("unwanted",)))
            return result.phase, (await app.runs.read.report(result.run_id)).events

    phase, events = asyncio.run(main())
    assert phase == "completed"
    assert events == sum(sizes)
    assert events > 2 * len(ids)
    assert max(sizes) <= EVENTS_PER_APPEND_MAX / 2


def test_fold_snapshots_cost_in_proportion_to_the_facts_of_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four times the facts must not cost sixteen times the bytes."""
    written = [0]
    fold_row = Journal.fold_row

    def measured(self: Journal, fold: Fold[Any], stream: str, loaded: Loaded[Any]) -> Any:
        row = fold_row(self, fold, stream, loaded)
        written[0] += len(row.value or b"")
        return row

    monkeypatch.setattr(Journal, "fold_row", measured)

    async def bytes_for(facts: int) -> int:
        plan = Plan("factual")

        @plan.state(side_effects="read_only_io")
        async def note(io: Io) -> int:
            for number in range(facts):
                await io.record_value(f"fact:{number}", number)
            return facts

        written[0] = 0
        often: dict[str, object] = {"fold_snapshot_events": 50}
        async with opened(tmp_path / f"{facts}.db", engine=often, sqlite=UNSAFE) as app:
            assert (await app.runs.start(plan)).phase == "completed"
        return written[0]

    few, many = asyncio.run(bytes_for(1000)), asyncio.run(bytes_for(4000))
    assert 0 < few < many < 8 * few


# References and questions


def test_an_event_cannot_name_an_artifact_that_is_not_there(path: Path) -> None:
    plan = Plan("dangling")

    @plan.state
    async def names(rec: Recorder) -> int:
        with pytest.raises(InterlockError) as caught:
            await rec.emit("ready", {"n": 1}, payload_ref="0" * 64)
        assert caught.value.code == "payload_ref_unknown"
        await rec.emit("ready", {"n": 1}, payload_ref=await rec.artifact("Output", b"a report"))
        await rec.emit("again", payload_ref="0" * 64)
        return 1

    async def main() -> tuple[RunResult, list[Struct | None], list[str]]:
        async with opened(path) as app:
            result = await app.runs.start(plan)
        report = await examine(path)
        return result, await records(path, result.run_id), [finding.message for finding in report.findings]

    result, log, findings = asyncio.run(main())
    assert result.phase == "failed"
    assert [each.name for each in log if isinstance(each, e.DomainEmitted)] == ["ready"]
    assert [each.error.info.code for each in log if isinstance(each, e.StateFailed)] == ["payload_ref_unknown"]
    assert findings == []


def test_questions_about_unknown_runs_leave_nothing_behind(path: Path) -> None:
    async def main() -> None:
        async with opened(path) as app:
            for _ in range(100):
                with pytest.raises(InterlockError) as caught:
                    await app.runs.read.result(str(uuid4()))
                assert caught.value.code == "run_not_found"
            assert len(app.runs.read._turns) == 0
            assert len(app.runs.read._seen) == 0

    asyncio.run(main())


# Plans in files

BROKEN = {
    "exits": ("import sys\n\nsys.exit(0)\n", 3),
    "raises": ("from interlock import Plan\n\n\nraise ValueError('secret words')\n", 4),
    "cannot be parsed": ("from interlock import Plan\nplan = = Plan('x')\n", 2),
    "misses a module": ("\nimport a_module_that_nobody_has\n", 2),
}
GREETING = """
from greetings import WORDS
from interlock import Plan

plan = Plan("greeting")


@plan.state
async def greet() -> str:
    return WORDS
"""


def interlock(folder: Path, *line: str) -> Ended:
    return run(*line, "--json", program=PRODUCT, folder=folder)


@pytest.mark.parametrize("what", BROKEN)
def test_starting_a_plan_whose_file_fails_exits_2_and_names_file_and_line(tmp_path: Path, what: str) -> None:
    """Also one that ends its process: that must not look like a run that went well."""
    text, line = BROKEN[what]
    (tmp_path / "broken.py").write_text(text)

    done = interlock(tmp_path, "run", "start", "broken.py:plan")

    assert done.code == 2, done.err
    error = json.loads(done.out)["error"]
    assert error["code"] == "plan_import_failed"
    assert "broken.py" in error["message"]
    assert re.search(rf"(:|line ){line}\b", error["message"])
    assert "secret words" not in error["message"]


def test_a_plan_file_imports_its_sibling_from_whatever_folder_it_is_started(tmp_path: Path) -> None:
    flows = tmp_path / "flows"
    flows.mkdir()
    (flows / "greetings.py").write_text('WORDS = "good morning"\n')
    (flows / "flow.py").write_text(GREETING)

    done = interlock(tmp_path, "run", "start", "flows/flow.py:plan")

    assert done.code == 0, done.err
    assert json.loads(done.out)["phase"] == "completed"
    shown = interlock(tmp_path, "run", "output", json.loads(done.out)["run_id"], "greet")
    assert json.loads(shown.out)["values"] == {"greet": "good morning"}


def test_plan_files_of_one_stem_are_two_plans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "flow.py").write_text(GREETING.replace("greeting", folder, 1).replace("greeting", folder))
        (tmp_path / folder / f"{folder}s.py").write_text(f'WORDS = "{folder}"\n')
    sources = [f"{tmp_path / folder / 'flow.py'}:plan" for folder in ("one", "two", "one")]

    assert [load_plan(source).op_id for source in sources] == ["one", "two", "one"]


# Starting a known id without driving it

KNOWN = """
import asyncio
import os
from pathlib import Path
from interlock import Io, IoCall, Plan

running = Plan("running")
failed = Plan("failed")
parked = Plan("parked")


@running.state
async def waits() -> int:
    Path("entered").touch()
    while not Path("gate").exists():
        await asyncio.sleep(0.01)
    return 1


@failed.state
async def fails() -> int:
    raise ValueError


@parked.state(side_effects="apply_side_effect")
async def publish(io: Io) -> int:
    request = {"kind": "run_program_v1", "program_path": "/bin/sleep", "argv": ["60"], "timeout_ms": 50}
    await io.call(IoCall("exec", request, "effect:1"))
    return 1
"""


@pytest.mark.parametrize(("plan", "code", "phase"), [("failed", 1, "failed"), ("parked", 8, "running")])
def test_a_detached_start_of_a_known_id_exits_0_whatever_became_of_it(
    tmp_path: Path, plan: str, code: int, phase: str
) -> None:
    """The start is durable, which is all that was asked for."""
    (tmp_path / "known.py").write_text(KNOWN)
    line = ("run", "start", f"known.py:{plan}", "--run-id", str(uuid4()), "--json")
    assert run(*line, program=PRODUCT, folder=tmp_path).code == code

    again = run(*line, "--detach", program=PRODUCT, folder=tmp_path)

    assert again.code == 0, again.err
    assert json.loads(again.out)["phase"] == phase


def test_a_detached_start_of_an_id_that_another_process_drives_exits_0_at_once(tmp_path: Path) -> None:
    (tmp_path / "known.py").write_text(KNOWN)
    line = ("run", "start", "known.py:running", "--run-id", str(uuid4()), "--json")
    owner = subprocess.Popen([*PRODUCT, *line], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        wait_for((tmp_path / "entered").exists)
        again = run(*line, "--detach", program=PRODUCT, folder=tmp_path)

        assert again.code == 0, again.err
        assert json.loads(again.out)["phase"] == "running"
    finally:
        (tmp_path / "gate").touch()
        out, _ = owner.communicate(timeout=SECONDS_MAX)
    assert owner.returncode == 0
    assert json.loads(out)["phase"] == "completed"
