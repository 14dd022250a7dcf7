"""The examples of CONTRIBUTING.md are complete programs that run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.project import ROOT

EXAMPLES = dict(
    re.findall(
        r"^### … an? (.+?)\n(?:(?!^###).)*?^```python\n(.*?)^```",
        (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
        flags=re.MULTILINE | re.DOTALL,
    )
)


def test_the_guide_shows_by_example_what_is_added_most() -> None:
    assert sorted(EXAMPLES) == [
        "command",
        "error code",
        "setting",
        "state type",
        "step handler",
        "store adapter",
        "transport",
    ]


@pytest.mark.parametrize("what", EXAMPLES)
def test_an_example_runs_without_a_word(what: str, tmp_path: Path) -> None:
    program = tmp_path / "example.py"
    program.write_text(EXAMPLES[what], encoding="utf-8")

    command = [sys.executable, "-W", "error", str(program)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["example.py"]
