"""The sink `file`: whole lines, durable, below its root and nowhere else."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from interlock.base.errors import InterlockError
from interlock.base.part import Subscriber
from interlock.engine.io.sinks import SINKS
from interlock.engine.io.sinks.file import FileSink, FileTarget, SinkSettings
from interlock.journal.subscriptions import Delivery
from tests.unit.engine.io.sinks.deliveries import DELIVERY, delivery

[FILE] = [each for each in SINKS if each.name == "file"]


class Given:
    """The services of an application that has these settings."""

    def __init__(self, settings: SinkSettings) -> None:
        self._settings = settings

    def get(self, kind: type[Any]) -> Any:
        assert kind is SinkSettings
        return self._settings


def deliver(root: Path, path: str = "a.jsonl", *given: Delivery) -> None:
    async def main() -> None:
        sink = FileSink(str(root), path)
        for each in given or (DELIVERY,):
            await sink.deliver(each)
        await sink.close()

    asyncio.run(main())


def refused(root: Path, path: str) -> str:
    with pytest.raises(InterlockError) as caught:
        deliver(root, path)
    return caught.value.code


def sequence(file: Path) -> list[int]:
    return [json.loads(line)["seq"] for line in file.read_text("utf-8").splitlines()]


def test_each_event_is_one_line_of_json(tmp_path: Path) -> None:
    deliver(tmp_path / "out", "audit/2026/a.jsonl", delivery(1), delivery(2, data=None))

    first, second = (tmp_path / "out/audit/2026/a.jsonl").read_text("utf-8").splitlines()
    assert json.loads(first) == {
        "key": delivery(1).key,
        "subscription": "audit",
        "store": "5f0c",
        "stream": DELIVERY.stream,
        "seq": 1,
        "type": "engine.run_completed",
        "version": 1,
        "at_ms": DELIVERY.at_ms,
        "actor": "local:ada",
        "correlation": "c-1",
        "digest": "d" * 64,
        "attempt": 2,
        "redriven": False,
        "data": {"phase": "completed"},
    }
    assert json.loads(second)["data"] is None
    assert (tmp_path / "out/audit/2026/a.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("torn", [b'{"key":', b"x" * 200_000])
def test_what_a_dead_process_wrote_of_a_line_is_taken_away(tmp_path: Path, torn: bytes) -> None:
    file = tmp_path / "a.jsonl"
    deliver(tmp_path, "a.jsonl", delivery(1))
    with file.open("ab") as torn_file:
        torn_file.write(torn)

    deliver(tmp_path, "a.jsonl", delivery(2))

    assert sequence(file) == [1, 2]


def test_a_file_that_holds_no_whole_line_begins_anew(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"y" * 70_000)

    deliver(tmp_path)

    assert sequence(tmp_path / "a.jsonl") == [3]


def _write_many(root: str, first: int) -> None:
    deliver(Path(root), "a.jsonl", *(delivery(seq) for seq in range(first, first + 30)))


def test_processes_that_share_a_file_write_whole_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write_many, args=(str(tmp_path), first)) for first in (100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(30)

    found = sequence(tmp_path / "a.jsonl")
    assert sorted(found) == [*range(100, 130), *range(200, 230)]
    assert [seq for seq in found if seq < 200] == list(range(100, 130))


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../a", "a/../../b", "a//b", "./a", "a/.", "", "a/", "a\0b", "..", "a/../b"]
)
def test_a_path_that_leads_elsewhere_is_refused_before_anything_is_written(tmp_path: Path, path: str) -> None:
    root = tmp_path / "out"

    assert refused(root, path) == "sink_path_refused"
    assert not root.exists()


def test_no_symbolic_link_is_followed(tmp_path: Path) -> None:
    outside, root = tmp_path / "outside", tmp_path / "out"
    outside.mkdir()
    root.mkdir()
    (root / "folder").symlink_to(outside)
    (root / "file.jsonl").symlink_to(outside / "target.jsonl")

    assert refused(root, "folder/a.jsonl") == "sink_path_refused"
    assert refused(root, "file.jsonl") == "sink_path_refused"
    assert list(outside.iterdir()) == []


def test_only_a_plain_file_is_written(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)

    assert refused(tmp_path, "folder") == "sink_path_refused"
    assert refused(tmp_path, "file/a.jsonl") == "sink_path_refused"
    assert refused(tmp_path, "pipe") == "sink_path_refused"
    os.close(reader)
    assert refused(tmp_path / "file", "a.jsonl") in {"sink_path_refused", "sink_file_failed"}


def test_a_disk_that_fails_is_told_and_nothing_is_left_of_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(tmp_path, "a.jsonl", delivery(1))

    write = os.write
    monkeypatch.setattr(os, "write", _FullAfter(write, 100))
    assert refused(tmp_path, "a.jsonl") == "sink_file_failed"
    monkeypatch.setattr(os, "write", write)

    deliver(tmp_path, "a.jsonl", delivery(2))
    assert sequence(tmp_path / "a.jsonl") == [1, 2]


class _FullAfter:
    """Writes so many bytes, and then there is no room any more."""

    def __init__(self, write: object, room: int) -> None:
        self._write = write
        self._room = room

    def __call__(self, file: int, content: bytes) -> int:
        if self._room == 0:
            raise OSError(28, "No space left on device")
        part = content[: self._room]
        self._room -= len(part)
        return self._write(file, part)  # type: ignore[operator,no-any-return]


def test_a_line_that_takes_several_writes_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:7]))

    deliver(tmp_path, "a.jsonl", delivery(1), delivery(2))

    monkeypatch.undo()
    assert sequence(tmp_path / "a.jsonl") == [1, 2]


def test_a_tenant_writes_below_a_folder_of_its_own_and_the_user_of_this_machine_where_it_says(tmp_path: Path) -> None:
    services = Given(SinkSettings(file_root=str(tmp_path)))
    target = FileTarget(path="shared.jsonl")
    for subscriber in (Subscriber("alpha", local=False), Subscriber("beta", local=False), Subscriber("a", local=True)):
        asyncio.run(FILE.make(services, target, subscriber).deliver(DELIVERY))

    written = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert written == {"alpha/shared.jsonl", "beta/shared.jsonl", "shared.jsonl"}
    assert all(len(sequence(tmp_path / path)) == 1 for path in written)


def test_a_file_of_others_grows_to_its_bound_and_loses_nothing(tmp_path: Path) -> None:
    line = len(msgspec.json.encode(DELIVERY)) + 1
    services = Given(SinkSettings(file_root=str(tmp_path), file_bytes_max=2 * line))
    sink = FILE.make(services, FileTarget(path="a.jsonl"), Subscriber("alpha", local=False))
    for _ in range(2):
        asyncio.run(sink.deliver(DELIVERY))

    with pytest.raises(InterlockError) as caught:
        asyncio.run(sink.deliver(DELIVERY))

    assert (caught.value.code, caught.value.retryable) == ("sink_file_full", True)
    assert len(sequence(tmp_path / "alpha/a.jsonl")) == 2
    (tmp_path / "alpha/a.jsonl").rename(tmp_path / "alpha/old.jsonl")
    asyncio.run(sink.deliver(DELIVERY))
    assert len(sequence(tmp_path / "alpha/a.jsonl")) == 1
