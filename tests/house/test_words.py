"""No text of the repository names one machine, a package index, or work that was left over."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.house.project import ROOT, name_of, pages, python_files

FORBIDDEN = {
    "a path of one machine": r"(?<![\w.])/(work|farm|root|home/\w+|opt/\w+)/",
    "the host of a package index": r"pypi\.org|python[h]osted|/sim[p]le/",
    "an installation by a name that is not the project's": r"""pip3? install ['"]?interlock(?!-)|interlock\[[a-z]""",
    "work that was left over": r"\b(TO[D]O|FIX[M]E|XX[X]|HAC[K])\b",
}
FRAME = ("pyproject.toml", "Makefile", ".ci/run", "requirements/bootstrap.txt", "requirements/dev.txt")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    found = [
        f"{name_of(path)}:{number}"
        for path in (*python_files(), *pages(), *(ROOT / name for name in FRAME))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(FORBIDDEN[what], line)
    ]

    assert found == []


def test_no_page_names_a_path_of_the_machine_it_was_written_on() -> None:
    assert [name_of(path) for path in pages() if temporary_path(path)] == []


def temporary_path(page: Path) -> bool:
    return bool(re.search(r"(?<![\w.])/(tmp|var/tmp)\b", page.read_text(encoding="utf-8")))
