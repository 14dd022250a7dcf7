"""The text tree and Mermaid: recorded drawings, and names that try to be more than names."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from interlock.engine.graph.commands import Format, drawn
from interlock.engine.graph.looks import LOOKS
from interlock.engine.graph.model import Graph
from interlock.engine.graph.words import duration
from tests.unit.engine.graph.pictures import PICTURES, chain, diamond, fan_out, graph, node, siblings

GOLDEN = Path(__file__).with_name("golden")
FORMS: dict[Format, str] = {"tree": "txt", "mermaid": "mmd"}
HOSTILE = 'a"]; click n0 "javascript:x" %%{init}%% <script>&amp;#35;\x1b[31m\n    n9 --> n0'


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", PICTURES)
def test_a_drawing_is_the_recorded_one(name: str, form: Format) -> None:
    recorded = (GOLDEN / f"{name}.{FORMS[form]}").read_text("utf-8")

    assert drawn(PICTURES[name], form) == recorded


def test_a_long_chain_is_not_indented() -> None:
    lines = tree_lines(chain())

    assert [line.split()[1] for line in lines] == ["fetch", "verify_sources", "build_wheel", "publish", "announce"]
    assert {line.index(line.split()[0]) for line in lines} == {0}


def test_where_branches_meet_the_line_names_what_it_waits_for() -> None:
    pack, send, bill, tell = tree_lines(diamond())

    assert send.startswith("├─ ◆ send")
    assert bill.startswith("├─ ⊘ bill")
    assert tell.startswith("‖ tell")
    assert tell.endswith("← send, bill")
    assert "←" not in pack + send + bill


def test_a_state_says_its_status_attempts_duration_error_and_child_run() -> None:
    text = drawn(fan_out(), "tree")

    assert "✗ lint   failed · 2.0 s · 3 attempts  lint_errors_found" in text
    assert "again 2026-11-22T04:20:05.871Z" in text
    assert "completed · 1 h 1 min  run 01890a5d-ac96-774b-bcce-b302099a8057" in text


def test_a_status_that_nobody_has_heard_of_is_shown_by_its_word() -> None:
    assert "• gate      on_holiday" in drawn(fan_out(), "tree")
    assert "on_holiday" in drawn(fan_out(), "mermaid")


def test_many_siblings_are_one_line_that_counts_and_names_the_failed() -> None:
    assert tree_lines(siblings())[1] == "✗ ×60 part_…  3 failed, 57 completed  failed: part_07, part_19, part_33"
    assert len(tree_lines(siblings())) == 4


def test_full_shows_every_sibling() -> None:
    text = drawn(siblings(), "tree", full=True)

    assert re.findall(r"part_\d\d", text)[:60] == [f"part_{at:02}" for at in range(1, 61)]
    assert "✗ part_07  failed" in text


def test_roots_without_a_common_start_are_branches() -> None:
    lines = tree_lines(graph("two", [node("a", "pending"), node("b", "pending")], []))

    assert [line.split("  ")[0] for line in lines] == ["├─ ○ a", "└─ ○ b"]


@pytest.mark.parametrize("form", FORMS)
def test_a_name_stays_a_name(form: Format) -> None:
    """It ends no label, begins no statement, and moves no cursor."""
    text = drawn(graph(HOSTILE, [node(HOSTILE, "failed", None, 1, HOSTILE), node("b", HOSTILE)], [(0, 1)]), form)

    assert "\x1b" not in text
    assert "\n    n9" not in text
    if form == "mermaid":
        labels = re.findall(r'"(.*)"', text.split("---\n", 2)[2])
        assert len(labels) == 2
        assert all(re.fullmatch(r'(?:<br/>|#\d+;|[^"<>#&;%\[\]{}()|`])*', label) for label in labels)
        title = text.split("\n")[1].removeprefix("title: ")
        assert json.loads(title).startswith(HOSTILE)


def test_each_status_has_its_own_symbol_but_those_that_mean_nearly_the_same() -> None:
    alike = [{"suspended", "waiting"}, {"pending", "planned"}]
    symbols = {name: look.symbol for name, look in LOOKS.items()}

    shared = {symbol: {name for name in symbols if symbols[name] == symbol} for symbol in symbols.values()}
    assert [names for names in shared.values() if len(names) > 1] == alike


@pytest.mark.parametrize(
    ("took_ms", "words"),
    [
        (0, "0 ms"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (59_949, "59.9 s"),
        (59_999, "1 min 0 s"),
        (3_599_999, "1 h 0 min"),
        (172_800_000, "2 d 0 h"),
    ],
)
def test_a_duration_has_at_most_two_units(took_ms: int, words: str) -> None:
    assert duration(took_ms) == words


def tree_lines(given: Graph) -> list[str]:
    """The lines of the nodes."""
    return drawn(given, "tree").splitlines()[3:]
