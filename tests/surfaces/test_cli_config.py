"""`config check` and `config explain`: every setting, its value, and where that is from."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


def interlock(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "interlock.surfaces.cli.main", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def explained(folder: Path, *arguments: str, **variables: str) -> dict[str, Any]:
    done = interlock(folder, "config", "explain", "--json", *arguments, **variables)
    assert done.returncode == 0, done.stderr
    return {each["setting"]: each for each in json.loads(done.stdout)["settings"]}


def test_every_setting_says_where_its_value_is_from(tmp_path: Path) -> None:
    (tmp_path / "interlock.toml").write_text("[runner]\ndecisions_max = 7\nqueue_total_max = 9\n")
    found = explained(tmp_path, INTERLOCK_RUNNER__QUEUE_TOTAL_MAX="11")
    assert (found["runner.decisions_max"]["value"], found["runner.decisions_max"]["source"]) == (7, "interlock.toml")
    late = found["runner.queue_total_max"]
    assert (late["value"], late["source"]) == (11, "INTERLOCK_RUNNER__QUEUE_TOTAL_MAX")
    assert found["runner.queue_per_stream_max"]["source"] == "default"
    assert found["gates.trust"]["value"]["min_lane"] == "verified"
    assert all(each["meaning"] for each in found.values())


def test_sound_settings_are_said_to_be_so_and_leave_no_store(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("[runner]\ndecisions_max = 7\n")
    done = interlock(tmp_path, "config", "check", "--config", "other.toml", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["given"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.toml"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("[runner]\ndecision_max = 7\n", "setting_unknown"),
        ("[runner]\ndecisions_max = 0\n", "setting_invalid"),
        ("[gates.validation]\nstrict = false\n", "validation_permissive"),
        ('[[gates.providers]]\nname = "tools"\ntype = "mcp"\ncommand = ["x"]\n', "contract_missing"),
        ("[gates.policy]\nengine = 'static'\n", "disclosure_policy_invalid"),
    ],
)
def test_what_is_wrong_with_settings_is_told_before_anything_is_done(tmp_path: Path, content: str, code: str) -> None:
    (tmp_path / "interlock.toml").write_text(content)
    done = interlock(tmp_path, "config", "check")
    assert done.returncode != 0
    assert f"[{code}]" in done.stderr


def test_what_settings_name_and_is_not_there_is_told(tmp_path: Path) -> None:
    settings = tmp_path / "interlock.toml"
    settings.write_text('[events.sources.forge]\nsource = "https://forge.example/*"\nsecret = "env:FORGE_SECRET"\n')
    lacks = interlock(tmp_path, "config", "check")
    assert (lacks.returncode, "events.sources.forge.secret: the variable FORGE_SECRET is not set" in lacks.stderr) == (
        3,
        True,
    )
    assert interlock(tmp_path, "config", "check", FORGE_SECRET="s3cret").returncode == 0  # noqa: S106 - of a test

    settings.write_text('[plans.offered]\nnext = "os:plan"\ngreeting = "hello.py:plan"\n')
    lacks = interlock(tmp_path, "config", "check")
    assert (lacks.returncode, "offered.greeting: there is no file hello.py" in lacks.stderr) == (2, True)
    (tmp_path / "hello.py").touch()
    assert interlock(tmp_path, "config", "check").returncode == 0
