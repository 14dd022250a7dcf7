"""`run replay` as people call it: what it says, how it exits, and that it leaves the store as it was."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import time
from pathlib import Path
from typing import NoReturn

import pytest

from interlock import App
from interlock.base.errors import Refused
from interlock.base.principal import Principal, PrincipalKind
from interlock.engine.sources import load_plan
from interlock.stores.sqlite import open_sqlite
from tests.surfaces.process import PRODUCT, Ended, run
from tests.surfaces.product import HELLO, RUN, answer, begun, prepare, start_hello, start_waiting

DRAWING = """
import sys

from interlock import Context, Io, IoCall, Plan, Recorder

plan = Plan("drawing")


@plan.state(side_effects="read_only_io")
async def draw(io: Io, rec: Recorder) -> dict[str, object]:
    await rec.emit("drawing", {"by": "hand"})
    asked = {"kind": "run_program_v1", "program_path": sys.executable, "argv": ["-c", "print('{\\"x\\": 1}')"]}
    answer = await io.call(IoCall("exec", asked, "drawn"))
    return {"at": await io.now("drawn"), "nonce": (await io.random("nonce", 8)).hex(), "said": answer.response["json"]}


@plan.state
async def frame(draw: dict[str, object], ctx: Context) -> str:
    for key in {"b", "a", "ü", "Z"}:
        ctx.write(key, [key, draw["at"]])
    return f"{draw['nonce']} in a frame"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "drawing.py").write_text(DRAWING)
    return prepare(tmp_path)


def replay(folder: Path, *line: str, environ: dict[str, str] | None = None) -> Ended:
    return run("run", "replay", *line, program=PRODUCT, folder=folder, environ=environ)


def store(folder: Path) -> Path:
    [found] = folder.glob(".interlock/*.db")
    return found


def test_a_run_that_replays_identically_says_so_and_exits_with_zero(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]
    done = replay(folder, run_id)
    report = answer(folder, "run", "replay", run_id)

    assert (done.code, done.text) == (0, "identical: 2 attempts replayed, 2 compared, 0 skipped\n")
    assert (report["run_id"], report["identical"], report["divergence"]) == (run_id, True, None)


def test_a_changed_handler_is_shown_with_its_key_and_exits_as_a_divergence(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]
    (folder / "hello2.py").write_text(HELLO.replace("Hello", "Goodbye"))
    done = replay(folder, run_id, "--plan", "hello2:plan")
    report = answer(folder, "run", "replay", run_id, "--plan", "hello2:plan", code=7)

    assert done.code == 7
    assert done.text.splitlines()[:2] == [
        "differs: 2 attempts replayed, 2 compared, 0 skipped",
        "greet, attempt 0, differs by its snapshot: the context differs in 1 key: greet",
    ]
    assert '  greet: {"text":"Hello Ada"} -> {"text":"Goodbye Ada"}' in done.text.splitlines()
    assert report["divergence"]["state_id"] == "greeting.greet.main"
    assert report["divergence"]["keys"] == [
        {"key": "greet", "recorded": '{"text":"Hello Ada"}', "replayed": '{"text":"Goodbye Ada"}'}
    ]


def test_a_run_that_was_killed_is_replayed_as_far_as_it_came(folder: Path) -> None:
    process = begun(folder, *start_waiting(folder))
    process.kill()
    process.communicate()
    report = answer(folder, "run", "replay", RUN)

    assert (report["identical"], report["phase"], report["compared"]) == (True, "running", 1)
    assert [each["state_id"] for each in report["not_comparable"]] == ["waiting.wait.main"]


def test_a_replay_leaves_the_store_as_it_was_to_the_byte_and_reads_one_that_cannot_be_written(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]
    before = {path: path.read_bytes() for path in store(folder).parent.rglob("*") if path.is_file()}
    answer(folder, "run", "replay", run_id)
    after = {path: path.read_bytes() for path in store(folder).parent.rglob("*") if path.is_file()}

    async def read_only() -> bool:
        opened = await open_sqlite(store(folder), create=False, read_only=True)
        async with App.open(opened) as app:
            report = await app.runs.replay(run_id, load_plan(f"{folder}/hello.py:plan"))
        await opened.close()
        return report.identical

    assert after == before
    assert asyncio.run(read_only())


def test_a_replay_on_a_store_in_a_file_needs_no_network_clock_or_entropy(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """P4, on SQLite, with a program that was run and what was drawn."""
    run_id = answer(folder, "run", "start", "drawing:plan")["run_id"]

    def forbidden(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a replay reaches outside")

    async def scenario() -> None:
        opened = await open_sqlite(store(folder), create=False, read_only=True)
        async with App.open(opened) as app:
            plan = load_plan(f"{folder}/drawing.py:plan")
            with monkeypatch.context() as patched:
                patched.setattr(socket, "socket", forbidden)
                for name in ("time", "time_ns"):
                    patched.setattr(time, name, forbidden)
                for name in ("urandom", "posix_spawn", "fork"):
                    patched.setattr(os, name, forbidden)
                report = await app.runs.replay(run_id, plan)
        await opened.close()
        assert report.divergence is None
        assert (report.compared, report.warnings) == (2, [])

    asyncio.run(scenario())


def test_a_replay_is_the_same_to_the_byte_under_any_hash_seed_zone_and_language(folder: Path) -> None:
    """P8, R9."""
    run_id = answer(folder, "run", "start", "drawing:plan")["run_id"]
    environs = [
        {"PYTHONHASHSEED": "1", "TZ": "UTC", "LC_ALL": "C"},
        {"PYTHONHASHSEED": "2", "TZ": "Asia/Kathmandu", "LC_ALL": "C.UTF-8"},
        {"PYTHONHASHSEED": "77", "TZ": "America/Los_Angeles", "LC_ALL": "tr_TR.UTF-8"},
    ]
    said = {replay(folder, run_id, "--json", environ=environ).out for environ in environs}

    [only] = said
    assert json.loads(only)["identical"]


def test_a_run_that_is_not_there_is_not_replayed(folder: Path) -> None:
    start_hello(folder)

    assert answer(folder, "run", "replay", RUN, code=3)["error"]["code"] == "run_not_found"


def test_a_plan_without_the_states_of_the_run_is_refused(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]

    assert answer(folder, "run", "replay", run_id, "--plan", "waiting:plan", code=4)["error"]["code"] == "plan_drifted"


def test_a_plan_that_has_changed_its_outline_is_replayed_with_only_where_it_is_named(folder: Path) -> None:
    run_id = start_hello(folder)["run_id"]
    with (folder / "hello.py").open("a") as plan:
        plan.write("\n\n@plan.state\nasync def wave(greet: dict[str, str]) -> None:\n    pass\n")

    assert answer(folder, "run", "replay", run_id, code=4)["error"]["code"] == "plan_drifted"
    named = answer(folder, "run", "replay", run_id, "--plan", "hello:plan")
    assert (named["identical"], [each["code"] for each in named["warnings"]]) == (True, ["plan_differs"])


def test_only_the_user_of_the_machine_may_name_code_to_replay_with(folder: Path) -> None:
    async def scenario() -> None:
        async with App.open() as app:
            stranger = Principal(id="user:mallory", kind=PrincipalKind.TOKEN, roles=("admin",))
            with pytest.raises(Refused) as refused:
                await app.client(stranger).call("run.replay", {"run": RUN, "plan": f"{folder}/hello.py:plan"})
            assert refused.value.code == "replay_plan_refused"

    asyncio.run(scenario())
