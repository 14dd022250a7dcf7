"""Every code block of README and docs is executed, page by page, in an empty folder.

A `python` block that begins with `# file: NAME` is written to that file; any other is run as a program; a `sh`
block is run by bash. A block that cannot run here is announced by a comment
`<!-- not run here: reason; until YYYY-MM-DD -->`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if re.search(r"^```(python|sh)$", path.read_text("utf-8"), re.MULTILINE)
)
_BLOCK = re.compile(
    r"(?:<!-- not run here: (?P<skip>.+?); until (?P<until>\S+) -->\n+)?```(?P<kind>python|sh)\n(?P<code>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"\A# file: (\S+)\n")


@dataclass
class Block:
    kind: str
    code: str
    line: int
    until: str | None


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(m["kind"], m["code"], text.count("\n", 0, m.start("code")), m["until"]) for m in _BLOCK.finditer(text)
    ]


def run_block(block: Block, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    command = ["bash", "-euo", "pipefail", "-c", block.code]
    if block.kind == "python":
        command = [sys.executable, "-c", block.code]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_the_page_runs(page: str, tmp_path: Path) -> None:
    for block in blocks_of(page):
        if block.until is not None:
            assert date.fromisoformat(block.until) >= datetime.now(UTC).date(), f"{page}:{block.line}: run it again"
            continue
        named = _FILE.match(block.code)
        if named is not None:
            (tmp_path / named[1]).write_text(block.code, "utf-8")
            continue
        done = run_block(block, tmp_path)
        assert done.returncode == 0, f"{page}:{block.line}\n{block.code}\n{done.stdout}\n{done.stderr}"


def test_there_are_pages_to_run() -> None:
    assert "README.md" in PAGES
