"""The application for programs without an event loop: plain calls, from any thread, that leave nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from interlock import InterlockError, Io, Plan, RetryPolicy, StateFailure, open_sync
from interlock.stores.memory import MemoryStore
from interlock.sync import SyncApp

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
SECONDS_MAX = 60
INTERRUPTED = """
import asyncio, sys
import interlock

plan = interlock.Plan("slow")


@plan.state
async def wait() -> int:
    print("waits", flush=True)
    await asyncio.sleep(1000)
    return 1


with interlock.open_sync(sys.argv[1]) as app:
    app.start(plan, run_id=sys.argv[2])
"""

plan = Plan("greeting")


@plan.state
async def greet(name: str) -> str:
    return f"Hello {name}"


asking = Plan("asking")


@asking.state
async def decide(io: Io) -> object:
    return await io.wait("go", object)


failing = Plan("failing")


@failing.state
async def fail() -> None:
    raise ValueError("no")


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("interlock")]


def test_a_run_is_started_asked_about_and_resumed_by_plain_calls(tmp_path: Path) -> None:
    with open_sync(tmp_path / "store.db") as app:
        result = app.start(plan, {"name": "Ada"}, run_id=RUN)
        assert (result.run_id, result.phase) == (RUN, "completed")
        assert app.output(RUN, "greet") == "Hello Ada"
        assert [step.status for step in app.report(RUN).steps] == ["completed"]
    with open_sync(str(tmp_path / "store.db")) as again:
        assert again.resume(RUN, plan=plan) == result
        assert again.replay(RUN, plan).identical


def test_without_a_path_the_store_is_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_sync() as app:
        assert isinstance(app.app.store, MemoryStore)
        assert app.start(plan, {"name": "Ada"}).phase == "completed"
    assert list(tmp_path.iterdir()) == []


def test_a_detached_start_is_driven_by_a_later_call() -> None:
    with open_sync() as app:
        assert app.start(plan, {"name": "Ada"}, run_id=RUN, detach=True).phase == "running"
        assert app.why(RUN)[0].kind == "queued"
        assert app.resume(RUN).phase == "completed"


def test_a_run_is_forked_and_compared() -> None:
    with open_sync() as app:
        app.start(plan, {"name": "Ada"}, run_id=RUN)
        fork = app.fork(RUN, "greet", input={"name": "Bob"})
        assert fork.phase == "completed"
        assert [change.name for change in app.diff(RUN, fork.run_id).context] == ["greet", "name"]


def test_why_says_what_failed() -> None:
    with open_sync() as app:
        run_id = app.start(failing).run_id
        [reason] = app.why(run_id)
        assert reason.kind == "failed"
        assert "ValueError" in reason.explanation


@pytest.mark.parametrize(
    "ask",
    [
        lambda app: app.report(RUN),
        lambda app: app.why(RUN),
        lambda app: app.resume(RUN),
        lambda app: app.output(RUN, "x"),
    ],
    ids=["report", "why", "resume", "output"],
)
def test_an_error_is_raised_where_the_call_was_made(ask: Callable[[SyncApp], object]) -> None:
    with open_sync() as app:
        with pytest.raises(InterlockError) as caught:
            ask(app)
        assert caught.value.code == "run_not_found"
        assert app.start(plan, {"name": "Ada"}).phase == "completed", "the application goes on"


def test_calls_of_several_threads_are_all_answered(tmp_path: Path) -> None:
    with open_sync(tmp_path / "store.db") as app, ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda n: app.start(plan, {"name": str(n)}), range(24)))
        greetings = {app.output(result.run_id, "greet") for result in results}

    assert greetings == {f"Hello {n}" for n in range(24)}


def test_nothing_is_left_behind_when_the_block_ends(tmp_path: Path) -> None:
    before = threads()
    with open_sync(tmp_path / "store.db") as app:
        app.start(plan, {"name": "Ada"})
        assert len(threads()) > len(before)
    assert threads() == before
    assert list((tmp_path / "store.db.owners").iterdir()) == []


def test_nothing_is_left_behind_when_opening_fails(tmp_path: Path) -> None:
    before = threads()
    with pytest.raises(InterlockError) as caught, open_sync(tmp_path / "nowhere" / "store.db"):
        pass
    assert caught.value.code == "store_unwritable"
    assert threads() == before


def test_a_failing_block_closes_the_application_and_keeps_its_own_error(tmp_path: Path) -> None:
    before = threads()
    with pytest.raises(KeyError, match="mine"), open_sync(tmp_path / "store.db"):
        raise KeyError("mine")
    assert threads() == before


def test_before_the_block_there_is_nothing_to_call() -> None:
    app = open_sync()
    with pytest.raises(RuntimeError, match=r"with interlock.open_sync"):
        app.start(plan, {"name": "Ada"})
    app._loop.close()


def test_an_interrupted_call_ends_with_its_program_and_its_run_can_be_resumed_at_once(tmp_path: Path) -> None:
    """C6, G7: nothing goes on behind the back of a program that was told to stop."""
    line = [sys.executable, "-c", INTERRUPTED, str(tmp_path / "store.db"), RUN]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waits\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=SECONDS_MAX)

    assert err.rstrip().endswith("KeyboardInterrupt")
    assert "pending" not in err
    assert "ignored" not in err
    with open_sync(tmp_path / "store.db") as app:
        assert app.why(RUN)[0].kind == "queued"


flaky = Plan("flaky")


@flaky.state(retry=RetryPolicy.fixed(9, 600_000))
async def fetch() -> None:
    raise StateFailure("net_down", "no answer", retryable=True)


def test_a_run_is_told_things_by_plain_calls() -> None:
    with open_sync() as app:
        run_id = app.start(asking, attributes={"team": "blue"}).run_id
        app.pause(run_id, "lunch")
        assert [reason.kind for reason in app.why(run_id)] == ["paused", "signal"]
        app.unpause(run_id, "back")
        assert app.signal(run_id, "decide", "go", {"ok": True})
        assert not app.signal(run_id, "decide", "go", {"ok": False})
        assert app.work_until_idle().driven == 1
        assert app.output(run_id, "decide") == {"ok": True}
        assert [row.run_id for row in app.call("run.list", {"attribute": ["team=blue"]}).items] == [run_id]


def test_failed_steps_and_whole_runs_are_decided_by_plain_calls() -> None:
    with open_sync() as app:
        one, two, three = (app.start(flaky).run_id for _ in range(3))
        app.retry(one, "fetch", "it is up", reset=True)
        app.edit(one, "fetch", "slow", retry=RetryPolicy.fixed(1))
        assert app.resume(one).phase == "failed"
        pass_over = app.skip  # no test is skipped here
        pass_over(two, "fetch", "we have it")
        assert app.resume(two).phase == "completed"
        app.cancel(three, "no need")
        assert app.report(three).phase == "cancelled"
        assert app.cancel_now(app.start(asking).run_id, "at once").phase == "cancelled"
