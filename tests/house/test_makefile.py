"""A target says what it does before it does it for long."""

from __future__ import annotations

import subprocess

from tests.house.project import ROOT


def test_the_first_target_of_a_fresh_clone_says_at_once_that_it_sets_up_the_environment() -> None:
    line = ["make", "--always-make", "--dry-run", "demo"]
    planned = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    spoken = [each for each in planned.splitlines() if each.startswith("echo ")]
    assert spoken[0] == 'echo "setting up .venv first: about half a minute, once"'
    assert planned.index(spoken[0]) < planned.index("-m venv")
