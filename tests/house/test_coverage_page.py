"""The pages of `docs/coverage/` tell the truth: what is done has a page and a test, what departs a decision.

It cannot tell whether a named test proves its row; a reviewer does.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

from scripts.docs import link_targets
from tests.house.project import PAGE_FOLDER, ROOT, python_files, tree

SUMMARY = PAGE_FOLDER / "coverage.md"
HEADER = ["item", "kind", "seed", "page", "test", "state"]
STATES = {"done", "departed", "later"}
TEST_NAME = re.compile(r"`(tests/[\w./-]+\.py::[\w:]+)`")


class Row(NamedTuple):
    """One thing that the seeds ask for: where they say it, where it is explained, what proves it."""

    file: Path
    item: str
    kind: str
    seed: str
    page: str
    test: str
    state: str

    @property
    def tests(self) -> list[str]:
        """The names of the tests of the row."""
        return TEST_NAME.findall(self.test)

    @property
    def has_page(self) -> bool:
        """Whether the row links to pages, and each of them exists."""
        targets = [target.partition("#")[0] for target in link_targets(self.page)]
        return bool(targets) and all((self.file.parent / target).is_file() for target in targets)


def test_every_row_has_a_known_state() -> None:
    assert rows()
    assert [row.item for row in rows() if row.state not in STATES] == []


def test_no_item_stands_twice() -> None:
    named = [(row.file.stem, row.item, row.kind) for row in rows()]

    assert sorted({name for name in named if named.count(name) > 1}) == []


def test_the_summary_counts_the_rows_of_each_page_by_their_states() -> None:
    counts = r"\]\((coverage/\S+\.md)\).*\| +(\d+) \| +(\d+) \| +(\d+) \| +(\d+) \|$"
    counted = re.findall(counts, SUMMARY.read_text(encoding="utf-8"), re.MULTILINE)
    present = {f"coverage/{file.name}": Counter(row.state for row in rows() if row.file == file) for file in files()}

    assert {name: tuple(map(int, numbers)) for name, *numbers in counted} == {
        name: (states["done"], states["departed"], states["later"], states.total()) for name, states in present.items()
    }


def test_the_summary_counts_the_obligations_by_their_kinds() -> None:
    counts = r"^\| ([a-z -]+) \| `[A-Z]+1`\S+ \| (\d+) \| (\d+) \| (\d+) \|$"
    counted = re.findall(counts, SUMMARY.read_text(encoding="utf-8"), re.MULTILINE)
    obligations = [row for row in rows() if row.file.stem == "run-engine"]
    kinds = Counter((row.kind, row.state) for row in obligations)

    assert {kind: tuple(map(int, numbers)) for kind, *numbers in counted} == {
        kind: (kinds[kind, "done"], kinds[kind, "later"], kinds[kind, "done"] + kinds[kind, "later"])
        for kind in {row.kind for row in obligations}
    }


def test_the_sums_of_the_summary_are_those_of_the_rows() -> None:
    sums = re.findall(r"^\| \*\*(all.*?)\*\* \|(.*)\|$", SUMMARY.read_text(encoding="utf-8"), re.MULTILINE)
    written = [tuple(map(int, re.findall(r"\d+", cells))) for _, cells in sums]
    seeds, obligations = (
        [row for row in rows() if (row.file.stem == "run-engine") == is_obligation] for is_obligation in (False, True)
    )
    states = Counter(row.state for row in seeds)
    of = Counter(row.file.stem.split("-")[1] for row in seeds)
    own = Counter(row.state for row in obligations)

    assert [name for name, _ in sums] == ["all seeds", "all", "all"]
    assert written == [
        (states["done"], states["departed"], states["later"], len(seeds)),
        (of["000"], of["001"], of["002"], of["003"], len(seeds)),
        (own["done"], own["later"], len(obligations)),
    ]


def test_what_is_done_has_a_page_and_a_test() -> None:
    assert [row.item for row in rows() if row.state == "done" and not (row.has_page and row.tests)] == []


def test_what_departs_links_to_a_decision() -> None:
    departed = [row for row in rows() if row.state == "departed"]

    assert [row.item for row in departed if not ("decisions/" in row.page and row.has_page)] == []


def test_a_cell_of_tests_holds_nothing_but_names_of_tests() -> None:
    written = [part.strip() for row in rows() for part in row.test.split("<br>") if part.strip()]

    assert [part for part in written if not TEST_NAME.fullmatch(part)] == []


def test_every_named_test_exists() -> None:
    named = sorted({name for row in rows() for name in row.tests})

    assert [name for name in named if not exists(name)] == []


def files() -> list[Path]:
    return sorted((PAGE_FOLDER / "coverage").glob("*.md"))


@cache
def rows() -> tuple[Row, ...]:
    """Every row of every table of the pages whose header is the one of coverage."""
    return tuple(row for file in files() for row in rows_of(file))


def rows_of(file: Path) -> list[Row]:
    found: list[Row] = []
    inside = False
    for line in file.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]]
        if cells == HEADER or not line.startswith("|"):
            inside = cells == HEADER
        elif inside and not re.fullmatch(r"[|:\- ]+", line):
            assert len(cells) == len(HEADER), f"a row needs {len(HEADER)} cells: {line}"
            found.append(Row(file, *cells))
    return found


def exists(name: str) -> bool:
    """Whether `tests/path.py::[Class::]test` names a test, which a class may inherit from a shipped suite."""
    file, *kind, test = name.split("::")
    if not (ROOT / file).is_file() or not test.startswith("test"):
        return False
    if not kind:
        return any(getattr(node, "name", None) == test for node in tree(ROOT / file).body)
    found = [node for node in tree(ROOT / file).body if isinstance(node, ast.ClassDef) and node.name == kind[0]]
    return any(test in methods(node) for node in found)


def methods(node: ast.ClassDef) -> set[str]:
    """The names of the methods of a class and of the shipped suites that it inherits."""
    own = {item.name for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)}
    return own.union(*(methods(suites()[base]) for base in map(ast.unparse, node.bases) if base in suites()))


@cache
def suites() -> dict[str, ast.ClassDef]:
    """The contract suites that the package ships, by name."""
    nodes = [node for path in python_files("src/interlock/testing") for node in tree(path).body]
    return {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
