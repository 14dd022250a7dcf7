"""The step `exec`: its output, its streams, and what it says of a program that fails."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from interlock import App
from interlock.engine import events as e
from tests.unit.engine.document.documents import Lived, run_document

CANARY = "s3cr3t-of-a-test-7"


def step(given: str, more: str = "") -> str:
    return f"""
pipeline: one
version: "1"
steps:
  - name: only
    handler: exec
    side_effects: read_only_io
{more}    with: {given}
"""


def artifacts(done: Lived, folder: Path) -> dict[str, bytes]:
    """What the run kept as artifacts, by kind."""
    written = [event.record for event in done.events if isinstance(event.record, e.ArtifactWritten)]

    async def main() -> dict[str, bytes]:
        async with App.open(folder / "store.db") as app:
            contents = await app.store.artifacts.get([each.artifact_id for each in written])
            return {each.kind: content for each, content in zip(written, contents, strict=True)}

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("stdout", "printed", "text", "value"),
    [
        ("auto", '{"a": 1}', '{"a": 1}', {"a": 1}),
        ("auto", "plain", "plain", None),
        ("json", "[1]", "[1]", [1]),
        ("text", "[1]", "[1]", None),
        ("none", "[1]", None, None),
    ],
)
def test_what_a_program_prints_is_read_as_the_step_says(
    tmp_path: Path, stdout: str, printed: str, text: str | None, value: Any
) -> None:
    done = run_document(tmp_path, step(f"{{argv: [printf, '%s', '{printed}'], stdout: {stdout}}}"))

    assert done.values["only"] == {"exit_code": 0, "stdout": text, "stderr": "", "json": value}


def test_output_that_must_be_json_and_is_none_fails(tmp_path: Path) -> None:
    done = run_document(tmp_path, step("{argv: [echo, no], stdout: json}"))

    assert done.result.error is not None
    assert done.result.error.code == "exec_stdout_invalid_json"
    assert artifacts(done, tmp_path) == {"ExecStdout": b"no\n"}


def test_an_exit_code_fails_unless_it_is_listed(tmp_path: Path) -> None:
    program = "argv: [sh, -c, 'echo said; echo why >&2; exit 3']"
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()

    failed = run_document(tmp_path / "a", step(f"{{{program}}}"))
    listed = run_document(tmp_path / "b", step(f"{{{program}, ok_codes: [0, 3]}}"))

    assert failed.result.error is not None
    assert failed.result.error.code == "exec_failed"
    assert "why" not in failed.result.error.message
    assert artifacts(failed, tmp_path / "a") == {"ExecStdout": b"said\n", "ExecStderr": b"why\n"}
    assert listed.values["only"] == {"exit_code": 3, "stdout": "said\n", "stderr": "why\n", "json": None}


def test_exit_sizes_and_real_path_are_recorded_and_the_streams_are_artifacts(tmp_path: Path) -> None:
    (tmp_path / "tool").symlink_to(Path("/bin/sh").resolve())

    done = run_document(tmp_path, step("{argv: [./tool, -c, 'echo four; echo five5 >&2']}"))

    assert done.emitted("exec_ended") == [
        {"program": str(Path("/bin/sh").resolve()), "exit_code": 0, "stdout_bytes": 5, "stderr_bytes": 6}
    ]
    assert artifacts(done, tmp_path) == {"ExecStdout": b"four\n", "ExecStderr": b"five5\n"}


def test_a_program_is_named_as_in_a_shell_and_works_in_the_folder_of_the_document(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()

    here = run_document(tmp_path, step("{argv: [pwd]}"))
    below = run_document(tmp_path, step("{argv: [pwd], cwd: sub}"))

    assert here.values["only"]["stdout"] == f"{tmp_path}\n"
    assert below.values["only"]["stdout"] == f"{tmp_path}/sub\n"


def test_a_program_of_a_virtual_environment_keeps_its_name(tmp_path: Path) -> None:
    done = run_document(tmp_path, step(f"{{argv: [{sys.executable}, -c, 'import interlock; print(1)']}}"))

    assert done.values["only"]["json"] == 1


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = run_document(tmp_path, step("{argv: [no-such-program-here]}"))

    assert done.result.error is not None
    assert done.result.error.code == "exec_program_missing"
    assert "no-such-program-here" in done.result.error.message


def test_a_program_gets_json_and_variables_and_a_secret_that_is_recorded_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", CANARY)
    given = """
      argv: [sh, -c, 'cat; echo " $PLAIN ${#TOKEN}"']
      stdin_json: {n: 1}
      env: {PLAIN: x, TOKEN: {secret: "env:TOKEN_OF_TEST"}}"""

    done = run_document(tmp_path, step(given))

    assert done.values["only"]["stdout"] == f'{{"n":1}} x {len(CANARY)}\n'
    assert all(CANARY.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_a_failed_program_that_prints_its_secret_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_TEST", CANARY)
    given = """
      argv: [sh, -c, 'echo $TOKEN; exit 1']
      env: {TOKEN: {secret: "env:TOKEN_OF_TEST"}}"""

    done = run_document(tmp_path, step(given))

    assert artifacts(done, tmp_path) == {}
    assert all(CANARY.encode() not in path.read_bytes() for path in tmp_path.iterdir() if path.is_file())


def test_a_stream_that_looks_like_a_secret_is_withheld(tmp_path: Path) -> None:
    token = "ghp" + "_" + "a1B2c3D4e5F6" * 3

    done = run_document(tmp_path, step(f"{{argv: [sh, -c, 'echo {token[:3]}\"\"{token[3:]} >&2; exit 1']}}"))

    assert done.emitted("exec_stream_withheld") == [{"stream": "ExecStderr", "bytes": len(token) + 1}]
    assert artifacts(done, tmp_path) == {}
