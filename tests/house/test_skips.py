"""A test that does not run says why, and until when."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from tests.house.project import name_of, python_files, tree

SKIPPING = {"importorskip", "skip", "skipif", "xfail"}


def test_a_skipped_test_states_a_reason_and_an_end_date_that_has_not_passed() -> None:
    today = datetime.now(UTC).date()
    ends = [(place, end) for path in python_files("tests") for place, end in skips(path)]

    assert [place for place, end in ends if end is None or end < today] == []


def _skips(called: ast.Attribute) -> bool:
    """Whether it is one of pytest's ways to skip: a run has steps that are skipped, too."""
    return called.attr in SKIPPING and ast.unparse(called).split(".")[-2:-1] != ["control"]


def skips(path: Path) -> Iterator[tuple[str, date | None]]:
    """Every skip of a file with the end date in its reason, None when it states none."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _skips(node.func):
            found = re.search(r"\d{4}-\d{2}-\d{2}", ast.unparse(node))
            yield f"{name_of(path)}:{node.lineno}", date.fromisoformat(found[0]) if found else None
