"""Large artifacts in files beside the database, and processes killed at every step of writing one.

A name of an artifact never stands for a part of its bytes, and no event names an artifact that is not there. SQLite
alone: PostgreSQL keeps artifacts in rows.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Collection
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.doctor import examine
from interlock.engine import events as e
from interlock.journal.chain import Recorded
from interlock.journal.ports import Append, Appended
from interlock.stores.sqlite import SqliteSettings, open_sqlite
from interlock.testing.checker import check_artifacts, check_run
from interlock.testing.contracts.harness import blob, onto, stream
from tests.faults.killing import Case, Zygote
from tests.faults.plans import PLANS

ALL_IN_FILES: dict[str, dict[str, object]] = {"sqlite": {"artifact_inline_bytes_max": 0}}
LOSING = ("file:torn", "folder:lost")
STEPS = {*LOSING, "file:unsynced", "file:synced", "artifact:before_rename", "folder:unsynced", "artifact:after_rename"}


def bulky(zygote: Zygote, folder: Path, settings: dict[str, dict[str, object]]) -> Case:
    folder.mkdir()
    return Case(zygote, folder, "bulky", settings=settings, in_files=True)


def checked(case: Case) -> list[Recorded]:
    """The events of a run whose every artifact was read, as far as there is a run."""

    async def main() -> list[Recorded]:
        events = await case.events()
        store = await open_sqlite(case.store, create=False)
        try:
            await check_artifacts(events, store.artifacts)
        finally:
            await store.close()
        return events

    events = asyncio.run(main()) if case.store.exists() else []
    check_run(events, plan=PLANS["bulky"].build())
    return events


def files_of(case: Case) -> list[Path]:
    """Every file of an artifact that has its name."""
    files = Path(f"{case.store}.artifacts").glob("??/*")
    return [path for path in files if not path.name.startswith(".")]


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        pytest.param({}, STEPS, id="large"),
        pytest.param(ALL_IN_FILES, LOSING, id="every"),
        pytest.param(ALL_IN_FILES, STEPS, id="every step of every", marks=pytest.mark.slow),
    ],
)
def test_a_kill_at_any_step_of_an_artifacts_file_leaves_no_half_and_no_name_without_bytes(
    zygote: Zygote, tmp_path: Path, settings: dict[str, dict[str, object]], steps: Collection[str]
) -> None:
    """F16, S10, M5: write, sync, rename and folder sync are each a place to die; unsynced bytes may be lost."""
    quiet = bulky(zygote, tmp_path / "quiet", settings)
    usual = quiet.finish()
    assert usual["answer"]["phase"] == "completed"
    assert set(usual["points"]) >= STEPS
    for kill_at, point in enumerate(usual["points"], 1):
        if point not in steps:
            continue
        killed = bulky(zygote, tmp_path / f"kill-{kill_at}", settings)
        assert killed.act("start", kill_at)["code"] == -9, point
        for path in files_of(killed):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name, point
        checked(killed)

        done = killed.finish()

        assert done["answer"] == usual["answer"], (kill_at, point)
        assert isinstance(checked(killed)[-1].record, e.RunCompleted)
        assert {line for line in killed.outside if line.startswith("deliver")} == {"deliver bulk"}


def traced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every sync and rename from now on, in order, by the name of what it concerns. They do happen."""
    trace: list[str] = []
    sync, rename = os.fsync, Path.rename

    def noted_sync(descriptor: int) -> None:
        sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        trace.append(f"synced {'folder ' if path.is_dir() else ''}{'beside' if WRITING in path.name else path.name}")

    def noted_rename(source: Path, target: Path) -> Path:
        renamed = rename(source, target)
        trace.append(f"named {target.name}")
        return renamed

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "rename", noted_rename)
    return trace


WRITING = ".writing-"
A = stream("a")
CONTENT = blob(b"large" * 100)


def appended(path: Path, trace: list[str], seq: int) -> None:
    """Append an event with an artifact that goes into a file, and note when the event is written."""

    def fault(point: str) -> None:
        if point in ("append:before", "append:after_commit"):
            trace.append(point)

    async def main() -> None:
        settings = SqliteSettings(artifact_inline_bytes_max=0)
        store = await open_sqlite(path, settings=settings, faults=fault)
        trace.clear()
        [head] = await store.events.heads([A])
        [outcome] = await store.events.append([Append([onto(head, A, b"%d" % seq)], (), [CONTENT])])
        assert isinstance(outcome, Appended)
        await store.close()

    asyncio.run(main())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors have no names here; look by 2027-06-30")
def test_bytes_name_and_folders_of_an_artifact_are_synced_before_its_event_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S10, S11: so that no power cut leaves an event without its artifact; shown by the calls and their order."""
    trace = traced(monkeypatch)
    group = CONTENT.id[:2]

    appended(tmp_path / "store.db", trace, 1)

    assert trace[: trace.index("append:after_commit") + 1] == [
        "synced folder store.db.artifacts",
        f"synced folder {tmp_path.name}",
        "synced beside",
        f"named {CONTENT.id}",
        f"synced folder {group}",
        "append:before",
        "append:after_commit",
    ]


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="descriptors have no names here; look by 2027-06-30")
def test_a_file_and_folders_that_a_dead_process_left_unsynced_are_synced_by_who_uses_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S10: the file was renamed and its folder never synced; another process finds it there and relies on it."""
    group = tmp_path / "store.db.artifacts" / CONTENT.id[:2]
    appended(tmp_path / "store.db", [], 1)
    (tmp_path / "store.db").unlink()  # the event that named it is gone, as if it had never been written
    trace = traced(monkeypatch)

    appended(tmp_path / "store.db", trace, 1)

    before = trace[: trace.index("append:before")]
    assert before == [
        "synced folder store.db.artifacts",
        f"synced folder {tmp_path.name}",
        f"synced folder {group.name}",
    ]


def test_what_a_killed_process_left_unfinished_is_no_damage(zygote: Zygote, tmp_path: Path) -> None:
    """F16: the file beside, that never got its name, stays unseen; doctor finds the store whole."""
    usual = bulky(zygote, tmp_path / "quiet", ALL_IN_FILES).finish()
    killed = bulky(zygote, tmp_path / "killed", ALL_IN_FILES)
    killed.act("start", usual["points"].index("file:torn") + 1)
    killed.finish()

    assert list(Path(f"{killed.store}.artifacts").glob("??/.writing-*"))
    report = asyncio.run(examine(killed.store))
    assert report.findings == []
    assert report.counts["artifacts"] == len(files_of(killed))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "remove"])
def test_a_damaged_file_is_told_and_never_taken_for_the_artifact(zygote: Zygote, tmp_path: Path, damage: str) -> None:
    """F20, S12: the bytes decide, never length or date alone; doctor names the artifact, for each of them."""
    case = bulky(zygote, tmp_path / "case", {})
    case.finish()
    expected = {"flip": "artifact_corrupt", "remove": "artifact_not_found"}.get(damage, "artifact_corrupt")
    files = files_of(case)
    assert len(files) >= 2
    for path in files:
        whole, status = path.read_bytes(), path.stat()
        harm(path, damage)
        assert asyncio.run(reading(case.store, path.name)) == expected
        assert path.name in {finding.place for finding in asyncio.run(examine(case.store)).findings}
        path.write_bytes(whole)
        assert asyncio.run(reading(case.store, path.name)) == "read"
        assert status.st_size == len(whole)


def harm(path: Path, damage: str) -> None:
    whole = path.read_bytes()
    if damage == "remove":
        path.unlink()
    elif damage == "flip":
        path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    else:
        path.write_bytes(whole[: len(whole) // 2 if damage == "cut" else 0])


async def reading(store_path: Path, artifact: str) -> str:
    """`read`, or the code with which an artifact is refused."""
    store = await open_sqlite(store_path, create=False)
    try:
        await store.artifacts.get([artifact])
    except InterlockError as fault:
        return fault.code
    finally:
        await store.close()
    return "read"
