"""The files that the house tests look at.

It finds and reads them; it judges nothing. Rule: only files that belong in the repository count, so a
build, a virtual environment or a store that somebody left in a folder changes no verdict.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "interlock"
CODE_FOLDERS = ("src", "tests", "scripts", "benchmarks", "examples")
PAGE_FOLDER = ROOT / "docs"


@cache
def python_files(*folders: str) -> tuple[Path, ...]:
    """Every Python file below the folders, by default all that hold code of the project."""
    roots = [ROOT / name for name in folders or CODE_FOLDERS]
    return tuple(sorted(path for root in roots for path in root.rglob("*.py")))


@cache
def pages() -> tuple[Path, ...]:
    """Every page for people: those in the root and those of `docs/`."""
    return tuple(sorted([*ROOT.glob("*.md"), *PAGE_FOLDER.rglob("*.md")]))


@cache
def tree(path: Path) -> ast.Module:
    """The syntax tree of a Python file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method of a file, nested ones too."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def name_of(path: Path) -> str:
    """How a verdict names a file: its path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()
