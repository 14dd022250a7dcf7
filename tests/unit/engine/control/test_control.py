"""What people tell a run, and what becomes of it, with and without somebody who drives it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock import App, Io, IoCall, Plan, RetryPolicy, StateFailure
from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.control.service import Control
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import run

ADA = local_principal("ada")
RUN = "11111111-1111-4111-8111-111111111111"


def slow() -> Plan:
    plan = Plan("slow")

    @plan.state
    async def first() -> None: ...

    @plan.state(after=["first"])
    async def long() -> None:
        await asyncio.sleep(3600)

    @plan.state(after=["long"])
    async def last() -> str:
        return "done"

    return plan


def waiting() -> Plan:
    plan = Plan("ask")

    @plan.state
    async def wait(io: Io) -> Any:
        return await io.wait("go")

    @plan.state(after=["wait"])
    async def last() -> str:
        return "done"

    return plan


def flaky(tries: list[int]) -> Plan:
    plan = Plan("flaky")

    @plan.state(retry=RetryPolicy.fixed(2, delay_ms=3_600_000))
    async def often() -> str:
        tries.append(1)
        if len(tries) < 3:
            raise StateFailure("busy", "try later", retryable=True)
        return "done"

    return plan


async def records(app: App) -> list[Any]:
    return [event.record for event in await read_run(app, RUN)]


def test_a_cancelled_run_that_nobody_drives_ends_at_once() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        await app.runs.control.cancel(RUN, "no longer needed", principal=ADA)

        assert (await app.runs.read.result(RUN)).phase == "cancelled"
        ended = await records(app)
        assert ended[-1] == e.RunCompleted(ended[0].initial_snapshot_id, e.RunStatus.CANCELLED)
        cancelling = next(record for record in ended if isinstance(record, e.RunCancelling))
        assert (cancelling.actor, cancelling.reason) == ("local:ada", "no longer needed")

    run(main())


def test_cancelling_interrupts_what_is_under_way_and_the_handler_may_clean_up() -> None:
    """K7: the closure of the attempt and the end of the run are one append."""
    cleaned: list[str] = []
    plan = Plan("clean")

    @plan.state
    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            cleaned.append("up")

    async def main() -> None:
        app = memory_app()
        driving = asyncio.create_task(app.runs.start(plan, run_id=RUN))
        await asyncio.sleep(1)
        await app.runs.control.cancel(RUN, "stop", principal=ADA)

        assert (await driving).phase == "cancelled"
        assert cleaned == ["up"]
        ended = await records(app)
        names = [type(record).__name__ for record in ended[-4:]]
        assert names == ["StateFailed", "RunCancelling", "InboxTaken", "RunCompleted"]
        assert ended[-4].error.info.code == "run_cancelled"
        assert len({event.envelope.at_ms for event in (await read_run(app, RUN))[-4:]}) == 1

    run(main())


def test_an_owner_in_another_process_hears_of_a_cancellation() -> None:
    async def main() -> None:
        one = memory_app()
        other = memory_app(one.store.reopen())  # type: ignore[attr-defined]
        driving = asyncio.create_task(one.runs.start(slow(), run_id=RUN))
        await asyncio.sleep(1)
        await other.runs.control.cancel(RUN, "stop", principal=ADA)

        assert (await driving).phase == "cancelled"

    run(main())


def test_cancelling_now_fences_a_living_owner_out() -> None:
    async def main() -> None:
        one = memory_app()
        other = memory_app(one.store.reopen())  # type: ignore[attr-defined]
        driving = asyncio.create_task(one.runs.start(slow(), run_id=RUN))
        await asyncio.sleep(1)

        assert (await other.runs.cancel_now(RUN, "stop", principal=ADA)).phase == "cancelled"
        with pytest.raises(InterlockError, match="run_ended"):
            await other.runs.cancel_now(RUN, "stop", principal=ADA)
        # The owner works on until its next append is refused; then it sees that the run has ended.
        assert (await driving).phase == "cancelled"

    run(main())


def test_a_cancelled_run_does_not_claim_that_its_effect_did_not_happen() -> None:
    plan = Plan("pay")

    @plan.state(side_effects="apply_side_effect")
    async def pay(io: Io) -> None:
        await io.call(IoCall("slow", {}, fact_key="pay"))

    class Slow:
        async def call(self, _request: Any, _context: Any) -> Any:
            await asyncio.sleep(3600)

        def effectful(self, _request: Any) -> bool:
            return True

        async def close(self) -> None: ...

    async def main() -> None:
        app = memory_app(transports={"slow": Slow()})
        driving = asyncio.create_task(app.runs.start(plan, run_id=RUN))
        await asyncio.sleep(1)
        await app.runs.control.cancel(RUN, "stop", principal=ADA)

        assert (await driving).phase == "cancelled"
        assert set((await app.runs.read.state(RUN)).intents) == {"pay"}

    run(main())


def test_a_paused_run_enters_no_state_until_it_is_unpaused() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        await app.runs.control.pause(RUN, "change freeze", principal=ADA)
        await app.runs.control.signal(RUN, "wait", "go", 1, principal=ADA)

        paused = await app.runs.resume(RUN)
        assert paused.waiting is not None
        assert paused.waiting.kind == "paused"
        [reason, *_] = await app.runs.read.why(RUN)
        assert "change freeze" in reason.explanation
        await app.runs.control.unpause(RUN, "it is over", principal=ADA)
        assert (await app.runs.resume(RUN)).phase == "completed"

    run(main())


@pytest.mark.parametrize("step", ["wait", "last"])
def test_a_skipped_step_completes_without_its_handler(step: str) -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        await app.runs.control.skip(RUN, step, "done by hand", principal=ADA)
        if step == "last":
            await app.runs.control.signal(RUN, "wait", "go", 1, principal=ADA)

        assert (await app.runs.resume(RUN)).phase == "completed"
        assert await app.runs.read.output(RUN, step) is None

    run(main())


def test_a_step_is_tried_again_at_once_and_with_its_whole_budget_on_request() -> None:
    tries: list[int] = []

    async def main() -> None:
        app = memory_app()
        held = await app.runs.start(flaky(tries), run_id=RUN)
        assert held.waiting is not None
        assert held.waiting.kind == "backoff"
        await app.runs.control.retry(RUN, "often", "it is up again", reset=True, principal=ADA)

        again = await app.runs.resume(RUN)
        assert again.waiting is not None  # the second failure is again the first of its budget
        await app.runs.control.retry(RUN, "often", "now", principal=ADA)
        assert (await app.runs.resume(RUN)).phase == "completed"
        assert len(tries) == 3

    run(main())


def test_an_edited_policy_holds_and_neither_manifest_nor_plan_changes() -> None:
    tries: list[int] = []

    async def main() -> None:
        app = memory_app()
        await app.runs.start(flaky(tries), run_id=RUN)
        before = await app.runs.read.state(RUN)
        manifest, fingerprint = before.manifest_id, before.fingerprint
        policy = RetryPolicy.fixed(5, delay_ms=0)
        await app.runs.control.edit(RUN, "often", "be patient", retry=policy, timeout_ms=9_000, principal=ADA)
        await app.runs.control.retry(RUN, "often", "now", principal=ADA)

        assert (await app.runs.resume(RUN)).phase == "completed"
        after = await app.runs.read.state(RUN)
        assert (after.manifest_id, after.fingerprint) == (manifest, fingerprint)
        assert after.edits["flaky.often.main"].timeout_ms == 9_000

    run(main())


@pytest.mark.parametrize("tell", ["skip", "retry", "edit"])
def test_a_step_that_is_none_or_has_completed_takes_no_order(tell: str) -> None:
    async def order(control: Control, step: str) -> str:
        with pytest.raises(InterlockError) as caught:
            await getattr(control, tell)(RUN, step, "why not", principal=ADA)
        return caught.value.code

    async def main() -> None:
        app = memory_app()
        driving = asyncio.create_task(app.runs.start(slow(), run_id=RUN))
        await asyncio.sleep(1)
        assert await order(app.runs.control, "nothing") == "step_unknown"
        assert await order(app.runs.control, "first") == "step_not_ready"
        if tell != "edit":
            assert await order(app.runs.control, "long") == "step_not_ready"  # it is running
        await app.runs.control.cancel(RUN, "enough", principal=ADA)
        await driving
        assert await order(app.runs.control, "last") == "run_ended"

    run(main())


def test_a_run_that_is_not_done_in_time_fails() -> None:
    async def main() -> None:
        app = memory_app()
        result = await app.runs.start(slow(), run_id=RUN, timeout_ms=5_000)
        assert (result.phase, result.error and result.error.code) == ("failed", "run_timed_out")

        idle = await app.runs.start(waiting(), timeout_ms=5_000, detach=True)
        await app.runs.worker.work(until_idle=True)
        await asyncio.sleep(6)
        assert (await app.runs.worker.work(until_idle=True)).fired == 1
        assert (await app.runs.read.result(idle.run_id)).phase == "failed"
        assert await app.store.timers.next_due("default") is None

    run(main())


def test_an_order_holds_no_secret() -> None:
    async def main() -> None:
        app = memory_app()
        await app.runs.start(waiting(), run_id=RUN)
        secret = "AKIA" + "IOSFODNN7EXAMPLE"
        with pytest.raises(InterlockError, match="secrets_detected"):
            await app.runs.control.cancel(RUN, f"key {secret}", principal=ADA)
        with pytest.raises(InterlockError, match="secrets_detected"):
            await app.runs.control.signal(RUN, "wait", "go", {"password": "hunter2hunter2"}, principal=ADA)

    run(main())
