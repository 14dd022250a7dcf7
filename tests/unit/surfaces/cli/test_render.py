"""How answers look to people and to programs, without a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET, Struct

from interlock.gates.records import DataShapeRecord
from interlock.gates.shapes.commands import ShapeList, ShapeRegistration
from interlock.gates.values import Logical
from interlock.surfaces.cli.render import fitted, show, yielded
from interlock.surfaces.cli.text import cell, safe, short_digest, title
from tests.surfaces.toy import command

Captured = pytest.CaptureFixture[bytes]


class Waiting(Struct, frozen=True):
    kind: str
    until_ms: int | None = None


class Row(Struct, frozen=True):
    name: str
    took_ms: int | None = None
    waiting: Waiting | None = None
    data: Any = None


class Report(Struct, frozen=True):
    id: str
    started_ms: int | None = None
    waiting: Waiting | None = None
    tags: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    next: str | None = None


def shown(captured: Captured, output: Struct, *, as_json: bool = False) -> list[str]:
    show(command("look", handler=None), output, as_json=as_json)
    return captured.readouterr().out.decode().splitlines()


def test_members_are_lines_and_records_inside_are_named_in_words(capfdbinary: Captured) -> None:
    output = Report("x", 1_700_000_000_123, Waiting("backoff", 1_700_000_000_999), ("a", "b"))

    assert shown(capfdbinary, output) == [
        "id             x",
        "started        2023-11-14T22:13:20.123Z",
        "waiting kind   backoff",
        "waiting until  2023-11-14T22:13:20.999Z",
        "tags           a",
        "               b",
    ]


def test_what_is_absent_has_no_line(capfdbinary: Captured) -> None:
    assert shown(capfdbinary, Report("x")) == ["id  x"]


def test_a_member_that_the_contract_leaves_out_has_no_line_and_no_column(capfdbinary: Captured) -> None:
    """A record of a shape without a signature was a fault of the program."""
    record = DataShapeRecord(1, 7, "report", "v1", {}, Logical(1))
    assert record.signing is UNSET

    lines = shown(capfdbinary, ShapeRegistration(record))
    assert [line.split("  ")[0] for line in lines][:2] == ["record tenant id", "record namespace id"]
    table = shown(capfdbinary, ShapeList([record], None))
    assert not [line for line in [*lines, *table] if "signing" in line.lower()]


def test_a_list_of_records_is_an_aligned_table_in_its_place(capfdbinary: Captured) -> None:
    rows = (Row("one", 5, data=[]), Row("twenty-one", None, Waiting("signal")))

    assert shown(capfdbinary, Report("x", rows=rows, next="c1.abc")) == [
        "id  x",
        "",
        "rows",
        "NAME        TOOK  WAITING KIND",
        "one         5 ms  –",
        "twenty-one  –     signal",
        "",
        "next  c1.abc",
    ]


def test_a_table_that_stands_alone_needs_no_heading(capfdbinary: Captured) -> None:
    class Page(Struct, frozen=True):
        rows: tuple[Row, ...]

    assert shown(capfdbinary, Page((Row("one", 5),))) == ["NAME  TOOK", "one   5 ms"]


def test_nothing_is_written_for_an_empty_list_into_a_pipe(capfdbinary: Captured) -> None:
    class Page(Struct, frozen=True):
        rows: tuple[Row, ...]

    assert shown(capfdbinary, Page(())) == []


def test_json_is_one_line_with_every_member(capfdbinary: Captured) -> None:
    [line] = shown(capfdbinary, Report("é\x1b"), as_json=True)

    assert json.loads(line) == {
        "id": "é\x1b",
        "started_ms": None,
        "waiting": None,
        "tags": [],
        "rows": [],
        "next": None,
    }


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("count", 3, "3"),
        ("flag", True, "yes"),
        ("flag", False, "no"),
        ("name", None, "–"),
        ("tags", (), "–"),
        ("at_ms", 1_700_000_000_000, "2023-11-14T22:13:20.000Z"),
        ("until_ms", 1_700_000_000_000, "2023-11-14T22:13:20.000Z"),
        ("timeout_ms", 1500, "1500 ms"),
        ("data", {"b": 1}, '{"b":1}'),
        ("tags", ["a", "b"], "a; b"),
        (
            "counts",
            {"events": 3, "index_rows": 1, "artifacts": 0, "unsettled": 0},
            "3 events, 1 index row, 0 artifacts",
        ),
        ("counts", {"events": 3, "not_judged": 2}, "3 events, 2 not judged"),
        ("numbers", [1, 2], "[1,2]"),
    ],
)
def test_each_kind_of_value_has_one_short_form(name: str, value: object, text: str) -> None:
    assert cell(name, value) == text


@pytest.mark.parametrize("character", ["\x1b", "\n", "\r", "\t", "\x00", "\x7f", "\x9b", "\u202e", "\u2066"])
def test_no_control_character_reaches_the_terminal(character: str) -> None:
    for text in (safe(f"a{character}b"), cell("name", f"a{character}b"), cell("data", {"a": character})):
        assert character not in text


def test_letters_of_every_script_reach_the_terminal() -> None:
    assert safe("naïve 日本 😀") == "naïve 日本 😀"


def test_a_heading_leaves_the_unit_away() -> None:
    assert (title("started_ms"), title("run_id"), title("count")) == ("started", "run id", "count")


def test_long_names_are_cut_in_the_middle_and_stay_apart() -> None:
    rows = [[f"compare_the_measurements_of_the_northern_harbour_{side}", "completed"] for side in ("east", "west")]
    shown = fitted(["name", "status"], rows, [True, False], 40)

    assert [len(row[0]) for row in shown] == [27, 27]
    assert [row[0][-4:] for row in shown] == ["east", "west"]
    assert [row[1] for row in shown] == ["completed", "completed"]


def test_no_blank_stands_beside_a_cut() -> None:
    [[middle]] = fitted(["reason"], [["the shop is closed until the next week begins"]], [True], 16)
    [[end]] = yielded(["reason"], [["the shop is closed"]], [0], 11)

    assert (end, " …" in middle, "… " in middle) == ("the shop…", False, False)


def test_columns_give_way_one_after_another_at_their_ends() -> None:
    headings = ["seq", "type", "detail", "actor"]
    rows = [["1", "state_completed", "json hello:measure", "system:engine"]]

    def cut(room: int) -> list[str]:
        return yielded(headings, rows, [3, 2, 1], room)[0]

    assert cut(80) == rows[0]
    assert cut(54) == ["1", "state_completed", "json hello:measure", "system:en…"]
    assert cut(44) == ["1", "state_completed", "json hello:…", "syste…"]
    assert cut(34) == ["1", "state_comp…", "json…", "syste…"]
    assert cut(0) == ["1", "state…", "json…", "syste…"]


def test_a_digest_is_cut_only_where_its_line_has_no_room() -> None:
    digest = "0123456789abcdef" * 4

    assert short_digest(digest, 64) == digest
    assert short_digest(digest, 63) == "0123456789abcdef…"
    for other in (f"ed25519:{digest}", digest.upper(), f"{digest}0"):
        assert short_digest(other, 10) == other


def test_a_table_that_cannot_be_narrower_is_left_as_it_is() -> None:
    assert fitted(["run id", "state"], [["x" * 36, "failed"]], [False, False], 20) == [["x" * 36, "failed"]]
