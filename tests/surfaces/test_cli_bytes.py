"""Artifacts and packs between a server and files of this machine: from the command line, and from Python."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from interlock.base.errors import InterlockError
from interlock.client import AsyncClient, Client
from tests.surfaces.process import PRODUCT, SECONDS_MAX, Ended, run
from tests.surfaces.talking import line
from tests.surfaces.test_remote import ABSENT, Server, far
from tests.unit.gates.control.test_verbs import document

NOTES = b"all is well\n"
NOTES_ID = hashlib.sha256(NOTES).hexdigest()


class Lived:
    """A server, and a run on it that waits and has two files: a small text and one of many pieces."""

    def __init__(self, folder: Path) -> None:
        self.server = Server(folder)
        self.run_id = str(uuid4())
        words = line(self.server.folder, "ask_only", run_id=self.run_id)
        assert far(self.server, *("run", "start", "plans:ask_only", *words[3:])).code == 8
        self.large = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(100_000))
        with Client(self.server.url, self.server.token) as client:
            client.attach(self.run_id, NOTES, name="notes.txt")
            self.large_id = client.attach(self.run_id, self.large, name="large").artifact_id


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    for name in [name for name in os.environ if name.startswith("INTERLOCK_")]:
        del os.environ[name]
    made = Lived(tmp_path_factory.mktemp("bytes"))
    yield made
    made.server.end()


def refused(done: Ended) -> tuple[int, str]:
    return done.code, json.loads(done.out)["error"]["code"]


def test_a_pack_comes_from_a_server_as_it_would_be_exported_there(lived: Lived, tmp_path: Path) -> None:
    words = ("pack", "export", "--run", lived.run_id, "--contract", "--json")
    there = far(lived.server, *words, "--out", "far.pack", folder=tmp_path)
    here = run(*words, "--out", "near.pack", program=PRODUCT, folder=lived.server.folder)
    told, expected = json.loads(there.out), json.loads(here.out)

    assert (there.code, told) == (0, expected | {"pack": "far.pack"}), there.err
    pack = tmp_path / "far.pack"
    assert pack.read_bytes() == (lived.server.folder / "near.pack").read_bytes()
    assert pack.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["far.pack"]


def test_a_pack_of_a_server_replaces_none_unless_it_is_told_to_and_is_signed_here(lived: Lived, tmp_path: Path) -> None:
    def export(*more: str, out: str = "a.pack") -> Ended:
        words = ("pack", "export", "--run", lived.run_id, "--out", out, "--json", *more)
        return far(lived.server, *words, folder=tmp_path)

    assert run("key", "new", "--out", "mine.key", program=PRODUCT, folder=tmp_path).code == 0
    (tmp_path / "a.pack").write_bytes(b"mine")
    assert refused(export()) == (4, "pack_exists")
    assert (tmp_path / "a.pack").read_bytes() == b"mine"
    assert export("--force", "--sign", "mine.key").code == 0
    words = ("pack", "verify", "a.pack", "--trust", "mine.key.pub", "--json")
    assert json.loads(run(*words, program=PRODUCT, folder=tmp_path).out)["signature"] == "trusted"
    assert refused(export("--sign", "absent.key", out="b.pack"))[1] == "key_not_found"
    assert export("--force").code == 0
    assert not (tmp_path / "a.pack.sig").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--run", ABSENT, "--out", "a.pack"), (3, "run_not_found")),
        (("--run", "none", "--out", "a.pack"), (2, "id_invalid")),
        (("--run", "1:1:r1", "--out", "a.pack"), (2, "pack_scenario_needed")),
        (("--run", "1:1:r1", "--scenario", "s", "--out", "a.pack"), (3, "scenario_run_not_found")),
        (("--run", "1:1:r1", "--scenario", "..", "--out", "a.pack"), (2, "input_invalid")),
        (("--run", "1:1:r1", "--scenario", "s", "--contract", "--out", "a.pack"), (2, "input_invalid")),
        (("--run", ABSENT, "--scenario", "s", "--out", "a.pack"), (3, "scenario_run_not_found")),
        (("--run", ABSENT, "--out", "no/folder/a.pack"), (1, "pack_unwritable")),
        (("--run", ABSENT, "--out", "/", "--force"), (1, "pack_unwritable")),
    ],
)
def test_a_pack_that_does_not_come_leaves_nothing(
    lived: Lived, tmp_path: Path, words: tuple[str, ...], expected: tuple[int, str]
) -> None:
    done = far(lived.server, "pack", "export", *words, "--json", folder=tmp_path)

    assert (refused(done), list(tmp_path.iterdir())) == (expected, [])


def test_the_pack_of_a_scenario_run_comes_by_its_scenario(lived: Lived, tmp_path: Path) -> None:
    folder = lived.server.folder
    for words in (
        ("define", document(tmp_path / "release.json")),
        ("start", "release", "r1", "--time", "0", "--to", "agent:a1"),
        ("trigger", "release", "r1", "--id", "t1", "--time", "5"),
    ):
        done = run("scenario", *words, program=PRODUCT, folder=folder)
        assert done.code in {0, 8}, done.err  # the run is held
    export = ("pack", "export", "--run", "1:1:r1", "--json", "--scenario")
    there = far(lived.server, *export, "release", "--out", "far.pack", folder=tmp_path)
    assert (there.code, json.loads(there.out)["run_id"]) == (0, "1:1:r1"), there.err
    assert run(*export, "release", "--out", "r1.pack", program=PRODUCT, folder=folder).code == 0
    assert (tmp_path / "far.pack").read_bytes() == (folder / "r1.pack").read_bytes()
    other = run(*export, "other", "--out", "other.pack", program=PRODUCT, folder=folder)
    assert refused(other) == (3, "scenario_run_not_found")


def test_a_full_disk_is_told_and_leaves_nothing(lived: Lived, tmp_path: Path) -> None:
    words = ["pack", "export", "--run", lived.run_id, "--out", "a.pack", "--server", lived.server.url, "--json"]
    script = 'ulimit -f 64; exec "$@"'
    environ = os.environ | {"INTERLOCK_TOKEN": lived.server.token}
    done = subprocess.run(
        ["/bin/sh", "-c", script, "sh", *PRODUCT, *words], cwd=tmp_path, env=environ, capture_output=True, check=False
    )

    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "pack_unwritable")
    assert list(tmp_path.iterdir()) == []


class Between:
    """Stands between a client and a server, and breaks off after so many bytes of an answer."""

    def __init__(self, server: Server, bytes_max: int) -> None:
        host, _, port = server.url.removeprefix("http://").partition(":")
        self._place = (host, int(port))
        self._left = bytes_max
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._pass, daemon=True).start()

    def _pass(self) -> None:
        near, _ = self._listener.accept()
        with near, socket.create_connection(self._place, SECONDS_MAX) as away:
            away.sendall(near.recv(65_536))
            while self._left > 0 and (piece := away.recv(min(4_096, self._left))):
                self._left -= len(piece)
                near.sendall(piece)
        self._listener.close()


def test_a_download_that_breaks_off_leaves_nothing(lived: Lived, tmp_path: Path) -> None:
    for words in (
        ("pack", "export", "--run", lived.run_id, "--out", "a.pack"),
        ("artifact", "show", lived.large_id, "--run", lived.run_id, "--out", "large"),
    ):
        between = Between(lived.server, 1_000_000)
        environ = {"INTERLOCK_TOKEN": lived.server.token}
        done = run(*words, "--server", between.url, "--json", program=PRODUCT, folder=tmp_path, environ=environ)
        assert (refused(done), list(tmp_path.iterdir())) == ((1, "client_connection_lost"), [])


def test_an_artifact_is_shown_and_written_by_the_run_that_stored_it(lived: Lived, tmp_path: Path) -> None:
    def show(*words: str) -> Ended:
        return far(lived.server, "artifact", "show", *words, folder=tmp_path)

    assert show(NOTES_ID, "--run", lived.run_id).out == NOTES
    there = show(lived.large_id, "--run", lived.run_id, "--out", "large", "--json")
    assert json.loads(there.out)["bytes"] == len(lived.large), there.err
    assert (tmp_path / "large").read_bytes() == lived.large

    again = ("--run", lived.run_id, "--json")
    assert refused(show(lived.large_id, *again, "--out", "large")) == (2, "artifact_out_unwritable")
    assert refused(show(NOTES_ID[:12], *again)) == (2, "artifact_ambiguous")
    assert refused(show("0" * 64, *again, "--out", "none")) == (3, "artifact_unknown")
    assert refused(show(NOTES_ID, *again, "--out", "no/folder/file")) == (2, "artifact_out_unwritable")
    assert refused(show(NOTES_ID, "--json")) == (2, "artifact_run_needed")
    assert [each.name for each in tmp_path.iterdir()] == ["large"]


def test_on_a_store_the_run_of_an_artifact_is_held_against_what_it_stored(lived: Lived) -> None:
    def show(*words: str) -> Ended:
        return run("artifact", "show", NOTES_ID[:12], *words, program=PRODUCT, folder=lived.server.folder)

    assert show("--run", lived.run_id).out == NOTES
    assert refused(show("--run", ABSENT, "--json")) == (3, "run_not_found")
    assert show("--run", lived.run_id, "--seq", "1").out == NOTES  # what was attached needs no event
    assert refused(show("--seq", "1", "--json")) == (2, "artifact_run_needed")


def test_a_server_proves_a_pack_only_where_the_line_names_it(lived: Lived, tmp_path: Path) -> None:
    assert far(lived.server, "pack", "export", "--run", lived.run_id, "--out", "a.pack", folder=tmp_path).code == 0
    there = far(lived.server, "pack", "verify", "a.pack", "--json", folder=tmp_path)
    nobody = {"INTERLOCK_SERVER": "http://127.0.0.1:1", "INTERLOCK_PROFILE": "absent"}
    here = run("pack", "verify", "a.pack", "--json", program=PRODUCT, folder=tmp_path, environ=nobody)
    assert (there.code, json.loads(there.out)) == (0, json.loads(here.out)), (there.err, here.err)
    environ = {"INTERLOCK_SERVER": lived.server.url, "INTERLOCK_TOKEN": "guessed"}
    words = ("pack", "verify", "a.pack", "--server", lived.server.url, "--json")
    assert "token_invalid" in run(*words, program=PRODUCT, folder=tmp_path, environ=environ).text

    (tmp_path / "b.pack").write_bytes((tmp_path / "a.pack").read_bytes()[:-1] + b"x")
    wrong = far(lived.server, "pack", "verify", "b.pack", "--json", folder=tmp_path)
    assert (wrong.code, json.loads(wrong.out)["status"], json.loads(wrong.out)["path"]) == (7, "fail", "b.pack")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("absent.pack",), (3, "pack_not_found")),
        ((".",), (2, "input_invalid")),
        (("/dev/null",), (7, "pack_container_invalid")),
        (("x.pack", "--trust", "mine.key.pub"), (2, "input_invalid")),
        (("x.pack", "--profile", "work"), (2, "usage_invalid")),
    ],
)
def test_what_a_server_cannot_prove_is_not_sent(
    lived: Lived, tmp_path: Path, words: tuple[str, ...], expected: tuple[int, str]
) -> None:
    assert refused(far(lived.server, "pack", "verify", *words, "--json", folder=tmp_path)) == expected


def test_a_declared_principal_is_nobody_to_a_server(lived: Lived, tmp_path: Path) -> None:
    environ = {"INTERLOCK_AS": "ada"}
    words = ("pack", "verify", "x.pack", "--server", lived.server.url, "--json")

    assert refused(run(*words, program=PRODUCT, folder=tmp_path, environ=environ)) == (2, "usage_invalid")


def test_python_has_the_same(lived: Lived, tmp_path: Path) -> None:
    with Client(lived.server.url, lived.server.token) as client:
        assert client.artifact(lived.run_id, NOTES_ID) == NOTES
        assert client.save_artifact(lived.run_id, lived.large_id, tmp_path / "large") == len(lived.large)
        made = client.pack(lived.run_id, tmp_path / "a.pack", without_children=True)
        assert client.verify(tmp_path / "a.pack").digest == made.digest
    content = (tmp_path / "a.pack").read_bytes()

    async def pieces() -> AsyncIterator[bytes]:
        yield content[:1000]
        yield content[1000:]

    async def main() -> None:
        async with AsyncClient(lived.server.url, lived.server.token) as client:
            assert await client.artifact(lived.run_id, lived.large_id) == lived.large
            assert (await client.verify(content)).path == "uploaded"
            assert (await client.verify(pieces())).status == "pass"
            assert (await client.verify(b"forged")).status == "fail"
            with pytest.raises(InterlockError) as taken:
                await client.pack(lived.run_id, tmp_path / "a.pack")
            assert taken.value.code == "pack_exists"

    asyncio.run(main())
    assert (tmp_path / "large").read_bytes() == lived.large
