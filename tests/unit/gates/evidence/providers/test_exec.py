"""What programs print, as evidence: real programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec import UNSET

from interlock.base.errors import InterlockError
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.exec import ExecConfig, ExecProvider
from tests.unit.gates.evidence.asking import ask, cause_of, query, value_of


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, script in {
        "report": """printf '{"args": "%s", "secret": "%s"}' "$*" "$SECRET" """,
        "echo": "cat",
        "words": "echo words",
        "fails": "exit 3",
        "sleeps": "sleep 60",
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)
    return folder


def get(programs: Path, check: str, name: str, /, config: dict[str, Any] | None = None, **more: Any) -> Answered:
    given = {"allowed_paths": (str(programs),)} | (config or {})
    return ask(ExecProvider(ExecConfig(**given)), query("exec", check, {"program": str(programs / name), **more}))


def test_what_a_program_prints_is_its_json_with_the_programs_path(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET", "hidden")

    answered = get(programs, "output", "report", args=["--all", "x y"])

    assert value_of(answered) == {"args": "--all x y", "secret": ""}
    assert answered.result.evidence_anchor is not None
    assert json.loads(answered.result.evidence_anchor.anchor_value) == {"path": str(programs / "report")}
    assert [call.namespace for call in answered.calls] == ["exec"]


def test_a_program_reads_what_it_is_given_as_json(programs: Path) -> None:
    assert value_of(get(programs, "output", "echo", input={"b": 1, "a": [True]})) == {"a": [True], "b": 1}


@pytest.mark.parametrize(("name", "code"), [("report", 0), ("fails", 3)])
def test_an_exit_code_is_an_answer(programs: Path, name: str, code: int) -> None:
    assert value_of(get(programs, "exit_code", name)) == code


@pytest.mark.parametrize(
    ("name", "config", "code"),
    [
        ("report", {"allowed_paths": ()}, "exec_program_not_allowed"),
        ("report", {"allowed_paths": ("/usr",)}, "exec_program_not_allowed"),
        ("../programs-2", {}, "exec_program_not_allowed"),
        ("none", {}, "exec_program_missing"),
        ("fails", {}, "exec_failed"),
        ("words", {}, "exec_stdout_invalid_json"),
        ("report", {"max_output_bytes": 5}, "exec_stdout_too_large"),
        ("sleeps", {"timeout_ms": 50}, "exec_timeout"),
    ],
)
def test_a_program_that_gives_no_output_is_an_error(
    programs: Path, name: str, config: dict[str, Any], code: str
) -> None:
    assert cause_of(get(programs, "output", name, config)) == code


def test_a_link_out_of_the_allowed_folder_runs_nothing(programs: Path) -> None:
    (programs / "shell").symlink_to("/bin/sh")

    assert cause_of(get(programs, "exit_code", "shell", args=["-c", "exit 0"])) == "exec_program_not_allowed"


@pytest.mark.parametrize(("params", "code"), [(UNSET, "params_missing"), ({"program": ""}, "params_invalid")])
def test_params_that_are_none_are_refused(params: Any, code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        ask(ExecProvider(ExecConfig()), query("exec", "output", params))

    assert caught.value.code == code
