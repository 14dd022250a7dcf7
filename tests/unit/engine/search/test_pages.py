"""Searching runs: by terms, by time, by what stands in input and output, page after page."""

from __future__ import annotations

from typing import Any

import pytest

from interlock import App, InterlockError
from interlock.engine.search import pages
from interlock.engine.search.times import length_ms, time_ms
from interlock.engine.search.where import Where, combined, holds, options_of
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds, run
from tests.unit.engine.search.plans import ADA, IDS, asking, call, counting, failing, ids

NOW_MS = 1_795_700_000_000


async def some(app: App) -> None:
    """Four runs, the newest last: two that count, one that waits, one that failed."""
    await app.runs.start(counting(), {"numbers": [1, 2]}, run_id=IDS[0], attributes={"team": "blue", "try": 1})
    await app.runs.start(counting(), {"numbers": [5]}, run_id=IDS[1], attributes={"team": "red"})
    await app.runs.start(asking(), {"name": "Ada"}, run_id=IDS[2], attributes={"team": "blue", "fast": True})
    await app.runs.start(failing(attempts=1), run_id=IDS[3])


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, [3, 2, 1, 0]),
        ({"op": "count"}, [1, 0]),
        ({"state": "completed"}, [1, 0]),
        ({"state": "open"}, [2]),
        ({"state": "waiting"}, [2]),
        ({"state": "suspended", "op": "ask"}, [2]),
        ({"state": "suspended", "op": "count"}, []),
        ({"failed_with": "net_down"}, [3]),
        ({"failed_with": "other"}, []),
        ({"attribute": ["team=blue"]}, [2, 0]),
        ({"attribute": ["team=blue", "fast=true"]}, [2]),
        ({"attribute": ["try=1"]}, [0]),
        ({"input": ["name=Ada"]}, [2]),
        ({"input": ["numbers.0=5"]}, [1]),
        ({"input": ["numbers=[1,2]"]}, [0]),
        ({"output": ["total.sum=3"]}, [0]),
        ({"output": ["total.label=of 1"]}, [1]),
        ({"output": ["begin=hello Ada"]}, [2]),
        ({"output": ["total.sum=3"], "input": ["numbers.0=5"]}, []),
        ({"since": "1h"}, [3, 2, 1, 0]),
        ({"until": "1h"}, []),
    ],
)
def test_a_filter_finds_the_runs_that_have_everything_it_names(given: dict[str, Any], found: list[int]) -> None:
    async def main() -> None:
        app = memory_app()
        await some(app)
        assert sorted(await ids(app, **given)) == sorted(IDS[number] for number in found)

    run(main())


@over_seeds(0)
async def test_the_newest_run_comes_first_and_times_bound_the_list() -> None:
    app = memory_app()
    for number in range(6):
        await app.runs.start(counting(), {"numbers": []}, run_id=IDS[number])
        await app.runs.start(failing(f"pause{number}", delay_ms=1000, attempts=2), run_id=IDS[100 + number])
    rows = (await call(app, "run.list", op="count")).items
    times = [row.started_ms for row in rows]
    assert [row.run_id for row in rows] == IDS[:6][::-1]

    middle = await app.client(ADA).call("run.list", {"op": "count", "since": rfc(times[3]), "until": rfc(times[1])})

    assert [row.run_id for row in middle.items] == [rows[2].run_id, rows[3].run_id]  # type: ignore[attr-defined]


def rfc(at_ms: int) -> str:
    from interlock.base.clock import rfc3339

    return rfc3339(at_ms)


@over_seeds(0)
async def test_pages_that_look_into_runs_are_bounded_and_go_on_where_they_stopped() -> None:
    app = memory_app()
    for number in range(25):
        await app.runs.start(counting(), {"numbers": [number % 5]}, run_id=IDS[number])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pages, "EXAMINED_MAX", 7)
        found, cursor, examined = list[str](), None, list[int]()
        while True:
            given: dict[str, Any] = {"input": ["numbers.0=3"], "limit": 2}
            given |= {} if cursor is None else {"cursor": cursor}
            page = await call(app, "run.list", **given)
            found += [row.run_id for row in page.items]
            examined.append(page.examined)
            cursor = page.next
            if cursor is None:
                break

    assert sorted(found) == [IDS[number] for number in (3, 8, 13, 18, 23)]
    assert max(examined) <= 7
    assert sum(examined) == 25


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"attribute": ["team"]}, "filter_invalid"),
        ({"attribute": ["team=a", "team=b"]}, "filter_invalid"),
        ({"input": ["=3"]}, "filter_invalid"),
        ({"input": ["a..b=1"]}, "filter_invalid"),
        ({"input": [".a=1"]}, "filter_invalid"),
        ({"output": ["a.=1"]}, "filter_invalid"),
        ({"since": "yesterday"}, "time_invalid"),
        ({"since": "2026-11-26T15:00:00"}, "time_invalid"),
        ({"until": "55"}, "time_invalid"),
        ({"filter": "none"}, "filter_not_found"),
        ({"filter": "No!"}, "filter_invalid"),
        ({"state": "sleeping"}, "input_invalid"),
        ({"parent": "nobody"}, "input_invalid"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(given: dict[str, Any], code: str) -> None:
    async def main() -> None:
        with pytest.raises(InterlockError) as caught:
            await call(memory_app(), "run.list", **given)
        assert caught.value.code == code
        assert caught.value.advice

    run(main())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"input": ["a..b=1"]}, "the path a..b has an empty name: write names with one dot between them, as a.b"),
        ({"output": ["ab"]}, "a condition on input or output is written as PATH=VALUE"),
        ({"attribute": ["team"]}, "a condition on attributes is written as KEY=VALUE"),
    ],
)
def test_a_filter_that_is_refused_is_told_how_to_be_written(given: dict[str, Any], message: str) -> None:
    async def main() -> None:
        with pytest.raises(InterlockError) as caught:
            await call(memory_app(), "run.list", **given)
        assert caught.value.message == message

    run(main())


@pytest.mark.parametrize(
    ("value", "path", "text", "matches"),
    [
        ({"a": {"b": [1, "x"]}}, "a.b.1", "x", True),
        ({"a": {"b": [1, "x"]}}, "a.b.0", "1", True),
        ({"a": {"b": [1, "x"]}}, "a.b.7", "1", False),
        ({"a": "5"}, "a", "5", True),
        ({"a": True}, "a", "true", True),
        ({"a": True}, "a", "1", False),
        ({"a": 1}, "a", "true", False),
        ({"a": None}, "a", "null", True),
        ({"a": 1.5}, "a", "1.5", True),
        ({"a": 1}, "a", "one", False),
        ({}, "a", "null", False),
    ],
)
def test_a_value_is_compared_as_it_is_written(value: Any, path: str, text: str, matches: bool) -> None:
    assert holds(value, path.split("."), text) is matches


def test_times_are_moments_or_lengths_before_now() -> None:
    assert length_ms("90s", "timeout") == 90_000
    assert time_ms("2h", NOW_MS, "since") == NOW_MS - 7_200_000
    assert time_ms("2026-11-26T15:00:00+01:00", NOW_MS, "since") == time_ms("2026-11-26T14:00:00Z", NOW_MS, "since")
    for text in ("2", "h", "-1h", "1.5h", "999999999999999w", "1 h"):
        with pytest.raises(InterlockError):
            length_ms(text, "timeout")


def test_a_filter_and_its_options_on_a_line_are_the_same() -> None:
    where = Where(attribute=("note=two words",), op="ship", failed_with="x", since="2h")

    assert options_of(where) == "--attribute 'note=two words' --failed-with x --op ship --since 2h"
    assert combined(where, Where(op="other", attribute=("a=b",))) == Where(
        attribute=("note=two words", "a=b"), op="other", failed_with="x", since="2h"
    )
