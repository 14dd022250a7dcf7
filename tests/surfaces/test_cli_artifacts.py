"""What programs of a run wrote, seen from the command line: the last lines of a failure, the list, and the bytes."""

from __future__ import annotations

import json
from pathlib import Path
from textwrap import dedent

import pytest

from tests.surfaces.process import PRODUCT, Ended, run, run_on_terminal
from tests.surfaces.product import RUN, answer

PLAIN = {"NO_COLOR": "1"}
BINARY = """
from interlock import Plan, Recorder

plan = Plan("binary")


@plan.state
async def draw(rec: Recorder) -> str:
    for number in range(3):
        await rec.artifact("picture", bytes([0, 255, number]), {"name": f"picture {number}"})
    return await rec.artifact("notes", b"a\\tb\\r\\n\\x1b[31mred\\n")
"""


def cli(*line: str, folder: Path) -> Ended:
    return run(*line, program=PRODUCT, folder=folder)


def failing(folder: Path, script: str, *, program: str = "sh", name: str = "full.yaml") -> Ended:
    """The end of a run whose one step runs `script` and fails."""
    document = f"""
        pipeline: full
        version: "1"
        steps:
          - name: hi
            handler: exec
            side_effects: read_only_io
            with: {{argv: [{program}, -c, {json.dumps(script)}]}}
    """
    (folder / name).write_text(dedent(document).lstrip())
    done = cli("run", "start", name, "--run-id", RUN, folder=folder)
    assert done.code == 1, done.err
    return done


def test_the_last_lines_of_a_failed_program_are_shown_and_it_is_named_as_it_was_written(tmp_path: Path) -> None:
    started = failing(tmp_path, "echo 'disk is full, friend' >&2; exit 3")
    why = cli("run", "why", RUN, folder=tmp_path)
    [reason] = answer(tmp_path, "run", "why", RUN)["reasons"]

    assert "message            sh exited with 3\n" in started.text
    assert "stderr             disk is full, friend\n" in started.text
    assert why.text.startswith("failed: hi failed: sh exited with 3 [exec_failed]")
    assert "\n  stderr: disk is full, friend\n" in why.text
    assert (reason["output"]["stream"], reason["output"]["lines"]) == ("stderr", ["disk is full, friend"])


def test_the_real_path_of_a_program_stands_in_the_details_alone(tmp_path: Path) -> None:
    (tmp_path / "tool").symlink_to("/bin/sh")
    failing(tmp_path, "exit 3", program="./tool")
    events = answer(tmp_path, "run", "events", RUN)["items"]
    [info] = [each["data"]["error"]["info"] for each in events if each["type"] == "engine.state_failed"]

    assert info["message"] == "./tool exited with 3"
    assert info["details"]["path"] == str(Path("/bin/sh").resolve())


def test_the_output_is_shown_where_a_program_wrote_no_errors(tmp_path: Path) -> None:
    started = failing(tmp_path, "echo so it goes; exit 3")

    assert "stdout             so it goes\n" in started.text
    assert "\n  stdout: so it goes\n" in cli("run", "why", RUN, folder=tmp_path).text


def test_only_the_end_of_much_is_shown_with_the_line_that_shows_the_whole(tmp_path: Path) -> None:
    failing(tmp_path, "seq 1 5000 >&2; exit 3")
    shown = cli("run", "why", RUN, folder=tmp_path).text
    command = shown.rpartition("the whole: ")[2].partition(")")[0]

    assert [line for line in shown.splitlines() if line.startswith("  stderr: ")][:2] == [
        "  stderr: 4991",
        "  stderr: 4992",
    ]
    whole = cli(*command.removeprefix("interlock ").split(), folder=tmp_path)
    assert whole.text.split() == [str(number) for number in range(1, 5001)]


def test_stored_text_of_a_program_cannot_steer_the_terminal(tmp_path: Path) -> None:
    failing(tmp_path, r"printf '\033[31mred\n' >&2; exit 3")
    _, why = run_on_terminal("run", "why", RUN, program=PRODUCT, folder=tmp_path, environ=PLAIN)
    [row] = answer(tmp_path, "run", "artifacts", RUN)["items"]
    _, shown = run_on_terminal("artifact", "show", row["id"], program=PRODUCT, folder=tmp_path, environ=PLAIN)

    assert r"stderr: \x1b[31mred" in why
    assert r"\x1b[31mred" in shown
    assert "\x1b[31m" not in why + shown


def test_what_looks_like_a_secret_is_not_kept_and_not_shown(tmp_path: Path) -> None:
    canary = "ghp_" + "0123456789abcdefghijABCDEFGHIJ012345"
    (tmp_path / "noise").write_text(f"token {canary}\n")
    started = failing(tmp_path, "cat noise >&2; exit 3")
    why = cli("run", "why", RUN, folder=tmp_path)

    assert "bytes that look like a secret, and are not shown" in started.text
    assert "bytes that look like a secret, and are not shown" in why.text
    assert canary not in started.text + why.text + cli("run", "artifacts", RUN, "--json", folder=tmp_path).text


def test_a_failure_that_is_tried_again_shows_its_last_lines_while_it_waits(tmp_path: Path) -> None:
    (tmp_path / "flaky.py").write_text(
        dedent("""
        from interlock import Plan, Recorder, StateFailure
        from interlock.engine.config import RetryPolicy

        plan = Plan("flaky")


        @plan.state(retry=RetryPolicy.fixed(2, 3_600_000))
        async def hi(rec: Recorder) -> None:
            await rec.artifact("ExecStderr", b"not yet\\n")
            raise StateFailure("not_yet", "it is not there", retryable=True)
        """)
    )
    assert cli("run", "start", "flaky.py:plan", "--run-id", RUN, folder=tmp_path).code == 8

    why = cli("run", "why", RUN, folder=tmp_path).text

    assert why.startswith("backoff: hi failed and is tried again later")
    assert "\n  stderr: not yet\n" in why


def test_a_fork_that_fails_shows_the_last_lines_too(tmp_path: Path) -> None:
    failing(tmp_path, "echo still full >&2; exit 3")
    forked = cli("run", "fork", RUN, folder=tmp_path)

    assert forked.code == 1
    assert "still full" in forked.text


def test_what_a_run_stored_is_listed_page_by_page(tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_text(BINARY)
    assert cli("run", "start", "binary.py:plan", "--run-id", RUN, folder=tmp_path).code == 0

    first = cli("run", "artifacts", RUN, "--limit", "2", folder=tmp_path)
    [*_, line] = first.err.splitlines()
    rest = cli(*line.removeprefix("next: interlock ").split(), folder=tmp_path)

    assert [row.split()[:5] for row in first.text.splitlines()[1:]] == [
        ["draw", "picture", "3", "picture", "0"],
        ["draw", "picture", "3", "picture", "1"],
    ]
    assert [row.split()[1] for row in rest.text.splitlines()[1:]] == ["picture", "notes"]
    assert cli("run", "artifacts", RUN.replace("0189", "0289"), folder=tmp_path).code == 3


def test_bytes_go_to_a_file_or_a_pipe_as_they_are_and_only_text_to_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "binary.py").write_text(BINARY)
    cli("run", "start", "binary.py:plan", "--run-id", RUN, folder=tmp_path)
    *pictures, notes = [row["id"] for row in answer(tmp_path, "run", "artifacts", RUN)["items"]]

    written = cli("artifact", "show", pictures[0][:8], "--out", "a.bin", folder=tmp_path)
    again = cli("artifact", "show", pictures[1], "--out", "a.bin", folder=tmp_path)
    code, refused = run_on_terminal("artifact", "show", pictures[0], program=PRODUCT, folder=tmp_path, environ=PLAIN)
    _, shown = run_on_terminal("artifact", "show", notes, program=PRODUCT, folder=tmp_path, environ=PLAIN)

    assert written.code == 0, written.err
    assert (tmp_path / "a.bin").read_bytes() == b"\0\xff\0"
    assert (tmp_path / "a.bin").stat().st_mode & 0o777 == 0o600
    assert again.code == 2
    assert "artifact_out_unwritable" in again.err
    assert cli("artifact", "show", pictures[0], folder=tmp_path).out == b"\0\xff\0"
    assert cli("artifact", "show", notes, folder=tmp_path).out == b"a\tb\r\n\x1b[31mred\n"
    assert code == 2
    assert "artifact_unshowable" in refused
    assert r"\x1b[31mred" in shown
    assert answer(tmp_path, "artifact", "show", pictures[0])["base64"] == "AP8A"
    assert answer(tmp_path, "artifact", "show", notes)["text"].startswith("a\tb")


@pytest.mark.parametrize(
    ("named", "code"), [("0" * 64, 3), ("0" * 8, 3), ("0" * 7, 2), ("../../etc", 2), ("G" * 64, 2)]
)
def test_an_id_that_names_nothing_is_refused(tmp_path: Path, named: str, code: int) -> None:
    (tmp_path / "binary.py").write_text(BINARY)
    cli("run", "start", "binary.py:plan", "--run-id", RUN, folder=tmp_path)

    assert cli("artifact", "show", named, folder=tmp_path).code == code


def test_of_a_secret_answer_only_the_ciphertext_is_given(tmp_path: Path) -> None:
    canary = "correct-horse-battery"
    (tmp_path / "sealing.py").write_text(
        dedent(f"""
        import sys

        from interlock import Io, IoCall, Plan

        plan = Plan("sealing")


        @plan.state(side_effects="read_only_io")
        async def ask(io: Io) -> None:
            request = {{"kind": "run_program_v1", "program_path": sys.executable, "argv": ["-c", "print('{canary}')"]}}
            await io.call(IoCall("exec", request, "secret:ask", secret=True))
        """)
    )
    environ = {"INTERLOCK_SECRET_KEY": "ab" * 32}
    line = ("run", "start", "sealing.py:plan", "--run-id", RUN)
    assert run(*line, program=PRODUCT, folder=tmp_path, environ=environ).code == 0
    [row] = answer(tmp_path, "run", "artifacts", RUN)["items"]

    assert (row["kind"], row["name"]) == ("SecretPayload", "secret:ask")
    for show in (("artifact", "show", row["id"]), ("artifact", "show", row["id"], "--json")):
        shown = run(*show, program=PRODUCT, folder=tmp_path, environ=environ)
        assert shown.code == 0
        assert canary.encode() not in shown.out
    code, refused = run_on_terminal(
        "artifact", "show", row["id"], program=PRODUCT, folder=tmp_path, environ={**PLAIN, **environ}
    )
    assert code == 2
    assert canary not in refused
