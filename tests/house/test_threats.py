"""Every threat names the tests that show what stands against it, and those tests are there."""

from __future__ import annotations

import ast
import re

import pytest

from tests.house.project import ROOT, tree

ROW = re.compile(r"^\| (T\d+) \| .* \| ([^|]*) \|$", re.MULTILINE)
TEST = re.compile(r"`(tests/[a-z_/0-9]+\.py)::(test_[a-z_0-9]+)`")
ROWS = ROW.findall((ROOT / "docs" / "threats.md").read_text(encoding="utf-8"))


def test_threats_are_numbered_without_a_gap() -> None:
    assert [number for number, _ in ROWS] == [f"T{n}" for n in range(1, len(ROWS) + 1)]


@pytest.mark.parametrize(("number", "shown"), ROWS)
def test_a_threat_is_shown_by_tests_that_are_there(number: str, shown: str) -> None:
    named = shown.split("<br>")

    assert named
    for each in named:
        found = TEST.fullmatch(each)
        assert found, f"{number} names no test function: {each}"
        defined = {
            node.name
            for node in ast.walk(tree(ROOT / found[1]))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert found[2] in defined, f"{number}: {each}"
