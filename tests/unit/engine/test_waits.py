"""Waits: facts that have not arrived yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import Raw, Struct

from interlock import App, Io, Plan, RunConfig
from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.config import FanOutJoin
from interlock.engine.waits import misplaced
from interlock.journal.chain import Recorded
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import run

ADA = local_principal("ada")
RUN = "11111111-1111-4111-8111-111111111111"


class Approval(Struct, frozen=True):
    by: str
    ok: bool = True


def asking(ask: Callable[[Io], Any]) -> Plan:
    """A plan of one state that returns what it was answered."""
    plan = Plan("ask")

    @plan.state
    async def wait(io: Io) -> Any:
        return await ask(io)

    return plan


def kinds(events: list[Recorded]) -> list[str]:
    return [type(event.record).__name__ for event in events]


async def answered(app: App, value: Any, name: str = "go") -> None:
    await app.runs.control.signal(RUN, "wait", name, value, principal=ADA)


def test_a_state_that_waits_ends_its_attempt_and_goes_on_with_the_answer() -> None:
    async def main() -> None:
        app = memory_app()
        waiting = await app.runs.start(asking(lambda io: io.wait("go", Approval)), run_id=RUN)
        assert (waiting.phase, waiting.waiting and waiting.waiting.kind) == ("running", "suspended")
        await answered(app, {"by": "ada"})

        done = await app.runs.resume(RUN)

        assert done.phase == "completed"
        assert await app.runs.read.output(RUN, "wait") == {"by": "ada", "ok": True}
        report = await app.runs.read.report(RUN)
        assert (report.steps[0].attempts, report.steps[0].failures, report.steps[0].crashes) == (2, 0, 0)

    run(main())


def test_an_answer_that_comes_before_it_is_asked_for_waits() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(asking(lambda io: io.wait("go", int)), run_id=RUN, detach=True)
        await answered(app, 7)

        assert (await app.runs.resume(RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "wait") == 7
        assert "StateSuspended" not in kinds(await read_run(app, RUN))

    run(main())


def test_an_early_answer_of_another_type_is_refused_and_the_wait_stays_open() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(asking(lambda io: io.wait("go", int)), run_id=RUN, detach=True)
        await answered(app, "seven")

        waiting = await app.runs.resume(RUN)

        assert waiting.waiting is not None
        assert waiting.waiting.kind == "suspended"
        refused = [x.record for x in await read_run(app, RUN) if isinstance(x.record, e.SignalReceived)]
        assert [record.code for record in refused] == [None, "signal_invalid"]
        await answered(app, 8)
        assert (await app.runs.resume(RUN)).phase == "completed"

    run(main())


def test_of_several_early_answers_the_first_that_fits_counts() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(asking(lambda io: io.wait("go", int)), run_id=RUN, detach=True)
        for value in ("seven", 8, 9):
            await answered(app, value)

        assert (await app.runs.resume(RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "wait") == 8

    run(main())


def test_a_second_answer_is_acknowledged_and_changes_nothing() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(asking(lambda io: io.wait("go", int)), run_id=RUN)
        await answered(app, 1)
        before = kinds(await read_run(app, RUN))
        await answered(app, 2)

        assert kinds(await read_run(app, RUN)) == before
        assert (await app.runs.resume(RUN)).phase == "completed"
        await answered(app, 3)  # also when the run has ended
        assert await app.runs.read.output(RUN, "wait") == 1

    run(main())


@pytest.mark.parametrize(
    ("step", "name", "value", "code"),
    [
        ("wait", "go", "text", "signal_invalid"),
        ("nothing", "go", 1, "step_unknown"),
        (None, "0" * 64, 1, "wait_unknown"),
        ("wait", "", 1, "id_invalid"),
    ],
)
def test_an_answer_that_fits_nothing_is_refused(step: str | None, name: str, value: Any, code: str) -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(asking(lambda io: io.wait("go", int)), run_id=RUN)
        with pytest.raises(InterlockError, match=code):
            await app.runs.control.signal(RUN, step, name, value, principal=ADA)

    run(main())


def test_a_wait_is_answered_by_its_token_too_and_the_token_stays_the_same() -> None:
    async def main() -> None:
        app = memory_app()

        async def both(io: Io) -> list[int]:
            return [await io.wait("first", int), await io.wait("second", int)]

        await app.runs.start(asking(both), run_id=RUN)
        state = await app.runs.read.state(RUN)
        token = state.waits["ask.wait.main"]["first"].token
        await app.runs.control.signal(RUN, None, token, 1, principal=ADA)
        await app.runs.resume(RUN)
        await app.runs.control.signal(RUN, None, token, 5, principal=ADA)
        await answered(app, 2, "second")

        assert (await app.runs.resume(RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "wait") == [1, 2]

    run(main())


def test_waits_that_are_asked_for_at_once_are_open_at_once() -> None:
    async def main() -> None:
        app = memory_app()

        async def both(io: Io) -> list[int]:
            return list(await asyncio.gather(io.wait("a", int), io.wait("b", int)))

        async def group(io: Io) -> list[int]:
            async with asyncio.TaskGroup() as tasks:
                asked = [tasks.create_task(io.wait(name, int)) for name in ("a", "b")]
            return [each.result() for each in asked]

        for ask in (both, group):
            app = memory_app()
            await app.runs.start(asking(ask), run_id=RUN)
            assert set((await app.runs.read.state(RUN)).waits["ask.wait.main"]) == {"a", "b"}
            await answered(app, 2, "b")
            await answered(app, 1, "a")
            assert (await app.runs.resume(RUN)).phase == "completed"
            assert await app.runs.read.output(RUN, "wait") == [1, 2]

    run(main())


def test_a_handler_that_swallows_the_end_of_its_attempt_waits_all_the_same() -> None:
    """Nothing goes on past an answer that is not there."""

    async def main() -> None:
        async def swallow(io: Io) -> str:
            results = await asyncio.gather(io.wait("go", int), return_exceptions=True)
            return f"{type(results[0]).__name__}"

        app = memory_app()
        waiting = await app.runs.start(asking(swallow), run_id=RUN)
        assert waiting.waiting is not None
        assert waiting.waiting.kind == "suspended"
        await answered(app, 1)
        await app.runs.resume(RUN)
        assert await app.runs.read.output(RUN, "wait") == "int"

    run(main())


def test_a_deadline_ends_a_wait_with_its_default_and_counts_from_the_first_time() -> None:
    async def main() -> None:
        app = memory_app()

        async def ask(io: Io) -> list[object]:
            return [await io.wait("now", int), await io.wait("later", int, timeout_ms=5_000, default=9)]

        waiting = await app.runs.start(asking(ask), run_id=RUN)
        assert waiting.waiting is not None
        assert waiting.waiting.until_ms is None
        await answered(app, 1, "now")
        assert (await app.runs.resume(RUN)).phase == "completed"  # the deadline is near, and is sat out
        assert await app.runs.read.output(RUN, "wait") == [1, 9]

    run(main())


def test_a_deadline_without_a_default_is_an_error_that_the_handler_may_catch() -> None:
    async def main() -> None:
        app = memory_app()

        async def ask(io: Io) -> str:
            try:
                return str(await io.wait("go", int, timeout_ms=100))
            except InterlockError as fault:
                return fault.code

        assert (await app.runs.start(asking(ask), run_id=RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, "wait") == "wait_timed_out"
        other = await app.runs.start(asking(lambda io: io.wait("go", int, timeout_ms=100)))
        assert (other.phase, other.error and other.error.code) == ("failed", "wait_timed_out")

    run(main())


def test_an_answer_in_time_beats_the_deadline_and_leaves_no_timer() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(asking(lambda io: io.wait("go", int, timeout_ms=3_600_000, default=0)), run_id=RUN)
        assert await app.store.timers.next_due("default") is not None
        await answered(app, 4)
        assert await app.store.timers.next_due("default") is None
        await app.runs.resume(RUN)
        assert await app.runs.read.output(RUN, "wait") == 4

    run(main())


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("timeout_ms", [0, 1])
def test_a_wait_whose_time_is_over_as_it_is_asked_for_leaves_no_timer(concurrency: int, timeout_ms: int) -> None:
    """The timer fires after the append that sets it, so that no worker finds it for ever after."""

    async def ask(io: Io) -> int:
        return await io.wait("go", int, timeout_ms=timeout_ms, default=5)

    async def main() -> None:
        app = memory_app()
        mode = RunConfig(execution_mode=FanOutJoin.of(concurrency)) if concurrency > 1 else RunConfig()
        done = await app.runs.start(asking(ask), run_id=RUN, config=mode)

        assert (done.phase, await app.runs.read.output(RUN, "wait")) == ("completed", 5)
        assert await app.store.timers.scan("default", "", 10) == []
        [asked] = [each.position for each in await read_run(app, RUN) if isinstance(each.record, e.StateSuspended)]
        [fired] = [each.position for each in await app.journal.tail(f"default/run/{RUN}/inbox", 0)]
        assert asked < fired

    run(main())


def test_a_sleep_is_sat_out_where_it_is_short_and_else_left_to_the_timer() -> None:
    async def main() -> None:
        app = memory_app()

        async def nap(io: Io) -> str:
            await io.sleep("short", 1_000)
            await io.sleep("long", 86_400_000)
            return "awake"

        waiting = await app.runs.start(asking(nap), run_id=RUN)
        assert waiting.waiting is not None
        assert waiting.waiting.until_ms is not None
        await asyncio.sleep(86_400)  # virtual
        worked = await app.runs.worker.work(until_idle=True)
        assert worked.fired == 1
        assert await app.runs.read.output(RUN, "wait") == "awake"

    run(main())


@pytest.mark.parametrize(
    "ask",
    [
        lambda io: io.wait("go", timeout_ms=-1),
        lambda io: io.wait("go", timeout_ms=1, until_ms=2),
        lambda io: io.wait("go", default=1),
        lambda io: io.wait("go", object, schema={"type": {"a", "set"}}),
        lambda io: io.wait("x" * 600),
    ],
    ids=["negative", "two limits", "default without a limit", "no schema", "name too long"],
)
def test_a_wait_that_makes_no_sense_fails_its_state(ask: Callable[[Io], Any]) -> None:
    async def main() -> None:
        result = await memory_app().runs.start(asking(ask), run_id=RUN)
        assert result.phase == "failed"
        assert result.error is not None
        assert result.error.code in ("wait_invalid", "id_invalid")

    run(main())


def test_nobody_can_answer_a_wait_with_a_fact_of_his_own() -> None:
    async def main() -> None:
        async def forge(io: Io) -> None:
            await io.record_value("wait:ask.wait.main:go", 1)

        result = await memory_app().runs.start(asking(forge), run_id=RUN)
        assert result.error is not None
        assert result.error.code == "fact_key_reserved"

    run(main())


def test_a_wait_that_is_no_longer_needed_leaves_no_timer() -> None:
    async def main() -> None:
        app = memory_app()
        rounds: list[int] = []

        async def ask(io: Io) -> str:
            rounds.append(1)
            if len(rounds) == 1:
                await asyncio.gather(io.wait("a", int), io.wait("b", int, timeout_ms=3_600_000, default=0))
            return str(await io.wait("a", int))

        await app.runs.start(asking(ask), run_id=RUN)
        await answered(app, 1, "a")
        assert (await app.runs.resume(RUN)).phase == "completed"
        assert await app.store.timers.next_due("default") is None

    run(main())


def test_many_runs_that_sleep_in_one_process_fire_their_own_timers_alone() -> None:
    """Each firing every timer of all others would fill the queues, and fail runs for the timers of strangers."""

    async def main() -> None:
        app = memory_app()
        plan = asking(lambda io: io.sleep("nap", 2_000))
        results = await asyncio.gather(*(app.runs.start(plan) for _ in range(400)))
        assert {result.phase for result in results} == {"completed"}

    run(main())


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b'{"ok":"swordfish"}', 'at $.ok the schema wants type: "boolean"'),
        (b"{}", 'at $ the schema wants required: ["ok"]'),
        (b'{"ok":true,"numbers":[1,"swordfish"]}', 'at $.numbers[1] the schema wants type: "integer"'),
    ],
)
def test_a_misfit_names_its_place_and_what_is_expected_and_never_the_value(value: bytes, said: str) -> None:
    class Answer(Struct):
        ok: bool
        numbers: list[int] = []

    assert misplaced(Raw(canonical(msgspec.json.schema(Answer))), value) == said


@pytest.mark.parametrize("large", [True, False])
def test_more_waits_than_one_event_holds_fail_the_state_and_nothing_is_left_half_done(large: bool) -> None:
    """W1: many of them, or a few with large schemas; the attempt says so, and the run does not come back to it."""
    schema = {"type": "object", "description": "x" * 60_000} if large else None

    async def ask(io: Io) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(18 if large else 5_000):
                group.create_task(io.wait(f"w{number}", schema=schema))

    async def main() -> None:
        app = memory_app()
        result = await app.runs.start(asking(ask), run_id=RUN)
        assert (result.phase, result.error and result.error.code) == ("failed", "wait_invalid")

    run(main())


def test_as_many_waits_as_one_event_holds_are_kept_and_a_report_of_them_is_bounded() -> None:
    async def ask(io: Io) -> None:
        await asyncio.gather(*(io.wait(f"w{number}", int) for number in range(2_500)))

    async def main() -> None:
        app = memory_app()
        result = await app.runs.start(asking(ask), run_id=RUN)
        assert (result.phase, result.waiting and result.waiting.kind) == ("running", "suspended")
        report = await app.runs.read.report(RUN)
        assert (len(report.waits), report.totals.waits) == (100, 2_500)
        reasons = await app.runs.read.why(RUN)
        assert len(reasons) == 101
        assert (reasons[-1].kind, reasons[-1].explanation) == ("more", "2400 more reasons like these")

    run(main())


def test_answers_that_nothing_asks_for_are_bounded_over_all_names() -> None:
    """W4: whoever may signal cannot make the run's state grow without end."""
    plan = asking(lambda io: io.wait("go", int))

    @plan.state
    async def later(io: Io, wait: int) -> int:
        return await io.wait("more", int) + wait

    async def main() -> None:
        app = memory_app()
        await app.runs.start(plan, run_id=RUN)
        for number in range(1_000):
            await app.runs.control.signal(RUN, "later", f"stray{number}", number, principal=ADA)
        with pytest.raises(InterlockError, match=r"keeps no more answers.*\[step_not_ready\]"):
            await app.runs.control.signal(RUN, "later", "more", 1, principal=ADA)
        state = await app.runs.read.state(RUN)
        assert sum(len(answers) for answers in state.early["ask.later.main"].values()) == 1_000
        report = await app.runs.read.report(RUN)
        assert (len(report.early), report.totals.early) == (100, 1_000)
        await answered(app, 7)
        await app.runs.resume(RUN)
        await app.runs.control.signal(RUN, "later", "more", 1, principal=ADA)
        assert (await app.runs.resume(RUN)).phase == "completed"

    run(main())
