"""What is proved after every test can fail: each check names a store that breaks its rule, and excuses no other.

The checks stand in `tests/proof.py`; `tests/conftest.py` makes them after every test.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from interlock import App
from interlock.base.principal import ENGINE
from interlock.engine.views import RUNS
from interlock.journal.leases.views import LEASES
from interlock.journal.ports import Blob, ViewRow
from interlock.journal.views import table_of
from interlock.stores.activation import Activation
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.proof import CHECKS, no_lease_held, no_orphan, nothing_held, prove, runs_wanted, sound
from tests.simulation.crashes import RUN_ID
from tests.simulation.plans import numbers
from tests.witness import Seen, Witness, checks_of, content_of

STREAM = f"default/run/{RUN_ID}"
LOST = Blob("b5bb9d8014a0f9b1d61e21e796d78dccdf1352f23cd32812f4850b878ae4944c", "Output", b"foo\n")


def forge_event(app: App) -> None:
    events = content(app).streams[STREAM]
    events[1] = replace(events[1], data=b"{}")


def forge_row(app: App) -> None:
    content(app).views["default", table_of(RUNS)].put(ViewRow("default/run/nobody", 1, {}, b"{}"))


def hold(app: App) -> None:
    content(app).agenda.put(STREAM, Activation(STREAM, "default", "run", None, 7, app.store.owner, 1 << 50))


def leave_due(app: App) -> None:
    content(app).agenda.put(STREAM, Activation(STREAM, "default", "run", 1))


def leave_loose(app: App) -> None:
    content(app).blobs.put(LOST.id, LOST.content)


FAULTS: dict[str, tuple[Callable[[App], None], Any, str]] = {
    "an event with other data": (forge_event, sound, "event_corrupt"),
    "a row that no event makes": (forge_row, sound, "view_row_wrong"),
    "a claim that nobody gave back": (hold, nothing_held, "is still held by"),
    "a run that has ended and is due": (leave_due, runs_wanted, "still wants an owner"),
    "an artifact that nobody names": (leave_loose, no_orphan, "is named by no event"),
}


@pytest.mark.unproved("it damages its store, to see the damage named")
@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_breaks_a_rule_is_named_by_the_check_of_the_rule(fault: str) -> None:
    damage, check, expected = FAULTS[fault]

    async def scenario() -> None:
        app = await finished()
        assert await wrong(app) == []
        damage(app)
        assert [expected in each for each in await wrong(app, check)] == [True]

    run(scenario())


@pytest.mark.unproved("it leaves a run that nobody will drive")
def test_a_run_that_can_go_on_and_is_never_due_is_named() -> None:
    async def scenario() -> None:
        app = memory_app()
        await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID, detach=True)
        assert await wrong(app) == []
        content(app).agenda.put(STREAM, None)
        assert [each.endswith("will ever be asked to drive it") for each in await wrong(app)] == [True]

    run(scenario())


@pytest.mark.unproved("it leaves a unit with a run that has ended, and a request")
def test_a_unit_that_a_run_holds_or_waits_for_after_its_end_is_named() -> None:
    async def scenario() -> None:
        app = await finished()
        for request in ("held", "waiting"):
            await app.leases.acquire(
                "flow/k", holder=STREAM, request_id=request, lease_ms=1_000, capacity=1, principal=ENGINE
            )
        assert [each.removeprefix(STREAM) for each in await wrong(app, no_lease_held)] == [
            " holds a unit of flow/k and has ended or is idle",
            " has ended and still waits for a unit of flow/k",
        ]

    run(scenario())


@pytest.mark.unproved("it leaves a loose artifact")
def test_what_a_dying_owner_had_put_is_no_orphan() -> None:
    async def scenario() -> None:
        app = await finished()
        leave_loose(app)
        seen = content(app)
        assert await prove(seen, app.journal.catalogue, [RUNS], CHECKS, calm=False) == []

    run(scenario())


def test_a_store_in_a_file_is_proved_as_one_in_memory(tmp_path: Path) -> None:
    async def main() -> list[str]:
        path = tmp_path / "store"
        async with App.open(path) as app:
            await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID)
            found = await prove(path, app.journal.catalogue, [RUNS], CHECKS)
            await app.store.artifacts.put([LOST])
            return found + await prove(path, app.journal.catalogue, [RUNS], CHECKS)

    [orphan] = asyncio.run(main())
    assert orphan == f"artifact {LOST.id} is named by no event"
    (tmp_path / "store").unlink()  # so that this test's own proof has nothing to name


def test_a_store_is_seen_wherever_a_test_opens_it(tmp_path: Path) -> None:
    witness = Witness()

    async def main() -> None:
        async with App.open(tmp_path / "store") as app:
            witness.journal(app.journal)
            witness.views(app.views)

    asyncio.run(main())
    [seen] = witness._seen.values()
    assert isinstance(seen, Seen)
    assert (seen.content, seen.calm) == (tmp_path / "store", True)
    assert set(seen.views) >= {table_of(LEASES), table_of(RUNS)}
    assert witness.findings(CHECKS) == []


@pytest.mark.parametrize(
    ("args", "options", "left"),
    [
        (("why",), {}, ()),
        (("why",), {"but": ["no_orphan"]}, tuple(check for check in CHECKS if check is not no_orphan)),
    ],
)
def test_a_mark_excuses_from_what_it_names(args: Any, options: Any, left: Any) -> None:
    assert tuple(checks_of(marked(*args, **options))) == left


@pytest.mark.parametrize(("args", "options"), [(("",), {}), (("why",), {"but": ["no_such_check"]})])
def test_a_mark_without_a_reason_or_with_an_unknown_check_is_a_fault(args: Any, options: Any) -> None:
    with pytest.raises(AssertionError):
        checks_of(marked(*args, **options))


def marked(*args: Any, **options: Any) -> pytest.Item:
    mark = pytest.mark.unproved(*args, **options).mark
    return cast("pytest.Item", SimpleNamespace(iter_markers=lambda name: [mark]))


async def finished() -> App:
    """An application with one run that has ended, and a view that has seen it."""
    app = memory_app()
    await app.runs.start(numbers(), {"start": 1}, run_id=RUN_ID)
    await app.views.catch_up("default", RUNS.name)
    return app


async def wrong(app: App, *checks: Any) -> list[str]:
    """What is wrong with the store of an application."""
    return await prove(content(app), app.journal.catalogue, [RUNS], checks or CHECKS)


def content(app: App) -> Any:
    found = content_of(app.store)
    assert found is not None
    return found
