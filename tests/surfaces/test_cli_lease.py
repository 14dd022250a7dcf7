"""The verbs about leases, as an operator types them: who holds, who waits, and ending a holding by hand."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from interlock import App
from interlock.base.principal import Principal
from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import answer

ADA = Principal(id="local:ada")
HOUR_MS = 3_600_000
LEASE = "deploy/production"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A store with a lease that `build` holds and two wait for."""

    async def main() -> None:
        (tmp_path / ".interlock").mkdir()
        async with App.open(tmp_path / ".interlock" / "store.db") as app:
            for name in ("build", "test", "ship"):
                await app.leases.acquire(
                    LEASE, holder=name, request_id=name, lease_ms=HOUR_MS, capacity=1, principal=ADA
                )

    asyncio.run(main())
    return tmp_path


def test_the_list_shows_each_lease_with_what_is_held_and_how_many_wait(folder: Path) -> None:
    done = run("lease", "list", program=PRODUCT, folder=folder)

    assert done.text.splitlines() == [
        "NAME               STATE       CAPACITY  UNITS HELD  HOLDERS  QUEUED",
        "deploy/production  waited_for  1         1           1        2",
    ]
    assert answer(folder, "lease", "list", "--state", "free")["items"] == []


def test_a_lease_shows_its_holders_and_its_queue_in_order(folder: Path) -> None:
    shown = answer(folder, "lease", "show", LEASE)

    assert [(each["token"], each["holder"]) for each in shown["holders"]] == [(1, "build")]
    assert [(each["place"], each["holder"]) for each in shown["queue"]] == [(1, "test"), (2, "ship")]
    assert (shown["capacity"], shown["units_held"]) == (1, 1)
    people = run("lease", "show", LEASE, program=PRODUCT, folder=folder)
    assert (people.code, people.err) == (0, "")
    assert "build" in people.text


def test_a_seized_lease_goes_to_who_waits_and_the_reason_is_kept(folder: Path) -> None:
    because = ("--reason", "its machine is gone")

    assert answer(folder, "lease", "seize", LEASE, "1", *because) == {"lease": LEASE, "token": 1}

    assert [each["holder"] for each in answer(folder, "lease", "show", LEASE)["holders"]] == ["test"]
    lost = answer(folder, "lease", "seize", LEASE, "1", *because, code=4)
    assert lost["error"]["code"] == "lease_lost"
    assert answer(folder, "doctor")["healthy"]


def test_a_lease_that_is_released_for_its_holder_goes_to_who_waits(folder: Path) -> None:
    answer(folder, "lease", "release", LEASE, "1")

    assert [each["token"] for each in answer(folder, "lease", "show", LEASE)["holders"]] == [2]
    assert answer(folder, "lease", "release", LEASE, "1", code=4)["error"]["code"] == "lease_lost"


@pytest.mark.parametrize("line", [("show",), ("release", "1"), ("seize", "1", "--reason", "gone")])
def test_a_lease_that_nobody_asked_for_is_not_found(folder: Path, line: tuple[str, ...]) -> None:
    found = answer(folder, "lease", line[0], "other", *line[1:], code=3)

    assert found["error"]["code"] == "lease_not_found"
