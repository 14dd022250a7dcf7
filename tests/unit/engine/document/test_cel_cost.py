"""What the estimate of an expression costs itself: each value is weighed once, and only where it is mentioned."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.canonical import Json
from interlock.engine.document import cel
from interlock.engine.document.cel_cost import Sizes, cost
from interlock.engine.io.transports import cel_worker
from interlock.engine.io.transports.cel_worker import Data, Worker

ROWS: list[Json] = [{"name": f"n{number}", "tags": ["a", "b"]} for number in range(200)]
DATA: dict[str, Json] = {
    "input": {"n": 1},
    "steps": {"a": {"output": {"json": {"ok": True, "rows": ROWS, "text": "é" * 9}}}},
}


class Counting(Sizes):
    """Counts the collections that are gone through."""

    weighed = 0

    def _of_all(self, value: Any) -> tuple[int, int]:
        self.weighed += 1
        return super()._of_all(value)


def costs(*sources: str) -> tuple[list[int], int]:
    """What expressions on the same data cost, and how many collections were gone through."""
    sizes = Counting(DATA)
    return [cost(cel.compiled(source).tree, sizes) for source in sources], sizes.weighed


@pytest.mark.parametrize(
    "source",
    ["steps.a.output.json.ok == true", "has(steps.a.output.json.no)", "steps.a.output.json.ok.no == 1", "input.n + 1"],
)
def test_what_is_on_the_way_to_a_member_is_not_weighed(source: str) -> None:
    assert costs(source)[1] == 0


def test_a_value_is_weighed_once_however_often_it_is_mentioned() -> None:
    whole = 1 + 2 * len(ROWS)
    one, eight = "size(steps.a.output.json.rows) > 1", " || ".join(["size(steps.a.output.json.rows) > 1"] * 8)

    assert costs(one)[1] == costs(eight)[1] == costs(one, eight, one)[1] == whole
    assert costs(one, "size(steps) > 1", "size(steps.a) > 1", "size(steps.a.output.json) > 1")[1] == whole + 4


def test_a_bound_is_the_weight_of_what_is_mentioned() -> None:
    """A value weighs 16 bytes and its text, a member its name as well; so does what is looked through."""
    [text, member, loop], _ = costs(
        "steps.a.output.json.text + ''", "steps.a.output.json", "steps.a.output.json.rows.map(row, row.name).size() > 0"
    )

    assert 16 + 36 < text < 16 + 36 + 200
    rows = sum(
        16 + 16 + 4 * 4 + 16 + len(str(row["name"])) + 16 + 4 * 4 + 3 * 16 + 2 for row in ROWS if isinstance(row, dict)
    )
    assert rows < member < rows + 1_000
    assert loop > rows


def test_many_mentions_of_much_data_leave_the_time_to_the_expression(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker()
    monkeypatch.setattr(cel_worker, "CPU_SECONDS_MAX", 1.5)
    data = Data({"steps": {"a": {"output": {"json": {"list": list(range(300_000))}}}}})

    source = " + ".join(["size(steps.a.output.json.list)"] * 12)

    assert worker.evaluated(source, data) == 12 * 300_000
    worker.close()
