"""The command line and the client over a real server: the same verbs, the same answers, the same exit codes."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.client import Client
from interlock.engine.reports.records import RunReport, RunResult
from tests.surfaces.process import PRODUCT, SECONDS_MAX, Ended, run, run_on_terminal
from tests.surfaces.talking import Worker, line, prepare

OTHER = "01890a5d-ac96-774b-bcce-b302099a8058"
ABSENT = "01890a5d-ac96-774b-bcce-b302099a8059"
BROKEN = """
from interlock import Plan, StateFailure

broken = Plan("broken")


@broken.state
async def fail(folder: str) -> str:
    raise StateFailure("net_down", "no answer")
"""


class Server:
    """A process of `interlock serve` on a store of its own, and a worker that drives its runs."""

    def __init__(self, folder: Path) -> None:
        self.folder = prepare(folder)
        (folder / "broken.py").write_text(BROKEN)
        self.process = subprocess.Popen(
            [*PRODUCT, "serve", "--port", "0", "--json"],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        assert self.process.stdout is not None
        assert select.select([self.process.stdout], [], [], SECONDS_MAX)[0], "the server is silent"
        self.url: str = json.loads(self.process.stdout.readline())["url"]
        self.worker = Worker(folder)

    @property
    def token(self) -> str:
        found: str = json.loads((self.folder / ".interlock" / "server.json").read_text())["token"]
        return found

    def end(self) -> None:
        for process in (self.worker.process, self.process):
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=SECONDS_MAX)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    for name in [name for name in os.environ if name.startswith("INTERLOCK_")]:
        del os.environ[name]
    made = Server(tmp_path_factory.mktemp("served"))
    yield made
    made.end()


def far(server: Server, *words: str, folder: Path | None = None, token: str | None = None) -> Ended:
    """A line that a server answers, sent from somewhere else unless a folder is named."""
    variables = {"INTERLOCK_TOKEN": server.token if token is None else token}
    return run(*words, "--server", server.url, program=PRODUCT, folder=folder or Path("/"), environ=variables)


def near(server: Server, *words: str) -> Ended:
    return run(*words, program=PRODUCT, folder=server.folder)


def started(server: Server, plan: str, run_id: str, *more: str, plans: str = "plans") -> Ended:
    words = line(server.folder, plan, *more, run_id=run_id)
    return far(server, *("run", "start", f"{plans}:{plan}", *words[3:]))


def fresh() -> str:
    from uuid import uuid4

    return str(uuid4())


@pytest.mark.parametrize(
    ("plan", "plans", "code", "phase"),
    [
        ("nap", "plans", 0, "completed"),
        ("broken", "broken", 1, "failed"),
        ("ask_only", "plans", 8, "running"),
        ("parent", "plans", 8, "running"),
        ("flaky", "plans", 8, "running"),
    ],
)
def test_a_start_over_a_server_exits_by_the_outcome_as_on_a_store(
    server: Server, plan: str, plans: str, code: int, phase: str
) -> None:
    there = started(server, plan, run_id := fresh(), "--json", plans=plans)
    words = ("run", "start", f"{plans}:{plan}", "--input", json.dumps({"folder": "."}), "--json")
    here = run(*words, "--store", "other.db", program=PRODUCT, folder=server.folder)
    far_output, near_output = json.loads(there.out), json.loads(here.out)

    assert (there.code, here.code) == (code, code), (there.err, here.err)
    assert (far_output["run_id"], far_output["phase"], near_output["phase"]) == (run_id, phase, phase)
    assert far_output["error"] == near_output["error"]
    assert [each["kind"] for each in far_output["reasons"]] == [each["kind"] for each in near_output["reasons"]]


@pytest.mark.parametrize(
    "words",
    [
        ("run", "list"),
        ("run", "list", "--limit", "0"),
        ("run", "status", ABSENT),
        ("run", "status", "no-id"),
        ("run", "why", ABSENT),
        ("run", "cancel", ABSENT, "--reason", "why not"),
        ("run", "diff", ABSENT, OTHER),
        ("scenario", "list"),
        ("scenario", "status", "none", "r"),
        ("provider", "list"),
        ("provider", "show", "none"),
        ("lease", "show", "a/b c?"),
        ("filter", "save", "open", "--state", "open"),
        ("filter", "list"),
        ("filter", "remove", "open"),
        ("filter", "remove", "absent"),
        ("subscription", "show", "none"),
        ("shape", "get", "none", "1"),
        ("batch", "show", ABSENT),
    ],
)
def test_a_verb_answers_over_a_server_as_on_its_store(server: Server, words: tuple[str, ...]) -> None:
    there = far(server, *words, "--json")
    if words[1] in {"save", "remove"} and there.code == 0:
        assert json.loads(there.out)
        return
    here = near(server, *words, "--json")
    told, expected = json.loads(there.out), json.loads(here.out)
    if "error" in expected:
        told["error"]["details"].pop("request_id", None)

    assert (there.code, told) == (here.code, expected)


@pytest.mark.parametrize("verb", ["status", "events", "why", "output", "graph", "artifacts"])
def test_people_see_the_same_of_a_run(server: Server, verb: str) -> None:
    run_id = json.loads(started(server, "nap", fresh(), "--json").out)["run_id"]
    there, here = far(server, "run", verb, run_id), near(server, "run", verb, run_id)

    assert (there.code, there.text) == (0, here.text)
    assert there.err.replace(f" --server {server.url}", "") == here.err


def test_a_run_that_waits_is_answered_and_followed(server: Server) -> None:
    run_id = fresh()
    waits = started(server, "ask_only", run_id)
    assert (waits.code, f"--server {server.url}" in waits.err) == (8, True)

    wrong = far(server, "run", "signal", run_id, "decide", "the answer", "--value", "yes")
    assert (wrong.code, "what fits is" in wrong.err) == (2, True)
    answered = far(server, "run", "signal", run_id, "decide", "the answer", "--value", '{"text": "yes"}')
    assert answered.code == 0
    with Client(server.url, server.token) as client:
        assert client.wait(run_id, timeout_s=SECONDS_MAX).phase == "completed"
    assert json.loads(far(server, "run", "output", run_id, "end", "--json").out)["values"] == {"end": "yes"}


def test_a_start_that_is_left_to_a_server_names_how_to_look_at_it(server: Server) -> None:
    run_id = fresh()
    there = started(server, "nap", run_id, "--detach")

    assert (there.code, f"next: interlock run status {run_id} --server {server.url}" in there.err) == (0, True)


def test_a_terminal_sees_the_steps_of_a_run_that_a_server_drives(server: Server) -> None:
    words = line(server.folder, "nap", run_id=fresh())
    code, shown = run_on_terminal(
        *words, "--server", server.url, program=PRODUCT, folder=server.folder, environ={"INTERLOCK_TOKEN": server.token}
    )

    assert (code, "sleep" in shown, "completed" in shown) == (0, True, True)


def test_an_interrupted_line_stops_nothing(server: Server) -> None:
    run_id = fresh()
    (server.folder / "open").unlink(missing_ok=True)
    words = (*PRODUCT, *line(server.folder, "talk", run_id=run_id), "--server", server.url)
    process = subprocess.Popen(
        words, cwd=server.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"NO_COLOR": "1"}
    )
    ends = time.monotonic() + SECONDS_MAX
    while not (server.folder / "waits").exists():
        assert time.monotonic() < ends, process.communicate()
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=SECONDS_MAX)[1].decode()
    (server.folder / "open").touch()

    assert process.returncode == 130
    assert f"the run goes on without you: interlock run status {run_id} --server {server.url}" in err
    with Client(server.url, server.token) as client:
        waits = client.wait(run_id, timeout_s=SECONDS_MAX)
    assert (waits.phase, waits.waiting is not None and waits.waiting.kind) == ("running", "suspended")


def test_the_user_of_this_machine_needs_no_token_beside_the_store(server: Server) -> None:
    localhost = server.url.replace("127.0.0.1", "localhost")

    assert far(server, "run", "list", folder=server.folder, token="").code == 0
    assert run("run", "list", "--server", localhost, program=PRODUCT, folder=server.folder).code == 0
    elsewhere = far(server, "run", "list", token="")
    assert (elsewhere.code, "credentials_missing" in elsewhere.err) == (5, True)
    wrong = far(server, "run", "list", token="pa55word")  # noqa: S106 - of no server
    assert (wrong.code, "token_invalid" in wrong.err, "pa55word" in wrong.err) == (5, True, False)


def test_a_profile_names_server_and_token(server: Server, tmp_path: Path) -> None:
    (tmp_path / "interlock").mkdir()
    (tmp_path / "token").write_text(server.token)
    profile = f'[profiles.here]\nserver = "{server.url}"\ntoken = "file:{tmp_path}/token"\n'
    (tmp_path / "interlock" / "profiles.toml").write_text(f'default = "here"\n{profile}')
    environ = {"XDG_CONFIG_HOME": str(tmp_path)}

    for words in (("--profile", "here"), ()):
        assert run("filter", "list", *words, program=PRODUCT, folder=tmp_path, environ=environ).code == 0
    named = run("filter", "list", program=PRODUCT, folder=tmp_path, environ=environ | {"INTERLOCK_PROFILE": "here"})
    unknown = run("filter", "list", "--profile", "her", program=PRODUCT, folder=tmp_path, environ=environ)
    assert (named.code, unknown.code, "did you mean here" in unknown.err) == (0, 3, True)
    assert not (tmp_path / ".interlock").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("doctor", "--server", "https://x"), "no server can be asked for it"),
        (("run", "lint", "x.yaml", "--profile", "x"), "no server can be asked for it"),
        (("run", "list", "--server", "https://x", "--store", "a.db"), "--store is for a store of this machine"),
        (("run", "list", "--server", "https://x", "--profile", "x"), "both name a server"),
        (("--server", "https://x", "run", "list", "--store", "a.db"), "--store is for a store of this machine"),
        (("run", "list", "--server", "http://interlock.example"), "is not this machine"),
    ],
)
def test_what_no_server_can_be_asked_for_is_refused(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    done = run(*words, program=PRODUCT, folder=tmp_path)

    assert (done.code in {2, 5}, said in done.err) == (True, True), done.err


def test_a_server_that_is_not_there_is_an_error_with_advice(tmp_path: Path) -> None:
    done = run("run", "list", "--server", "http://127.0.0.1:1", "--json", program=PRODUCT, folder=tmp_path)
    told = json.loads(done.out)["error"]

    assert (done.code, told["code"], told["message"]) == (
        1,
        "client_connect_failed",
        "no connection to http://127.0.0.1:1",
    )


def test_what_named_the_server_or_the_token_is_said_where_the_line_does_not_show_it(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "interlock").mkdir()
    away = '[profiles.away]\nserver = "http://127.0.0.1:1"\n'
    here = f'[profiles.here]\nserver = "{server.url}"\ntoken = "env:HERE"\n'
    (tmp_path / "interlock" / "profiles.toml").write_text(f'default = "away"\n{away}{here}')
    base = {"XDG_CONFIG_HOME": str(tmp_path)}
    for words, more, said in (
        ((), {"INTERLOCK_SERVER": "http://127.0.0.1:1"}, "127.0.0.1:1 (from INTERLOCK_SERVER)"),
        ((), {"INTERLOCK_PROFILE": "away"}, "127.0.0.1:1 (from INTERLOCK_PROFILE: the profile away)"),
        ((), {}, "127.0.0.1:1 (from the default profile away)"),
        (("--profile", "away"), {}, "127.0.0.1:1 (from the profile away)"),
        (("--server", server.url), {"INTERLOCK_TOKEN": "guessed"}, "(it is from the variable INTERLOCK_TOKEN)"),
        (("--profile", "here"), {"HERE": "guessed"}, "(it is from `token` of the profile)"),
        (("--profile", "here"), {}, "the variable HERE is not set"),
        (("--server", server.url), {}, "set INTERLOCK_TOKEN, or `token` of the profile"),
        (("--server", server.url.removeprefix("http://")), {}, f"did you mean {server.url}?"),
    ):
        done = run("filter", "list", *words, program=PRODUCT, folder=tmp_path, environ=base | more)
        assert said in done.err, (words, more, done.err)


def test_another_path_is_another_server_and_gets_no_token_of_this_one(server: Server) -> None:
    done = run("run", "list", "--server", f"{server.url}/foo", program=PRODUCT, folder=server.folder)

    assert (done.code, "[path_unknown]" in done.err) == (3, True), done.err


def test_a_server_that_dies_under_a_line_leaves_the_run_as_an_interrupted_line_does(tmp_path: Path) -> None:
    dying, run_id = Server(tmp_path), fresh()
    try:
        words = (*PRODUCT, *line(dying.folder, "talk", run_id=run_id), "--server", dying.url)
        process = subprocess.Popen(words, cwd=dying.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        ends = time.monotonic() + SECONDS_MAX
        while not (dying.folder / "waits").exists():
            assert time.monotonic() < ends, process.communicate()
            time.sleep(0.01)
        dying.process.kill()
        err = process.communicate(timeout=2 * SECONDS_MAX)[1].decode()
        (dying.folder / "open").touch()
    finally:
        dying.end()

    assert (process.returncode, "[client_connect_failed]" in err) == (1, True), err
    assert f"the run goes on without you: interlock run status {run_id} --server {dying.url}\n" in err


def test_a_program_calls_commands_by_name(server: Server) -> None:
    with Client(server.url, server.token) as client:
        given: dict[str, Any] = {"plan": "plans:nap", "input": {"folder": "."}, "run_id": fresh()}
        first = client.call("run.start", given, command_id="once")
        again = client.call("run.start", given, command_id="once")
        ended = client.wait(given["run_id"], timeout_s=SECONDS_MAX)
        with pytest.raises(InterlockError) as caught:
            client.call("run.status", {"run": ABSENT})

    assert isinstance(first, RunResult)
    assert isinstance(again, RunResult)
    assert isinstance(ended, RunReport)
    assert (first.run_id, again.run_id, ended.phase) == (given["run_id"], given["run_id"], "completed")
    assert caught.value.code == "run_not_found"


def test_importing_the_client_loads_no_library_of_the_network() -> None:
    program = "import sys, interlock.client, interlock.client.part; print(*({'httpx2', 'ssl'} & {*sys.modules}))"
    done = subprocess.run([PRODUCT[0], "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.split() == []
