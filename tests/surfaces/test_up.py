"""`interlock up` and `serve` as people and programs meet them: what they say, whom they refuse, how they end."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run


class Begun:
    """A process of a line, with what it writes in files of its folder."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.home = folder / ".interlock"
        self._folder, self._name = folder, f"log{len(list(folder.glob('*.err')))}"
        with self._file("out").open("wb") as out, self._file("err").open("wb") as err:
            self.process = subprocess.Popen([*PRODUCT, *words], cwd=folder, stdout=out, stderr=err)

    def _file(self, kind: str) -> Path:
        return self._folder / f"{self._name}.{kind}"

    @property
    def out(self) -> str:
        return self._file("out").read_text()

    @property
    def err(self) -> str:
        return self._file("err").read_text()

    def until(self, done: Any, what: str) -> None:
        ends = time.monotonic() + SECONDS_MAX
        while not done():
            assert self.process.poll() is None, (what, self.out, self.err)
            assert time.monotonic() < ends, (what, self.out, self.err)
            time.sleep(0.01)

    def serves(self) -> Mapping[str, Any]:
        """What its file says, once it serves."""
        self.until(lambda: "serving at" in self.err or '"url"' in self.out, "it does not serve")
        found: Mapping[str, Any] = json.loads((self.home / "server.json").read_bytes())
        return found

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(SECONDS_MAX)


@contextmanager
def begun(folder: Path, *words: str) -> Iterator[Begun]:
    made = Begun(folder, *words)
    try:
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.process.terminate()
        made.process.wait(SECONDS_MAX)


@pytest.mark.parametrize("first", ["up", "serve"])
def test_beside_one_store_stands_one_server_and_another_is_refused(tmp_path: Path, first: str) -> None:
    with begun(tmp_path, first, "--port", "0") as standing:
        told = standing.serves()
        for verb in ("up", "serve"):
            refused = run(verb, "--port", "0", program=PRODUCT, folder=tmp_path)
            assert (refused.code, "[server_running]" in refused.err) == (4, True), refused.err
            assert f"{told['url']}, process {standing.process.pid}" in refused.err
            assert "runs as" not in refused.err
        assert json.loads((tmp_path / ".interlock" / "server.json").read_bytes()) == told
        assert run("run", "list", "--server", told["url"], program=PRODUCT, folder=tmp_path).code == 0
        assert standing.end() == 0
    assert not [each for each in (tmp_path / ".interlock").iterdir() if "server" in each.name]


def test_what_a_killed_server_leaves_refuses_nobody(tmp_path: Path) -> None:
    with begun(tmp_path, "serve", "--port", "0") as killed:
        before = killed.serves()
        assert killed.end(signal.SIGKILL) == -signal.SIGKILL
    assert (tmp_path / ".interlock" / "server.lock").exists()
    with begun(tmp_path, "up", "--port", "0") as standing:
        after = standing.serves()
        assert (after["pid"], after["token"] != before["token"]) == (standing.process.pid, True)
        assert standing.end() == 0


@pytest.mark.parametrize("verb", ["up", "serve"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("moment", ["server.lock", "store.db", "server.json"])
def test_a_stop_while_it_starts_is_an_end_in_good_order(
    tmp_path: Path, verb: str, number: signal.Signals, moment: str
) -> None:
    with begun(tmp_path, verb, "--port", "0") as starting:
        starting.until((starting.home / moment).exists, f"no {moment}")
        code = starting.end(number)
    assert (code, "Traceback" in starting.err, "ended" in starting.out) == (0, False, True), starting.err
    assert number.name in starting.out


def test_who_reads_a_log_learns_where_it_serves_and_what_became_of_its_children(tmp_path: Path) -> None:
    with begun(tmp_path, "up", "--port", "0") as standing:
        told = standing.serves()
        file = tmp_path / ".interlock" / "server.json"
        line = f"serving at {told['url']}, the token of its user in {file}\n"
        words = standing.err.split()
        os.kill(int(words[words.index("serve") + 4]), signal.SIGKILL)
        standing.until(lambda: standing.err.count("serve runs as process") == 2, "it is not started again")
        assert standing.end() == 0
    assert standing.err.count(line) == 1
    assert "serve ended with -9\n" in standing.err


def test_a_program_learns_where_it_serves(tmp_path: Path) -> None:
    with begun(tmp_path, "up", "--port", "0", "--json") as standing:
        told = standing.serves()
        assert standing.end() == 0
    lines = [json.loads(line) for line in standing.out.splitlines()]
    file = str(tmp_path / ".interlock" / "server.json")
    assert [line for line in lines if "url" in line] == [{"name": "serve", "url": told["url"], "file": file}]
    assert standing.err == ""


def test_on_a_terminal_the_line_that_says_where_it_serves_stays(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PRODUCT, "up", "--port", "0"], cwd=tmp_path, stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # reading fails once the last writer has closed the terminal
        while select.select([ours], [], [], SECONDS_MAX)[0] and (chunk := os.read(ours, 65536)):
            if b"serving at" in shown + chunk and b"serving at" not in shown:
                process.send_signal(signal.SIGINT)
            shown += chunk
    os.close(ours)

    assert process.wait(SECONDS_MAX) == 0
    kept = [line.rpartition(b"\x1b[2K")[2] for line in shown.split(b"\r\n")]
    assert sum(line.startswith(b"serving at http://127.0.0.1:") for line in kept) == 1, shown


def test_a_port_in_use_is_told_once_with_its_address_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        where = f"127.0.0.1:{other.getsockname()[1]}"
        for verb in ("up", "serve"):
            refused = run(verb, "--port", where.rpartition(":")[2], program=PRODUCT, folder=tmp_path)
            assert (refused.code, refused.err.count(f"{where} is in use")) == (2, 1), refused.err
            assert ("runs as" in refused.err, refused.err.count("--port 0")) == (False, 1)
    assert not (tmp_path / ".interlock").exists()


def test_a_secret_that_cannot_be_read_is_told_before_anything_is_started(tmp_path: Path) -> None:
    settings = '[events.sources.forge]\nsource = "https://forge.example/*"\nsecret = "env:FORGE_SECRET"\n'
    (tmp_path / "interlock.toml").write_text(settings)
    refused = run("up", "--port", "0", program=PRODUCT, folder=tmp_path)

    assert (refused.code, "the variable FORGE_SECRET is not set" in refused.err) == (3, True), refused.err
    assert "runs as" not in refused.err


@pytest.mark.parametrize("verb", ["up", "serve"])
def test_without_its_libraries_a_server_says_once_what_to_install(tmp_path: Path, verb: str) -> None:
    program = (
        "import sys, importlib.util as util; found = util.find_spec; "
        "util.find_spec = lambda name, *more: None if name == 'uvicorn' else found(name, *more); "
        "from interlock.surfaces.cli.main import main; sys.exit(main())"
    )
    refused = run(verb, "--port", "0", program=(sys.executable, "-c", program), folder=tmp_path)

    assert (refused.code, refused.err.count("[server_library_absent]")) == (5, 1), refused.err
    assert refused.err.count("pip install") == 1
    assert not (tmp_path / ".interlock").exists()
