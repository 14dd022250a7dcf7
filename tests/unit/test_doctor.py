"""Examining a store: physical and logical findings side by side, nothing changed, damage never an error."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from interlock import App, InterlockError, Io, Plan, Recorder
from interlock.base.principal import local_principal
from interlock.doctor import examine
from interlock.journal.verify import Report
from interlock.stores.sqlite import open_sqlite
from tests.faults.halting import sql

PAGE_BYTES = 4096
RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
plan = Plan("greeting")


@plan.state
async def greet(rec: Recorder, name: str) -> str:
    await rec.artifact("Output", name.encode() * 20_000)
    return f"Hello {name}"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one finished run and one large artifact in a file."""

    async def main() -> None:
        async with App.open(tmp_path / "store.db") as app:
            await app.runs.start(plan, {"name": "Ada Lovelace"}, run_id=RUN)
            await app.client(local_principal("ada")).call("run.list", {})

    asyncio.run(main())
    return tmp_path / "store.db"


def examined(path: Path) -> Report:
    return asyncio.run(examine(path))


def places(report: Report) -> str:
    return " ".join(finding.place for finding in report.findings)


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_sound_store_has_no_findings_and_is_left_as_it_was(store: Path) -> None:
    before = files(store.parent)

    report = examined(store)

    assert (report.findings, report.complete) == ([], True)
    assert report.counts["streams"] == 1
    assert files(store.parent) == before


@pytest.mark.unproved("it damages its store, to see the damage named")
def test_what_pages_and_what_chains_tell_stands_in_one_report(store: Path) -> None:
    sql(store, "UPDATE stream SET seq = seq + 1")  # its density is the store's, its chain the journal's affair
    [file] = (store.parent / "store.db.artifacts").glob("*/*")
    file.write_bytes(b"other")

    report = examined(store)

    assert f"default/run/{RUN}" in places(report)
    assert file.name in places(report)


@pytest.mark.unproved("it damages its store, to see the damage named")
def test_a_large_artifact_whose_file_is_gone_is_named(store: Path) -> None:
    [file] = (store.parent / "store.db.artifacts").glob("*/*")
    file.unlink()

    assert file.name in places(examined(store))


@pytest.mark.unproved("it damages its store, to see the damage named")
@pytest.mark.timeout(30)
def test_a_row_of_a_view_that_stands_elsewhere_in_the_order_is_named(store: Path) -> None:
    """P20: however a listing is disordered, looking through it comes to an end."""
    for shift in (1, -1):
        sql(store, f"UPDATE view_row SET ordinal = ordinal + {shift}")
        assert "runs@3" in places(examined(store))
        sql(store, f"UPDATE view_row SET ordinal = ordinal - {shift}")
    assert examined(store).findings == []


@pytest.mark.unproved("it damages its store, to see the damage named")
def test_a_store_that_cannot_be_opened_at_all_is_itself_the_finding(store: Path) -> None:
    store.write_bytes(store.read_bytes()[: 2 * PAGE_BYTES])

    before = files(store.parent)
    report = examined(store)

    assert report.findings
    assert not report.complete
    assert files(store.parent) == before


@pytest.mark.parametrize(("content", "code"), [(None, "store_not_found"), (b"text " * 2000, "store_foreign")])
def test_what_is_no_store_is_an_error(tmp_path: Path, content: bytes | None, code: str) -> None:
    if content is not None:
        (tmp_path / "store.db").write_bytes(content)

    with pytest.raises(InterlockError) as caught:
        examined(tmp_path / "store.db")

    assert caught.value.code == code
    assert content is not None or str(tmp_path / "store.db") in caught.value.message, "the whole path is named"


def test_a_store_that_others_write_to_is_examined_beside_them(store: Path) -> None:
    async def main() -> Report:
        other = await open_sqlite(store)
        try:
            async with App.open(other) as app:
                await app.runs.start(plan, {"name": "Ada"})
                return await examine(store)
        finally:
            await other.close()

    assert asyncio.run(main()).findings == []


@pytest.mark.unproved("it damages its store, to see the damage named")
def test_noise_on_any_page_is_never_an_error_and_mostly_found(store: Path) -> None:
    """P20: doctor answers whatever it meets; a page that holds nothing may take any bytes."""
    whole = store.read_bytes()
    noise = random.Random(7)  # noqa: S311 — no secret
    found = []
    for page in range(1, len(whole) // PAGE_BYTES):
        damaged = bytearray(whole)
        damaged[page * PAGE_BYTES : page * PAGE_BYTES + 64] = noise.randbytes(64)
        store.write_bytes(damaged)
        found.append(bool(examined(store).findings))
    assert sum(found) > len(found) // 2


# Activations


STREAM = f"default/run/{RUN}"
asking = Plan("asking")


@asking.state
async def answer(io: Io) -> str:
    return await io.wait("go", str)


def lived(path: Path, phase: str) -> None:
    """Make a store with one run that stands so."""

    async def main() -> None:
        async with App.open(path) as app:
            if phase == "suspended":
                await app.runs.start(asking, run_id=RUN)
            else:
                await app.runs.start(plan, {"name": "Ada"}, run_id=RUN, detach=phase == "queued")

    asyncio.run(main())


INSERT = "INSERT INTO activation (stream, partition, kind, due_ms, epoch) VALUES ('{}', 'default', 'run', 1, 9)"
FORGERIES = {
    "a deleted row": ("DELETE FROM activation", ("queued", "suspended")),
    "a row that nobody asked for": (INSERT.format(STREAM), ("ended",)),
    "a row of no run": (INSERT.format(STREAM[:-1] + "0"), ("queued", "suspended", "ended")),
    "a row that asks for nobody": ("UPDATE activation SET due_ms = NULL", ("queued",)),
    "a row of another kind": ("UPDATE activation SET kind = 'job'", ("queued", "suspended")),
    "a row of another partition": ("UPDATE activation SET partition = 'x'", ("queued", "suspended")),
    "a row that lost a claim": ("UPDATE activation SET epoch = 0", ("suspended",)),
}


@pytest.mark.unproved("it damages its store, to see the damage named")
@pytest.mark.parametrize(("forgery", "phase"), [(each, phase) for each in FORGERIES for phase in FORGERIES[each][1]])
def test_an_activation_that_does_not_fit_its_run_is_named(tmp_path: Path, forgery: str, phase: str) -> None:
    """P20: a run that nobody will be asked to drive, or an owner that is asked for in vain."""
    path = tmp_path / "store.db"
    lived(path, phase)
    assert examined(path).findings == []

    sql(path, FORGERIES[forgery][0])

    [finding] = examined(path).findings
    assert finding.kind == "activation_wrong"
    assert STREAM[:-1] in finding.place
