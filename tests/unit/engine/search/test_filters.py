"""Filters that are kept: saved, used, changed and forgotten."""

from __future__ import annotations

import pytest

from interlock import InterlockError
from interlock.base.principal import local_principal
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds
from tests.unit.engine.search.plans import IDS, asking, call, counting, ids

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3


@over_seeds(0)
async def test_a_saved_filter_finds_what_it_found_when_it_was_saved_and_a_line_narrows_it() -> None:
    app = memory_app()
    for number, team in enumerate(("blue", "red", "blue")):
        await app.runs.start(asking(), run_id=IDS[number], attributes={"team": team, "n": number})
    await call(app, "filter.save", name="mine", attribute=["team=blue"], state="waiting")

    assert sorted(await ids(app, filter="mine")) == [IDS[0], IDS[2]]
    assert await ids(app, filter="mine", attribute=["n=2"]) == [IDS[2]]
    [row] = (await call(app, "filter.list")).items
    assert (row.name, row.saved_by, row.where.attribute) == ("mine", "local:ada", ("team=blue",))


@over_seeds(0)
async def test_saving_the_same_again_records_nothing_and_saving_another_replaces_it() -> None:
    app = memory_app()
    for _ in range(2):
        await call(app, "filter.save", name="mine", op="ask")
    assert len(await app.journal.tail("default/filter/mine", 0)) == 1

    await call(app, "filter.save", name="mine", op="count")
    await app.runs.start(counting(), {"numbers": []}, run_id=IDS[0])
    assert await ids(app, filter="mine") == [IDS[0]]


@over_seeds(0)
async def test_a_filter_that_was_removed_is_not_found_and_the_same_command_again_changes_nothing() -> None:
    app = memory_app()
    await call(app, "filter.save", name="mine", op="ask")
    await call(app, "filter.remove", name="mine", command_id="once")
    await call(app, "filter.remove", name="mine", command_id="once")

    for line in ({"filter": "mine"},):
        with pytest.raises(InterlockError) as caught:
            await call(app, "run.list", **line)
        assert caught.value.code == "filter_not_found"
    with pytest.raises(InterlockError) as caught:
        await call(app, "filter.remove", name="mine")
    assert caught.value.code == "filter_not_found"
    assert (await call(app, "filter.list")).items == []


@over_seeds(0)
async def test_a_filter_belongs_to_its_tenant_and_holds_no_secret() -> None:
    app = memory_app()
    await call(app, "filter.save", name="mine", op="ask")
    with pytest.raises(InterlockError) as caught:
        await call(app, "run.list", local_principal("eve", "other"), filter="mine")
    assert caught.value.code == "filter_not_found"
    with pytest.raises(InterlockError) as caught:
        await call(app, "filter.save", name="keys", attribute=[f"token={TOKEN}"])
    assert caught.value.code == "secrets_detected"
