"""The folder of a demonstration, and the lines that tell its story.

What it does: makes the folder, knows what stands in it, and writes facts to standard error. What it does not do: it
runs nothing.

Rule: a folder is emptied only if an earlier demonstration made it.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from pathlib import Path
from uuid import uuid4

from interlock.demo.errors import DEMO_CLAIM_FAILED, DEMO_FOLDER_TAKEN, DEMO_FOLDER_UNWRITABLE, DEMO_PROJECT_INVALID
from interlock.demo.project import EVIDENCE, LOG

MARKER = ".interlock-demo"
_SETTINGS = """\
# Where the evidence of the release is from: files that its steps left, and variables of the environment.
[[gates.providers]]
name = "json"
type = "builtin"
config = { root = EVIDENCE, root_id = "release" }

[[gates.providers]]
name = "env"
type = "builtin"
config = { allowlist = ["PYTHONOPTIMIZE"] }
"""
_TESTS = ("tests/fundamentals", "tests")


class Stage:
    """Writes the story to standard error, one line a fact."""

    def __init__(self) -> None:
        self._number = 0
        self._bold = ("\x1b[1m", "\x1b[0m") if sys.stderr.isatty() else ("", "")

    def act(self, title: str) -> None:
        """A new part of the story."""
        self._number += 1
        start, end = self._bold
        print(f"\n{start}{self._number}. {title}{end}", file=sys.stderr)  # noqa: T201

    def say(self, line: str) -> None:
        """One fact."""
        print(f"   {line}".rstrip(), file=sys.stderr)  # noqa: T201

    def claim(self, line: str, *, holds: bool) -> None:
        """A fact that was checked. Raises: `demo_claim_failed`."""
        if not holds:
            raise DEMO_CLAIM_FAILED.error(f"this does not hold: {line}")
        self.say(f"✓ {line}")


class Place:
    """The folder of a demonstration and what stands in it."""

    def __init__(self, project: Path, folder: Path) -> None:
        self.project = project.resolve()
        self.folder = folder.resolve()
        self.work = self.folder / "work"
        self.channel = self.folder / "channel"
        self.store = self.folder / "store.db"
        self.pack = self.folder / "release.pack"
        self.changed = self.folder / "changed.pack"
        self.key = self.folder / "release.key"
        self.settings = self.folder / "interlock.toml"
        self.run_id = str(uuid4())
        self.replaced = False
        """Whether an earlier demonstration stood in the folder."""

    def prepare(self) -> str:
        """Make the folder anew and return the path of git.

        Raises: `demo_folder_taken`, `demo_folder_unwritable`, `demo_project_invalid`.
        """
        git = shutil.which("git")
        if git is None or not (self.project / "pyproject.toml").is_file() or not (self.project / ".git").exists():
            raise DEMO_PROJECT_INVALID.error("there is no Python project under git in that folder")
        try:
            self._make_anew()
        except OSError as fault:
            why = f"the folder {self.folder} cannot be used: {fault.strerror}"
            raise DEMO_FOLDER_UNWRITABLE.error(why) from None
        return git

    def _make_anew(self) -> None:
        if self.folder.exists() and any(self.folder.iterdir()):
            if not (self.folder / MARKER).is_file():
                raise DEMO_FOLDER_TAKEN.error("the folder has other content", folder=self.folder.name)
            shutil.rmtree(self.folder)
            self.replaced = True
        for path in (self.work, self.channel):
            path.mkdir(parents=True)
        (self.folder / MARKER).touch()
        evidence = json.dumps(str(self.work / EVIDENCE), ensure_ascii=False)  # such a string of JSON is one of TOML
        self.settings.write_text(_SETTINGS.replace("EVIDENCE", evidence), "utf-8")

    def tests(self) -> str:
        """The project's short tests, or else all of them."""
        return next((tests for tests in _TESTS if (self.project / tests).exists()), _TESTS[-1])

    def began(self) -> Counter[str]:
        """How often each program of the project began, as it noted itself."""
        return Counter((self.work / LOG).read_text("utf-8").split())

    def wheels(self) -> list[tuple[str, int, int]]:
        """The files that were built: a build that ran again made them anew."""
        found = sorted((self.work / "dist").glob("*.whl"))
        return [(path.name, path.stat().st_ino, path.stat().st_mtime_ns) for path in found]
