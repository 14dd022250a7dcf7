"""Files and functions stay small enough to hold in the head."""

from __future__ import annotations

from tests.house.project import functions, name_of, python_files

FILE_LINES_MAX = 450
FUNCTION_LINES_MAX = 70


def test_no_file_is_longer_than_the_house_allows() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in python_files()}

    assert {name: lines for name, lines in lengths.items() if lines > FILE_LINES_MAX} == {}


def test_no_function_is_longer_than_the_house_allows() -> None:
    lengths = {
        f"{name_of(path)}::{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in python_files()
        for node in functions(path)
    }

    assert {name: lines for name, lines in lengths.items() if lines > FUNCTION_LINES_MAX} == {}
