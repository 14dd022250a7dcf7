"""The table on the page about performance is that of the stored figures, and judges them honestly."""

from __future__ import annotations

import copy
import json
from typing import Any

from scripts.results import BEGIN, END, PAGE, RESULTS, page_with, table


def stored() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return figures


def row(text: str, begin: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(begin))


def test_the_table_of_the_page_is_that_of_the_stored_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.count(BEGIN) == page.count(END) == 1
    assert page == page_with(page, stored()), "run: make docs"


def test_a_figure_on_the_wrong_side_of_its_goal_is_called_missed() -> None:
    figures = copy.deepcopy(stored())
    figures["machine"]["load_before"] = 0.1
    figures["W2"]["states_per_second"], figures["W3"]["script_ms"] = 11_999, 300

    assert row(table(figures), "| W2 | states a second").endswith("| 11 999 | ≥ 12 000 | **missed** |")
    assert row(table(figures), "| W3 | a fresh script").endswith("| 300 ms | ≤ 300 ms | met |")


def test_a_busy_machine_is_named_and_judges_no_rate() -> None:
    figures = copy.deepcopy(stored())
    figures["machine"]["load_before"] = 1.9
    figures["W9"]["1_kb"]["user_value_to_orjson_sorted"] = 5.4

    assert "The machine was busy" in table(figures)
    assert row(table(figures), "| W2 | states a second").endswith("| not judged |")
    assert row(table(figures), "| W9 | user value to orjson, 1 KB").endswith("| 5.4 × | ≤ 4 × | **missed** |")
