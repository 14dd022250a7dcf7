"""Files that are attached from the command line: on a store, over a server, while another process drives the run."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from interlock.base.errors import InterlockError
from interlock.client import AsyncClient, Client
from tests.surfaces.process import PRODUCT, SECONDS_MAX, Ended, run, run_on_terminal
from tests.surfaces.product import RUN, answer
from tests.surfaces.talking import line, prepare, start
from tests.surfaces.test_remote import Server, far

REPORT = b"%PDF-1.7 all is well\n\x00\xff"
REPORT_ID = hashlib.sha256(REPORT).hexdigest()
REPORT_SAID = {
    "artifact_id": REPORT_ID,
    "bytes": len(REPORT),
    "kind": "Report",
    "media_type": "application/pdf",
    "name": "report.pdf",
}


def cli(*words: str, folder: Path) -> Ended:
    return run(*words, program=PRODUCT, folder=folder)


def report(folder: Path) -> str:
    place = folder / "report.pdf"
    place.write_bytes(REPORT)
    return str(place)


def attached(folder: Path) -> list[dict[str, object]]:
    return [row for row in answer(folder, "run", "artifacts", RUN)["items"] if row["step"] is None]


def test_a_file_is_attached_to_a_run_on_a_store_and_listed_and_shown(tmp_path: Path) -> None:
    start(prepare(tmp_path), "ask_only")
    path = report(tmp_path)
    said = ("--kind", "Report", "--media-type", "application/pdf")
    assert answer(tmp_path, "run", "attach", RUN, path, *said) == REPORT_SAID
    assert answer(tmp_path, "run", "attach", RUN, path, *said) == REPORT_SAID
    answer(tmp_path, "run", "attach", RUN, path, "--name", "other.bin")

    shown = [(row["kind"], row["name"], row["media_type"]) for row in attached(tmp_path)]
    assert shown == [
        ("Report", "report.pdf", "application/pdf"),
        ("Attachment", "other.bin", "application/octet-stream"),
    ]
    assert cli("artifact", "show", REPORT_ID, folder=tmp_path).out == REPORT
    [first, _] = [
        row for row in cli("run", "events", RUN, folder=tmp_path).text.splitlines() if "artifact_written" in row
    ]
    assert "Report report.pdf" in first
    assert "local:" in first
    _, table = run_on_terminal("run", "artifacts", RUN, program=PRODUCT, folder=tmp_path, environ={"NO_COLOR": "1"})
    assert "report.pdf" in table

    assert cli("pack", "export", "--run", RUN, "--out", "run.pack", folder=tmp_path).code == 0
    proved = json.loads(cli("pack", "verify", "run.pack", "--json", folder=tmp_path).out)
    assert (proved["status"], REPORT in (tmp_path / "run.pack").read_bytes()) == ("pass", True)


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("absent.pdf",), 2, "attachment_unreadable"),
        ((".", "--name", "folder"), 2, "attachment_unreadable"),
        (("report.pdf", "--name", "../report.pdf"), 2, "attachment_invalid"),
        (("report.pdf", "--kind", "ContextSnapshot"), 2, "attachment_invalid"),
        (("report.pdf", "--media-type", "pdf"), 2, "attachment_invalid"),
    ],
)
def test_what_cannot_be_attached_is_refused(tmp_path: Path, words: tuple[str, ...], code: int, error: str) -> None:
    start(prepare(tmp_path), "ask_only")
    report(tmp_path)
    done = cli("run", "attach", RUN, *words, "--json", folder=tmp_path)

    assert (done.code, json.loads(done.out)["error"]["code"]) == (code, error)
    assert attached(tmp_path) == []


def test_a_file_is_read_no_further_than_an_artifact_may_be_long(tmp_path: Path) -> None:
    start(prepare(tmp_path), "ask_only")
    (tmp_path / "interlock.toml").write_text("[engine]\nartifact_bytes_max = 1000\n")
    done = cli("run", "attach", RUN, "/dev/zero", "--json", folder=tmp_path)

    assert (done.code, json.loads(done.out)["error"]["code"]) == (2, "artifact_too_large")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for name in [name for name in os.environ if name.startswith("INTERLOCK_")]:
        del os.environ[name]
    made = Server(tmp_path_factory.mktemp("attached"))
    yield made
    made.end()


def waits(server: Server) -> str:
    run_id = str(uuid4())
    words = line(server.folder, "ask_only", run_id=run_id)
    assert far(server, *("run", "start", "plans:ask_only", *words[3:])).code == 8
    return run_id


def test_a_file_is_sent_to_a_server(server: Server, tmp_path: Path) -> None:
    run_id, path = waits(server), report(tmp_path)
    sent = far(server, "run", "attach", run_id, path, "--kind", "Report", "--media-type", "application/pdf", "--json")
    assert json.loads(sent.out) == REPORT_SAID, sent.err
    [row] = [
        row for row in json.loads(far(server, "run", "artifacts", run_id, "--json").out)["items"] if not row["step"]
    ]
    assert row["id"] == REPORT_ID

    missing = far(server, "run", "attach", run_id, str(tmp_path / "absent"), "--json")
    assert (missing.code, json.loads(missing.out)["error"]["code"]) == (2, "attachment_unreadable")
    nobody = far(server, "run", "attach", str(uuid4()), path, "--json")
    assert (nobody.code, json.loads(nobody.out)["error"]["code"]) == (3, "run_not_found")
    unknown = far(server, "run", "attach", run_id, path, token="guessed", folder=tmp_path)  # noqa: S106 - of nobody
    assert "token_invalid" in unknown.err


def test_a_run_that_another_process_drives_takes_the_file(server: Server, tmp_path: Path) -> None:
    """The worker is in the midst of a state; the server has no part in it."""
    run_id, path = str(uuid4()), report(tmp_path)
    for name in ("open", "waits"):
        (server.folder / name).unlink(missing_ok=True)
    words = line(server.folder, "talk", run_id=run_id)
    assert far(server, *("run", "start", "plans:talk", *words[3:], "--detach")).code == 0
    ends = time.monotonic() + SECONDS_MAX
    while not (server.folder / "waits").exists():
        assert time.monotonic() < ends
        time.sleep(0.01)
    with Client(server.url, server.token) as client:
        assert client.attach(run_id, path).artifact_id == REPORT_ID
        (server.folder / "open").touch()
        client.wait(run_id, timeout_s=SECONDS_MAX)
        items = client.call("run.artifacts", {"run": run_id}).items  # type: ignore[attr-defined]
        assert [row.id for row in items if row.name == "report.pdf"] == [REPORT_ID]


def test_python_sends_a_path_bytes_and_whatever_gives_bytes(server: Server, tmp_path: Path) -> None:
    run_id, path = waits(server), report(tmp_path)
    big = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(40_000))

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(big), 100_000):
            yield big[at : at + 100_000]

    async def main() -> None:
        async with AsyncClient(server.url, server.token) as client:
            found = await client.attach(run_id, Path(path), command_id="once")
            assert (found.name, found.artifact_id) == ("report.pdf", REPORT_ID)
            assert await client.attach(run_id, Path(path), command_id="once") == found
            assert (await client.attach(run_id, REPORT, name="a")).artifact_id == REPORT_ID
            sent = await client.attach(run_id, pieces(), name="big", kind="Data", media_type="text/plain")
            assert (sent.artifact_id, sent.bytes) == (hashlib.sha256(big).hexdigest(), len(big))
            with pytest.raises(InterlockError) as unnamed:
                await client.attach(run_id, b"x")
            assert (unnamed.value.code, unnamed.value.details["place"]) == ("input_invalid", "name")

    asyncio.run(main())
    with Client(server.url, server.token) as client:
        assert client.attach(run_id, iter([b"one", b"two"]), name="two").bytes == 6
        assert client.attach(run_id, b"", name="empty").bytes == 0
