"""Where a store stands: one place under every name, refused when it is cut, and noticed when it goes away."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import pytest

from interlock.base.errors import Category, InterlockError
from interlock.base.events import Claim, Hold, Rest
from interlock.journal.ports import EMPTY, Append, Held
from interlock.stores.sqlite import SqliteSettings, SqliteStore, backup, check_integrity, open_sqlite
from interlock.testing.contracts.harness import append, blob, code_of, content, grow, onto, refusal, stream

A, B = stream("a"), stream("b")
NOW, LEASE = 1_000_000, 3_600_000
LARGE = blob(b"l" * 200_000)


def make(path: Path) -> None:
    """A closed store with one event and one large artifact."""

    async def main() -> None:
        store = await open_sqlite(path)
        await append(store, onto(EMPTY, A, b"1"), blobs=[LARGE])
        await store.close()

    asyncio.run(main())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def opening(path: Path, *, create: bool = True, read_only: bool = False) -> InterlockError:
    """The error with which a store does not open."""
    return asyncio.run(refusal(open_sqlite(path, create=create, read_only=read_only)))


# Several names


def test_a_store_opened_by_a_link_shares_locks_and_artifacts_with_its_own_name(tmp_path: Path) -> None:
    """One store, one set of owners and artifacts: a claim taken by one name is held under the other."""
    make(tmp_path / "store")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to("../store")
    (tmp_path / "other").symlink_to("folder")

    async def main() -> None:
        one = await open_sqlite(tmp_path / "store")
        two = await open_sqlite(tmp_path / "other" / "link")
        try:
            assert two.path == one.path
            assert await two.artifacts.get([LARGE.id]) == [LARGE.content]
            claim = await one.activations.take(A, "run", one.owner, NOW, LEASE)
            assert isinstance(claim, Claim)
            assert await two.activations.take(A, "run", two.owner, NOW, LEASE) == Held(claim)
        finally:
            await one.close()
            await two.close()

    asyncio.run(main())
    assert names(tmp_path) == ["folder", "other", "store", "store.artifacts", "store.owners"]
    assert names(tmp_path / "folder") == ["link"]
    assert asyncio.run(check_integrity(tmp_path / "folder" / "link")) == []


def test_a_backup_by_a_link_takes_the_artifacts_with_it(tmp_path: Path) -> None:
    make(tmp_path / "store")
    (tmp_path / "link").symlink_to("store")

    assert asyncio.run(backup(tmp_path / "link", tmp_path / "copy")).artifact_files == 1
    assert asyncio.run(check_integrity(tmp_path / "copy")) == []


def test_a_store_may_be_made_through_a_link_that_leads_to_nothing_yet(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("store")

    make(tmp_path / "link")

    assert names(tmp_path) == ["link", "store", "store.artifacts", "store.owners"]


@pytest.mark.parametrize("read_only", [True, False])
def test_a_file_with_a_second_name_is_refused_under_both(tmp_path: Path, read_only: bool) -> None:
    """A hard link cannot be followed: its log and locks would be others'."""
    make(tmp_path / "store")
    before = (tmp_path / "store").read_bytes()
    os.link(tmp_path / "store", tmp_path / "twin")

    for name in ("store", "twin"):
        fault = opening(tmp_path / name, read_only=read_only)
        assert (fault.code, fault.details) == ("store_linked", {"names": 2})
    assert asyncio.run(refusal(check_integrity(tmp_path / "twin"))).code == "store_linked"
    assert asyncio.run(refusal(backup(tmp_path / "twin", tmp_path / "copy"))).code == "store_linked"
    assert (tmp_path / "store").read_bytes() == before
    assert names(tmp_path) == ["store", "store.artifacts", "store.owners", "twin"]
    (tmp_path / "twin").unlink()
    make_again(tmp_path / "store")


def make_again(path: Path) -> None:
    """Open a store that is there and find its event."""

    async def main() -> None:
        store = await open_sqlite(path, create=False)
        assert await content(store, A) == [b"1"]
        await store.close()

    asyncio.run(main())


# Locks that go away


def test_a_lock_that_is_gone_ends_no_claim_before_its_time_and_is_put_back(tmp_path: Path) -> None:
    """Only a lock that is there and free proves a death; and the owner mends what was taken from it."""

    async def main() -> None:
        one, two = await open_sqlite(tmp_path / "store"), await open_sqlite(tmp_path / "store")
        claim = await one.activations.take(A, "run", one.owner, NOW, LEASE)
        assert isinstance(claim, Claim)
        shutil.rmtree(tmp_path / "store.owners")

        assert await two.activations.take(A, "run", two.owner, NOW, LEASE) == Held(claim)
        assert await two.activations.holder(A, NOW) == claim
        assert await two.activations.claim("default", ["run"], two.owner, 1, NOW, LEASE) == []
        assert isinstance(await two.activations.take(A, "run", two.owner, NOW + LEASE, LEASE), Claim)
        await two.close()

        assert await one.activations.renew([claim], NOW, LEASE) == [False]
        assert names(tmp_path / "store.owners") == [f"{one.owner}.lock"]
        await one.close()

    asyncio.run(main())
    assert names(tmp_path / "store.owners") == []


def test_the_lock_of_who_closes_with_a_claim_stays_until_the_claim_is_taken(tmp_path: Path) -> None:
    """The free file is the proof that the claim has ended; nobody takes it away while the claim stands."""

    async def closed() -> str:
        store = await open_sqlite(tmp_path / "store")
        assert isinstance(await store.activations.take(A, "run", store.owner, NOW, LEASE), Claim)
        await store.close()
        return store.owner

    async def opened(*, take: bool) -> None:
        store = await open_sqlite(tmp_path / "store")
        assert await store.activations.holder(A, NOW) is None
        if take:
            claim = await store.activations.take(A, "run", store.owner, NOW, LEASE)
            assert isinstance(claim, Claim)
            await store.activations.release([claim], None)
        await store.close()

    name = asyncio.run(closed())
    for take in (False, True):
        assert names(tmp_path / "store.owners") == [f"{name}.lock"]
        asyncio.run(opened(take=take))
    asyncio.run(opened(take=False))
    assert names(tmp_path / "store.owners") == []


# Files that are cut


def killed(path: Path) -> dict[str, bytes]:
    """A store whose process was killed: its commits stand in the log. What stands there, by name."""
    child = os.fork()
    if child == 0:  # pragma: no cover — it is killed

        async def main() -> None:
            store = await open_sqlite(path)
            await append(store, onto(EMPTY, A, b"1"), blobs=[LARGE])
            os.kill(os.getpid(), 9)

        asyncio.run(main())
    os.waitpid(child, 0)
    return {each.name: each.read_bytes() for each in path.parent.iterdir() if each.is_file()}


@pytest.mark.parametrize("size", [0, 1])
def test_a_store_cut_to_nothing_is_damage_and_its_log_is_left_alone(tmp_path: Path, size: int) -> None:
    """S12: SQLite would take it for a new file and delete the commits in the log."""
    before = killed(tmp_path / "store")
    whole, cut = before["store"], before["store"][:size]
    (tmp_path / "store").write_bytes(cut)

    for create, read_only in ((True, False), (False, False), (False, True)):
        fault = opening(tmp_path / "store", create=create, read_only=read_only)
        assert (fault.code, fault.category) == ("store_corrupt", Category.CORRUPT)
    [finding] = asyncio.run(check_integrity(tmp_path / "store"))
    assert finding.check == "file"
    assert "store-wal" in finding.message
    assert asyncio.run(refusal(backup(tmp_path / "store", tmp_path / "copy"))).code == "store_corrupt"

    assert {name: (tmp_path / name).read_bytes() for name in before} == before | {"store": cut}
    (tmp_path / "store").write_bytes(whole)
    make_again(tmp_path / "store")


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("left", ["store.artifacts", "store.owners"])
def test_a_cut_file_beside_a_folder_of_its_store_is_damage(tmp_path: Path, left: str, size: int) -> None:
    make(tmp_path / "store")
    for name in {"store.artifacts", "store.owners"} - {left}:
        shutil.rmtree(tmp_path / name)
    (tmp_path / "store").write_bytes(b"S" * size)

    assert opening(tmp_path / "store").code == "store_corrupt"
    assert names(tmp_path) == ["store", left]
    assert (tmp_path / "store").stat().st_size == size


def test_no_store_is_made_beside_a_log_that_holds_commits(tmp_path: Path) -> None:
    before = killed(tmp_path / "store")
    (tmp_path / "store").unlink()

    fault = opening(tmp_path / "store")

    assert fault.code == "store_corrupt"
    assert "store-wal" in fault.message
    assert (tmp_path / "store-wal").read_bytes() == before["store-wal"]
    assert not (tmp_path / "store").exists()


def test_who_took_a_closed_store_away_may_make_a_new_one(tmp_path: Path) -> None:
    make(tmp_path / "store")
    (tmp_path / "store").unlink()

    make(tmp_path / "store")


# Files that go away while they are open


def moved(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    shutil.copy(path, path.with_name("copy"))
    path.with_name("copy").rename(path)


def ending(store: SqliteStore) -> Append:
    """An append that ends what it owns."""
    return Append([onto(EMPTY, B, b"end")], [Rest(B)])


@pytest.mark.parametrize("change", [moved, deleted, replaced])
def test_who_owns_something_in_a_file_that_went_away_is_told_before_it_is_acknowledged(
    tmp_path: Path, change: object
) -> None:
    """Nothing ends, begins or is renewed in a file that nobody will find."""
    assert callable(change)

    async def main() -> None:
        store = await open_sqlite(tmp_path / "store", settings=SqliteSettings(checkpoint_idle_ms=3_600_000))
        claim = Claim(A, "run", store.owner, 1, NOW + LEASE)
        await grow(store, A, b"1", rows=[Hold(claim)])
        change(tmp_path / "store")

        [outcome] = await store.events.append([ending(store)])

        assert code_of(outcome) == "store_moved"
        assert (await store.events.heads([B])) == [EMPTY]
        assert (await refusal(store.activations.renew([claim], NOW, LEASE))).code == "store_moved"
        [outcome] = await store.events.append([Append([onto(EMPTY, B, b"more")])])
        assert code_of(outcome) == "store_moved", "from then on nothing is written"
        await store.close()

    asyncio.run(main())
    if change is moved:
        assert opening(tmp_path / "store").code == "store_corrupt", "its log stands there"
        (tmp_path / "elsewhere").rename(tmp_path / "store")
        make_again(tmp_path / "store")


def test_a_renewal_notices_that_the_file_went_away(tmp_path: Path) -> None:
    async def main() -> None:
        store = await open_sqlite(tmp_path / "store")
        claim = await store.activations.take(A, "run", store.owner, NOW, LEASE)
        assert isinstance(claim, Claim)
        moved(tmp_path / "store")
        assert (await refusal(store.activations.renew([claim], NOW, LEASE))).code == "store_moved"
        await store.close()

    asyncio.run(main())


def test_closing_a_store_that_was_deleted_takes_no_log_of_the_next_one_away(tmp_path: Path) -> None:
    """SQLite deletes a log by its name; the one of another store must stand."""

    async def main() -> None:
        first = await open_sqlite(tmp_path / "store")
        await grow(first, A, b"first")
        for path in tmp_path.glob("store*"):
            if path.is_file():
                path.unlink()
        second = await open_sqlite(tmp_path / "store")
        await grow(second, A, b"1")
        log = (tmp_path / "store-wal").stat().st_ino
        await first.close()
        assert (tmp_path / "store-wal").stat().st_ino == log
        assert await content(second, A) == [b"1"]
        await second.close()

    asyncio.run(main())
    make_again(tmp_path / "store")
