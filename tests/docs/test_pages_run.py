"""Every code block of README and docs is executed, page by page, in an empty folder, and prints what the page shows.

A `python` or `yaml` block that begins with `# file: NAME` is written to that file; any other `python` block is run as a
program, and any other `yaml` block is only shown; a `sh` block is run by bash. A block that cannot run here is
announced by a comment `<!-- not run here: reason; until YYYY-MM-DD -->`.

A `text` block right below a block that runs is all that it prints, errors too; a line `…` stands for any lines.
What differs from day to day and from machine to machine is left out of the comparison: see `steady`.
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

from tests.postgres import programs

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    if re.search(r"^```(python|sh)$", path.read_text("utf-8"), re.MULTILINE)
)
_BLOCK = re.compile(
    r"(?:<!-- not run here: (?P<skip>.+?); until (?P<until>\S+) -->\n+)?"
    r"```(?P<kind>python|sh|yaml)\n(?P<code>.*?)^```\n"
    r"(?:\n*```text\n(?P<shown>.*?)^```$)?",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"\A# file: (\S+)\n")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNSTEADY = (
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
    (re.compile(r"\bin \d+\.\d+s\b"), "in SECONDS"),
    (re.compile(r"· \d+(?:\.\d+)? (?:ms|s|min)\b"), "· DURATION"),
    (re.compile(rf"(?<![\w-])(?!{_UUID.pattern})[\w.-]+-\d+-[0-9a-f]{{12}}(?![\w-])"), "OWNER"),
    (re.compile(r"\blocal:\S+"), "local:USER"),
    (re.compile(r"^bash: line \d+: +\d+ Killed .*\n", re.MULTILINE), ""),
    (re.compile(r"\x20\x20+"), "  "),  # columns are as wide as what stands in them
    (re.compile(r"\x20+$", re.MULTILINE), ""),
)


@dataclass
class Block:
    kind: str
    code: str
    line: int
    until: str | None
    shown: str | None


def blocks_of(page: str) -> list[Block]:
    text = (ROOT / page).read_text("utf-8")
    return [
        Block(m["kind"], m["code"], text.count("\n", 0, m.start("code")), m["until"], m["shown"])
        for m in _BLOCK.finditer(text)
    ]


def run_block(block: Block, folder: Path, database: str | None = None) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "NO_COLOR": "1"}
    if database is not None:  # what a reader of the page has: a server, and the programs of PostgreSQL
        place = database.partition("@")[2]
        environment |= {"DATABASE": database, "READER": f"postgresql://reader@{place}"}
        environment["PATH"] = f"{programs()}:{environment['PATH']}"
    environment.pop("CI", None)  # tools say more where that is set, and pages show what people see
    command = ["bash", "-euo", "pipefail", "-c", block.code]
    if block.kind == "python":
        command = [sys.executable, "-c", block.code]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )


def steady(text: str, folder: Path, known: set[str]) -> str:
    """The text without times, widths, names of the machine and ids that the page does not give itself."""
    text = _UUID.sub(lambda found: found[0] if found[0] in known else "UUID", text.replace(str(folder), "…"))
    for pattern, word in _UNSTEADY:
        text = pattern.sub(word, text)
    return text


def shows(shown: str, printed: str) -> bool:
    """Whether the page shows what was printed, line by line, where a line `…` stands for any lines."""
    lines = [r"(?:.*\n)*" if line == "…" else re.escape(line) + r"\n" for line in shown.splitlines()]
    return re.fullmatch("".join(lines), printed) is not None


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_the_page_runs(page: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    blocks = blocks_of(page)
    database = request.getfixturevalue("postgres_url") if page.endswith("/postgresql.md") else None
    known = {name for block in blocks for name in _UUID.findall(block.code)}
    for block in blocks:
        if block.until is not None:
            assert date.fromisoformat(block.until) >= datetime.now(UTC).date(), f"{page}:{block.line}: run it again"
            continue
        named = _FILE.match(block.code)
        if named is not None:
            (tmp_path / named[1]).write_text(block.code, "utf-8")
            continue
        if block.kind == "yaml":
            continue
        done = run_block(block, tmp_path, database)
        assert done.returncode == 0, f"{page}:{block.line}\n{block.code}\n{done.stdout}"
        if block.shown is not None:
            shown, printed = (steady(text, tmp_path, known) for text in (block.shown, done.stdout))
            assert shows(shown, printed), f"{page}:{block.line} shows\n{shown}\nbut this was printed:\n{done.stdout}"


def test_a_page_that_shows_another_output_is_found_out(tmp_path: Path) -> None:
    printed = f"run 7c3b0f5e-9c4d-4e2a-8f6b-7d1c2e3f4a5b\nat  2026-11-22T04:08:32.382Z\nstore  {tmp_path}/x\n1\n2\n"
    page = "run 0b5a1f3e-9c4d-4e2a-8f6b-7d1c2e3f4a5b\nat   2026-01-01T00:00:00.000Z\nstore …/x\n1\n2\n"
    given, seen = (steady(text, tmp_path, set()) for text in (page.replace("store …", "store  …"), printed))

    assert shows(given, seen)
    assert shows("…\n1\n2\n", seen)
    assert not shows("1\n2\n", seen)
    assert not shows(given.replace("1\n2", "2\n1"), seen)
    assert not shows(given.replace("UUID", "7c3b0f5e-9c4d-4e2a-8f6b-7d1c2e3f4a5b"), seen)


def test_there_are_pages_to_run() -> None:
    assert "README.md" in PAGES
