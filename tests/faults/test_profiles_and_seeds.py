"""What must not matter to a run: hash seed, time zone, locale, the profile of its events, and when it was."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from interlock import App, Context, DomainEvent, Io, IoCall, Plan, Recorder, RetryPolicy, RunConfig, StateFailure
from interlock.base.clock import SystemClock
from interlock.engine import events as e
from interlock.engine.decide import completed_states, decide
from interlock.engine.fold import RUN_FOLD
from interlock.engine.run_state import RunState
from interlock.engine.schedule import ReadyStates
from interlock.journal.chain import Recorded
from interlock.testing.app import read_run
from interlock.testing.checker import check_run
from tests.faults.durable import Durable
from tests.faults.halting import Halted, findings

PLACES = [
    {"PYTHONHASHSEED": "0", "TZ": "UTC", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "tr_TR.UTF-8"},
    {"PYTHONHASHSEED": "4242", "TZ": "America/St_Johns", "LC_ALL": "de_DE.UTF-8", "PYTHONUTF8": "0"},
]


def test_hash_seed_time_zone_and_locale_change_nothing_that_is_recorded(tmp_path: Path, durable: Durable) -> None:
    """P22: the same snapshot ids and the same digest of every event's data, in every process."""
    found = []
    for number, place in enumerate(PLACES):
        done = subprocess.run(
            [sys.executable, "-m", "tests.faults.seeded", str(durable.fresh(tmp_path, str(number)))],
            cwd=Path(__file__).parents[2],
            env={**os.environ, **place},
            capture_output=True,
            check=True,
        )
        found.append(json.loads(done.stdout))

    assert found[0]["phase"] == "completed"
    assert len(found[0]["digests"]) > 20
    assert found == [found[0]] * len(PLACES)


plan = Plan("profiled")
tries: list[int] = []


@plan.state
async def one(ctx: Context, rec: Recorder) -> str:
    await rec.emit_many([DomainEvent("noted", {"n": 1}), DomainEvent("noted", {"n": 2})])
    ctx.write("more", 1)
    return await rec.artifact("Output", b"report")


@plan.state(after=[one], side_effects="read_only_io", retry=RetryPolicy.fixed(3, 1))
async def two(io: Io, rec: Recorder) -> Any:
    request = {"kind": "call_function_v1", "function": "echo", "input": "q"}
    answer = (await io.call(IoCall("python", request, "asked"))).response
    await rec.emit("asked", answer)
    tries.append(1)
    if len(tries) % 3:
        raise StateFailure("not_yet", "it works the third time", retryable=True)
    return answer


@plan.state(after=[two], tags=["report"])
async def three(ctx: Context) -> int:
    return len(await ctx.dump())


@cache
def recorded(profile: str) -> list[Recorded]:
    async def main() -> list[Recorded]:
        async with App.open(functions={"echo": lambda value: value}) as app:
            config = RunConfig(event_profile=profile)  # type: ignore[arg-type]
            result = await app.runs.start(plan, config=config)
            assert result.phase == "completed"
            return await read_run(app, result.run_id)

    return asyncio.run(main())


def kept(events: list[Recorded], *dropped: type) -> list[object]:
    """What was recorded, but for whose claim it was, when a retry was due, and for the kinds that are `dropped`."""
    personal = (e.OwnerClaimed, e.RunStarted, e.RetryScheduled, *dropped)
    return [event.record for event in events if not isinstance(event.record, personal)]


@pytest.mark.unproved("the minimal profile keeps artifacts and not the events that name them", but=["no_orphan"])
@pytest.mark.parametrize("profile", ["Minimal", "Verbose"])
def test_a_profile_changes_no_kernel_event_no_fact_and_no_snapshot(profile: str) -> None:
    """P5, M7: only what is for people is dropped."""
    events = recorded(profile)
    check_run(events, plan=plan.build())

    assert kept(events, *e.OPTIONAL) == kept(recorded("Normal"), *e.OPTIONAL)
    assert [event for event in events if isinstance(event.record, e.FactRecorded)]
    if profile == "Minimal":
        assert kept(events) == kept(events, *e.OPTIONAL)
    else:
        assert len(kept(events)) == len(kept(recorded("Normal")))


def folded(events: list[Recorded], times: list[int]) -> RunState:
    state = RUN_FOLD.initial(events[0].envelope.stream)
    for event, at_ms in zip(events, times, strict=True):
        assert event.record is not None
        state = RUN_FOLD.evolve(state, event.record, replace(event.place, at_ms=at_ms))
    return state


def timeless(state: RunState) -> object:
    """A folded run without what only says when."""
    steps = {name: replace(step, entered_ms=0, ended_ms=0) for name, step in state.steps.items()}
    return replace(state, steps=steps, started_ms=0, at_ms=0)


@given(data=st.data())
def test_when_events_were_written_changes_nothing_that_a_run_is_or_does_next(data: st.DataObject) -> None:
    """P7, M8: at every length of the history, with times that are random, all zero or backwards."""
    events = recorded("Normal")
    events = events[: data.draw(st.integers(1, len(events)))]
    usual = [event.envelope.at_ms for event in events]
    moment = st.integers(0, 2**53 - 1)
    times = data.draw(
        st.sampled_from([usual[::-1], [0] * len(events)]) | st.lists(moment, min_size=len(events), max_size=len(events))
    )

    before, after = folded(events, usual), folded(events, times)

    assert timeless(after) == timeless(before)
    if before.status is None and before.fingerprint:
        assert next_step(after) == next_step(before)


def next_step(state: RunState) -> object:
    execution = plan.build()
    ready = ReadyStates(execution, completed_states(state), state.steps)
    return decide(state, execution, ready, RunConfig(), 2**53 - 1, 5)


class Shifted:
    """A clock that is off by some time."""

    def __init__(self, shift_ms: int) -> None:
        self._shift_ms = shift_ms

    def now_ms(self) -> int:
        return max(SystemClock().now_ms() + self._shift_ms, 0)


DAY_MS = 86_400_000


@pytest.mark.parametrize("shift_ms", [DAY_MS, -DAY_MS, -(2**53)], ids=["ahead", "behind", "at the beginning of time"])
def test_a_clock_that_jumps_between_two_owners_changes_nothing_but_times(
    tmp_path: Path, durable: Durable, shift_ms: int
) -> None:
    """P7, M8: the next owner goes on at once, and recorded time does not run backwards."""
    usual, halted = Halted(durable.fresh(tmp_path, "usual")), Halted(durable.fresh(tmp_path, "store"))
    halted.clock = Shifted(shift_ms)

    assert halted.resume() == usual.resume()
    times = [event.envelope.at_ms for event in halted.read()]
    assert times == sorted(times)
    assert findings(halted.store) == ""
