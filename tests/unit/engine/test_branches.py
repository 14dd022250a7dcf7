"""States that run at once: where each starts from, and how what they wrote is joined."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from itertools import permutations
from typing import Any

import pytest

from interlock import App, Context, Io, Plan, RetryPolicy, RunConfig, StateFailure
from interlock.base.canonical import canonical
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.config import FanOutJoin
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import run

ADA = local_principal("ada")
RUN = "11111111-1111-4111-8111-111111111111"
LARGE = "x" * 5_000


def at_once(limit: int = 8) -> RunConfig:
    return RunConfig(execution_mode=FanOutJoin.of(limit))


def writing(edges: Mapping[str, tuple[str, ...]], writes: Mapping[str, Mapping[str, Any]], delay_s: Any = None) -> Plan:
    """A plan whose states write what `writes` says, each after its own time; None deletes."""
    plan = Plan("graph")

    def add(name: str, before: tuple[str, ...]) -> None:
        @plan.state(name=name, after=list(before))
        async def state(ctx: Context) -> None:
            await asyncio.sleep((delay_s or {}).get(name, 0))
            seen = await ctx.dump()
            ctx.write(f"seen by {name}", sorted(key for key in seen if not key.startswith("seen")))
            for key, value in writes.get(name, {}).items():
                if value is None:
                    ctx.delete(key)
                else:
                    ctx.write(key, value)

    for name, before in edges.items():
        add(name, before)
    return plan


DIAMOND = {"a": (), "b": ("a",), "c": ("a",), "d": ("b", "c")}


async def context_after(plan: Plan, config: RunConfig) -> dict[str, Any]:
    app = memory_app()
    result = await app.runs.start(plan, run_id=RUN, config=config)
    assert result.phase == "completed", result
    return await app.runs.read.context(RUN)


def test_a_state_sees_what_its_ancestors_wrote_and_nothing_else() -> None:
    writes = {name: {f"from {name}": 1} for name in DIAMOND}

    async def main() -> None:
        context = await context_after(writing(DIAMOND, writes, {"b": 1, "c": 2}), at_once())
        assert context["seen by b"] == ["from a"]
        assert context["seen by c"] == ["from a"]  # although b had completed before it was written
        assert context["seen by d"] == ["from a", "from b", "from c"]

    run(main())


def test_a_later_ancestor_wins_over_an_earlier_one_wherever_they_meet() -> None:
    """The join of a branch that changed a key and one that kept its ancestor's value takes the change."""
    edges = {"a": (), "b": ("a",), "c": ("a",), "e": ("c",), "d": ("b", "e")}
    writes: dict[str, dict[str, Any]] = {
        "a": {"k": "a", "gone": 1, "big": LARGE},
        "b": {"k": "b", "gone": None},
        "c": {"big": LARGE + "c"},
    }

    async def main() -> None:
        for late in ("b", "c", "e"):
            context = await context_after(writing(edges, writes, {late: 1}), at_once())
            assert (context["k"], "gone" in context, context["big"]) == ("b", False, LARGE + "c")
            assert context["seen by d"] == ["big", "k"]
            assert context["seen by c"] == ["big", "gone", "k"]

    run(main())


def test_a_base_that_joins_several_branches_leaves_nothing_that_no_event_names() -> None:
    """Contexts between two joins were stored once, for nobody; the proof after each test finds what no event names."""
    edges = {"a": (), **dict.fromkeys("bcd", ("a",)), "e": ("b", "c", "d")}
    writes = {name: {f"from {name}": LARGE} for name in edges}

    async def main() -> None:
        context = await context_after(writing(edges, writes, {"b": 3, "c": 2, "d": 1}), at_once())
        assert context["seen by e"] == ["from a", "from b", "from c", "from d"]

    run(main())


@pytest.mark.parametrize(
    "writes",
    [
        {"b": {"k": 1}, "c": {"k": 2}},
        {"a": {"k": 1}, "b": {"k": 1}, "c": {"k": 2}},
        {"a": {"k": 1}, "b": {"k": None}, "c": {"k": 1}},
        {"b": {"k": LARGE}, "c": {"k": LARGE + "."}},
    ],
    ids=["two values", "one as it was", "deleted and kept", "large values"],
)
def test_two_states_that_write_one_key_differently_conflict_whatever_the_timing(
    writes: Mapping[str, Mapping[str, Any]],
) -> None:
    async def main() -> None:
        told = []
        for b, c in permutations((1, 2)):
            app = memory_app()
            await app.runs.start(writing(DIAMOND, writes, {"b": b, "c": c}), run_id=RUN, config=at_once())
            [failed] = [x.record for x in await read_run(app, RUN) if isinstance(x.record, e.StateFailed)]
            assert (failed.error.info.code, failed.error.info.retryable) == ("context_write_conflict", False)
            assert (await app.runs.read.result(RUN)).phase == "failed"
            told.append((failed.error.info.message, bytes(failed.error.info.details)))
        assert told[0] == told[1]
        assert told[0][1] == canonical({"key": "k", "states": ["graph.b.main", "graph.c.main"]})

    run(main())


def test_states_that_write_the_same_agree() -> None:
    async def main() -> None:
        writes = {"b": {"k": 1}, "c": {"k": 1}}
        assert (await context_after(writing(DIAMOND, writes), at_once()))["k"] == 1

    run(main())


def test_the_end_is_the_same_for_every_limit_and_as_in_sequence() -> None:
    """P8."""
    names = [f"s{number}" for number in range(9)]
    edges = {name: tuple(names[max(0, at - 3) : at : 2]) for at, name in enumerate(names)}
    plan = Plan("sums")

    def add(name: str, before: tuple[str, ...]) -> None:
        @plan.state(name=name, after=list(before))
        async def state(ctx: Context) -> int:
            await asyncio.sleep(len(before))
            return 1 + sum([await ctx.require(each, int) for each in before])

    for name, before in edges.items():
        add(name, before)

    async def main() -> None:
        ends = set()
        for config in (RunConfig(), *(at_once(limit) for limit in (1, 2, 3, 9))):
            app = memory_app()
            ends.add((await app.runs.start(plan, run_id=RUN, config=config)).final_snapshot_id)
        assert len(ends) == 1

    run(main())


def test_no_more_run_at_once_than_the_limit_says_and_the_settings_allow() -> None:
    running, most = [0], [0]
    plan = Plan("wide")

    def add(number: int) -> None:
        @plan.state(name=f"s{number}")
        async def state() -> None:
            running[0] += 1
            most[0] = max(most[0], running[0])
            await asyncio.sleep(1)
            running[0] -= 1

    for number in range(10):
        add(number)

    async def main() -> None:
        for limit, allowed, expected in ((3, 256, 3), (100, 4, 4)):
            most[0] = 0
            app = memory_app(settings={"engine": {"concurrency_max": allowed}})
            assert (await app.runs.start(plan, config=at_once(limit))).phase == "completed"
            assert most[0] == expected

    run(main())


def test_one_branch_that_backs_off_or_waits_does_not_hold_up_the_others() -> None:
    tries: list[str] = []
    plan = Plan("mixed")

    @plan.state(retry=RetryPolicy.fixed(2, delay_ms=10_000))
    async def busy() -> str:
        tries.append("busy")
        if len(tries) == 1:
            raise StateFailure("busy", "later", retryable=True)
        return "done"

    @plan.state
    async def asks(io: Io) -> object:
        return await io.wait("go")

    @plan.state
    async def quick() -> str:
        tries.append("quick")
        return "done"

    @plan.state
    async def after(quick: str) -> str:
        tries.append("after")
        return quick

    async def main() -> None:
        app = memory_app()
        waiting = await app.runs.start(plan, run_id=RUN, config=at_once())
        assert tries == ["busy", "quick", "after", "busy"]
        assert waiting.waiting is not None
        assert (waiting.waiting.kind, waiting.waiting.state_id) == ("suspended", "mixed.asks.main")
        await app.runs.control.signal(RUN, "asks", "go", 1, principal=ADA)
        assert (await app.runs.resume(RUN)).phase == "completed"

    run(main())


def test_a_branch_that_fails_for_good_starts_nothing_new_and_lets_the_others_finish() -> None:
    ended: list[str] = []
    plan = Plan("failing")

    @plan.state
    async def bad() -> None:
        await asyncio.sleep(1)
        raise StateFailure("broken", "for good")

    @plan.state
    async def long() -> None:
        await asyncio.sleep(5)
        ended.append("long")

    @plan.state(after=["long"])
    async def never() -> None:
        ended.append("never")

    async def main() -> None:
        app = memory_app()
        result = await app.runs.start(plan, run_id=RUN, config=at_once())
        assert (result.phase, result.error and result.error.code) == ("failed", "broken")
        assert ended == ["long"]

    run(main())


def test_cancelling_ends_every_branch_under_way() -> None:
    plan = Plan("branches")
    cleaned: list[str] = []

    def add(name: str) -> None:
        @plan.state(name=name)
        async def state() -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                cleaned.append(name)

    for name in ("a", "b", "c"):
        add(name)

    async def main() -> None:
        app = memory_app()
        driving = asyncio.create_task(app.runs.start(plan, run_id=RUN, config=at_once()))
        await asyncio.sleep(1)
        await app.runs.control.cancel(RUN, "enough", principal=ADA)
        assert (await driving).phase == "cancelled"
        assert sorted(cleaned) == ["a", "b", "c"]
        failed = [x.record for x in await read_run(app, RUN) if isinstance(x.record, e.StateFailed)]
        assert {record.error.info.code for record in failed} == {"run_cancelled"}

    run(main())


async def halted(app: App, plan: Plan) -> None:
    """A run that its owner leaves in the middle: whoever is under way stays open."""
    driving = asyncio.create_task(app.runs.start(plan, run_id=RUN, config=at_once()))
    await asyncio.sleep(1.5)
    driving.cancel()
    await asyncio.wait([driving])


def test_several_orphans_are_entered_again_each_from_its_own_base_and_conflicts_are_still_found() -> None:
    async def main() -> None:
        for writes, phase in (
            ({"b": {"b": 1}, "c": {"c": 1}}, "completed"),
            ({"b": {"k": 1}, "e": {"k": 2}}, "failed"),
        ):
            edges = {"a": (), "b": ("a",), "c": ("a",), "e": ("a",), "d": ("b", "c", "e")}
            plan = writing(edges, writes, {"b": 1, "c": 2, "e": 3})
            one = memory_app()
            await halted(one, plan)
            other = memory_app(one.store.reopen())  # type: ignore[attr-defined]
            result = await other.runs.resume(RUN, plan=plan)
            assert result.phase == phase, result
            closed = [x.record for x in await read_run(other, RUN) if isinstance(x.record, e.StateFailed)]
            orphans = [r.state_id for r in closed if r.error.info.code == "orphan_attempt_recovered"]
            assert sorted(orphans) == ["graph.c.main", "graph.e.main"]

    run(main())
