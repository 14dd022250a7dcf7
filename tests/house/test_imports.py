"""Imports go in one direction, and starting a program loads no library that it may not need."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest
from importlinter.cli import lint_imports

from tests.house.project import ROOT

HEAVY = ("cryptography", "httpx2", "rich")


def test_imports_keep_the_direction_of_the_contracts(capsys: pytest.CaptureFixture[str]) -> None:
    known = [each for each in logging.Logger.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    speaking = [each for each in known if not each.disabled]

    verdict = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    for each in speaking:
        each.disabled = False  # its configuration silences every logger that it does not name

    assert verdict == 0, capsys.readouterr().out


@pytest.mark.parametrize("module", ["interlock", "interlock.surfaces.cli"])
def test_importing_a_surface_loads_no_heavy_library(module: str) -> None:
    program = f"import sys, {module}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert sorted(set(HEAVY) & set(loaded.split())) == []
