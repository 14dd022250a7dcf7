"""One order to many runs: looked at first, acted on by count, recorded, and completed after a crash."""

from __future__ import annotations

from typing import Any

import pytest

from interlock import App, InterlockError
from interlock.engine.control.service import Control
from interlock.engine.search import batches, pages
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds
from tests.unit.engine.search.plans import IDS, asking, call, counting, failing, ids

ORDER: dict[str, Any] = {"action": "cancel", "op": "ask", "reason": "wrong input"}


async def five(app: App) -> None:
    for number in range(5):
        await app.runs.start(asking(), run_id=IDS[number])
    await app.runs.start(counting(), {"numbers": []}, run_id=IDS[9])


async def orders(app: App) -> list[int]:
    """How many entries the inbox of each of the five runs has."""
    return [len(await app.journal.tail(f"default/run/{run_id}/inbox", 0)) for run_id in IDS[:5]]


@over_seeds(0)
async def test_without_a_count_a_batch_only_shows_what_it_would_act_on() -> None:
    app = memory_app()
    await five(app)
    shown = await call(app, "run.batch", **ORDER)

    assert (shown.acted, shown.matches, len(shown.runs)) == (False, 5, 5)
    assert shown.next == "interlock run batch cancel --op ask --reason 'wrong input' --expect 5"
    assert await orders(app) == [0] * 5
    assert (await call(app, "batch.list")).items == []


@over_seeds(0)
async def test_a_batch_shows_no_more_than_ten_runs_and_counts_all() -> None:
    app = memory_app()
    for number in range(12):
        await app.runs.start(asking(), run_id=IDS[number])

    shown = await call(app, "run.batch", **ORDER)
    assert (shown.matches, len(shown.runs)) == (12, 10)


@over_seeds(0)
async def test_another_count_than_the_one_that_was_seen_is_refused_with_both_and_nothing_is_done() -> None:
    app = memory_app()
    await five(app)
    with pytest.raises(InterlockError) as caught:
        await call(app, "run.batch", **ORDER, expect=4)

    assert caught.value.code == "batch_count_changed"
    assert (caught.value.details["expected"], caught.value.details["found"]) == (4, 5)
    assert await orders(app) == [0] * 5


@over_seeds(0)
async def test_a_batch_is_recorded_with_who_what_why_and_what_came_of_it() -> None:
    app = memory_app()
    await five(app)
    done = await call(app, "run.batch", **ORDER, expect=5, batch_id="b1")

    assert (done.acted, done.told, done.refused) == (True, 5, 0)
    assert sorted(await ids(app, state="cancelled")) == IDS[:5]
    shown = await call(app, "batch.show", batch="b1")
    assert (shown.batch.ordered_by, shown.batch.reason, shown.batch.count) == ("local:ada", "wrong input", 5)
    assert (shown.batch.state, shown.where.op, shown.codes) == ("done", "ask", {"told": 5})
    assert sorted(each.run_id for each in shown.outcomes) == IDS[:5]
    assert [row.batch_id for row in (await call(app, "batch.list", state="done")).items] == ["b1"]


@over_seeds(0)
async def test_the_same_order_under_the_same_id_is_one_batch_and_another_is_a_conflict() -> None:
    app = memory_app()
    await five(app)
    first = await call(app, "run.batch", **ORDER, expect=5, batch_id="b1")
    assert await call(app, "run.batch", **ORDER, expect=5, batch_id="b1") == first
    assert await orders(app) == [1] * 5

    for other in ({"action": "pause"}, {"reason": "else"}, {"expect": 6}, {"op": "count"}):
        with pytest.raises(InterlockError) as caught:
            await call(app, "run.batch", **{**ORDER, "expect": 5, "batch_id": "b1", **other})
        assert caught.value.code == "batch_conflict"


@over_seeds(0)
async def test_a_command_id_makes_a_batch_the_same_again() -> None:
    app = memory_app()
    await five(app)
    one = await call(app, "run.batch", command_id="once", **ORDER, expect=5)

    assert await call(app, "run.batch", command_id="once", **ORDER, expect=5) == one


@pytest.mark.parametrize("after", [0, 1, 3, 5])
@pytest.mark.parametrize("resumed", ["again", "by id"])
def test_a_batch_that_was_killed_is_completed_and_no_run_is_told_twice(after: int, resumed: str) -> None:
    @over_seeds(0)
    async def main() -> None:
        app = memory_app()
        await five(app)
        told, control = 0, app.runs.control
        cancel = control.cancel

        async def dying(run_id: str, reason: str, **options: Any) -> None:
            nonlocal told
            if told == after:
                raise KeyboardInterrupt
            told += 1
            await cancel(run_id, reason, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(control, "cancel", dying)
            if after < 5:
                with pytest.raises(KeyboardInterrupt):
                    await call(app, "run.batch", **ORDER, expect=5, batch_id="b1")
            else:
                patch.setattr(batches.Batches, "_stored", _dies_at_the_outcomes(batches.Batches._stored))
                with pytest.raises(KeyboardInterrupt):
                    await call(app, "run.batch", **ORDER, expect=5, batch_id="b1")
        [row] = (await call(app, "batch.list", state="running")).items
        assert row.batch_id == "b1"

        if resumed == "again":
            await call(app, "run.batch", **ORDER, expect=5, batch_id="b1")
        else:
            await call(app, "batch.resume", batch="b1")
        assert (await call(app, "batch.show", batch="b1")).codes == {"told": 5}
        assert await orders(app) == [1] * 5
        assert sorted(await ids(app, state="cancelled")) == IDS[:5]

    main()


def _dies_at_the_outcomes(stored: Any) -> Any:
    async def dying(self: batches.Batches, kind: str, value: object) -> str:
        if kind == batches.OUTCOMES_KIND:
            raise KeyboardInterrupt
        found: str = await stored(self, kind, value)
        return found

    return dying


@over_seeds(0)
async def test_a_run_that_refuses_is_reported_with_its_code_and_holds_up_no_other() -> None:
    app = memory_app()
    await five(app)
    cancel, control = app.runs.control.cancel, app.runs.control
    ended = False

    async def first_ends(run_id: str, reason: str, **options: Any) -> None:
        nonlocal ended
        if not ended:
            ended = True
            await Control.cancel(control, IDS[2], "quicker", principal=options["principal"])
        await cancel(run_id, reason, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(control, "cancel", first_ends)
        await call(app, "run.batch", **ORDER, expect=5, batch_id="b1")

    shown = await call(app, "batch.show", batch="b1")
    assert shown.codes == {"told": 4, "run_ended": 1}
    assert {each.run_id for each in shown.outcomes if each.outcome == "run_ended"} == {IDS[2]}


@over_seeds(0)
async def test_paused_runs_go_on_and_failed_steps_are_tried_again_by_a_batch() -> None:
    app = memory_app()
    await five(app)
    await call(app, "run.batch", action="pause", op="ask", reason="lunch", expect=5)
    assert len(await ids(app, state="paused")) == 5
    await call(app, "run.batch", action="unpause", state="paused", reason="back", expect=5)
    assert len(await ids(app, state="suspended")) == 5

    await app.runs.start(failing(attempts=2), run_id=IDS[7])
    retried = await call(app, "run.batch", action="retry", state="waiting", reason="it is up", expect=6, batch_id="r")
    assert (retried.told, retried.refused) == (1, 5)
    assert (await call(app, "batch.show", batch="r")).codes == {"told": 1, "step_not_ready": 5}
    assert (await app.runs.resume(IDS[7])).phase == "failed"


@over_seeds(0)
async def test_a_batch_is_bounded_by_a_setting_and_refuses_more() -> None:
    app = memory_app(settings={"search": {"batch_runs_max": 4}})
    await five(app)
    too_many = "5 runs match, and one batch acts on at most 4"
    wanted: list[tuple[dict[str, Any], str]] = [
        ({}, too_many),
        ({"expect": 4}, too_many),
        ({"expect": 5}, "one batch acts on at most 4 runs, not 5"),
    ]
    for more, message in wanted:
        with pytest.raises(InterlockError) as caught:
            await call(app, "run.batch", **ORDER, **more)
        assert (caught.value.code, caught.value.message) == ("batch_too_large", message)
        assert caught.value.details["limit"] == 4
    assert await orders(app) == [0] * 5


def test_counting_what_is_beyond_the_limit_ends_somewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "EXAMINED_MAX", 2)
    monkeypatch.setattr(pages, "LOOKED_AT_MAX", 3)

    @over_seeds(0)
    async def scenario() -> None:
        for limit, message in (
            (1, "4 or more runs match, and one batch acts on at most 1"),
            (9, "more than 3 runs would have to be looked into"),
        ):
            app = memory_app(settings={"search": {"batch_runs_max": limit}})
            await five(app)
            with pytest.raises(InterlockError) as caught:
                await call(app, "run.batch", **ORDER)
            assert (caught.value.code, caught.value.message) == ("batch_too_large", message)

    scenario()


@over_seeds(0)
async def test_runs_that_have_ended_are_never_meant() -> None:
    app = memory_app()
    await five(app)

    assert (await call(app, "run.batch", action="cancel", reason="all")).matches == 5
    assert (await call(app, "run.batch", action="cancel", reason="all", state="completed")).matches == 0


@over_seeds(0)
async def test_a_batch_that_nobody_ordered_is_not_found() -> None:
    for verb in ("batch.show", "batch.resume"):
        with pytest.raises(InterlockError) as caught:
            await call(memory_app(), verb, batch="none")
        assert caught.value.code == "batch_not_found"
