"""A module opens with what it does and what it does not do; what is public is documented."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.project import name_of, python_files, tree

DOCUMENTED_RATIO_MIN = 1.0
# A module this short has no neighbour that it could be mistaken for.
SHORT_LINES_MAX = 40

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def test_every_module_says_what_it_does() -> None:
    assert [name_of(path) for path in python_files() if not ast.get_docstring(tree(path))] == []


def test_every_module_of_some_size_says_what_it_does_not_do() -> None:
    silent = [
        name_of(path)
        for path in python_files("src")
        if len(path.read_text(encoding="utf-8").splitlines()) > SHORT_LINES_MAX
        and not re.search(r"\b(not|no|never|nothing)\b", ast.get_docstring(tree(path)) or "", re.IGNORECASE)
    ]

    assert silent == []


def test_what_is_public_is_documented() -> None:
    public = [found for path in python_files("src") for found in public_members(path, tree(path))]
    silent = [name for name, node in public if not ast.get_docstring(node)]

    assert 1 - len(silent) / len(public) >= DOCUMENTED_RATIO_MIN, silent


def public_members(path: Path, node: Documented, prefix: str = "") -> Iterator[tuple[str, Documented]]:
    """What a reader of the API meets; an override inherits its words, a test's name is its sentence."""
    for child in node.body:
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if child.name.startswith(("_", "test_")) or is_override(child):
            continue
        name = f"{prefix}{child.name}"
        yield f"{name_of(path)}::{name}", child
        if isinstance(child, ast.ClassDef):
            yield from public_members(path, child, f"{name}.")


def is_override(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    names = {item.id for item in node.decorator_list if isinstance(item, ast.Name)}
    return bool(names & {"overload", "override"})
