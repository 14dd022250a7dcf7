"""Write the table of `benchmarks/results.json` into the page on performance, and print it.

It measures nothing: `benchmarks/run.py --write` does. Rules: the table follows from the JSON alone, so a house test
can hold the page against it; what misses its goal says so; what a busy machine distorts is not judged on one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results.json"
PAGE = ROOT / "docs" / "explanation" / "performance.md"
LOAD_QUIET_MAX = 0.5
BEGIN, END = "<!-- results: written by make docs -->\n", "<!-- results: end -->\n"

Figures = Mapping[str, Any]


class Goal(NamedTuple):
    """A bound that a figure is held to."""

    bound: float
    at_least: bool = False

    @property
    def sign(self) -> str:
        """How the bound is written before its number."""
        return "≥" if self.at_least else "≤"

    def met(self, value: float) -> bool:
        """Whether the figure keeps the bound."""
        return value >= self.bound if self.at_least else value <= self.bound


class Row(NamedTuple):
    """One line of the table: a workload, a figure of it, and the goal if there is one."""

    workload: str
    what: str
    value: Callable[[Figures], float]
    goal: Goal | None = None
    unit: str = ""
    steady: bool = False  # whether it means the same on a busy machine

    def verdict(self, value: float, *, quiet: bool) -> str:
        """Whether the goal is met, in a word."""
        if self.goal is None:
            return ""
        if not (quiet or self.steady):
            return "not judged"
        return "met" if self.goal.met(value) else "**missed**"


def _of(workload: str, *path: str) -> Callable[[Figures], float]:
    def value(figures: Figures) -> float:
        found = figures[workload]
        for name in path:
            found = found[name]
        return float(found)

    return value


def _share_of_raw(figures: Figures) -> float:
    return 100 * float(figures["W1"]["states_per_second"]) / float(figures["raw"]["single_commits_per_s"])


def _resume_growth(figures: Figures) -> float:
    return float(figures["W5"]["resume_at_9900_ms"]) / float(figures["W5"]["resume_at_500_ms"])


ROWS = (
    Row("raw", "rows a second, one a commit", _of("raw", "single_commits_per_s")),
    Row("raw", "rows a second, a thousand a commit", _of("raw", "batched_rows_per_s")),
    Row("W1", "states a second", _of("W1", "states_per_second")),
    Row("W1", "the same as a share of raw commits", _share_of_raw, Goal(35, at_least=True), " %"),
    Row("W1", "commits a state", _of("W1", "commits_per_state"), Goal(1.01), steady=True),
    Row("W2", "states a second", _of("W2", "states_per_second"), Goal(12_000, at_least=True)),
    Row("W2", "commits a state", _of("W2", "commits_per_state")),
    Row("W2", "peak memory", _of("W2", "peak_memory_mb"), unit=" MB"),
    Row("W2f", "states a second", _of("W2f", "states_per_second")),
    Row("W2f", "commits a state", _of("W2f", "commits_per_state")),
    Row("W2w", "runs that come to wait, a second", _of("W2w", "waits_per_second")),
    Row("W2w", "answers a second", _of("W2w", "answers_per_second")),
    Row("W2w", "answered runs that end, a second", _of("W2w", "runs_ended_per_second")),
    Row("W3", "a fresh script, to its first completed run", _of("W3", "script_ms"), Goal(300), " ms"),
    Row("W3", "`interlock run start`", _of("W3", "run_start_ms"), Goal(500), " ms"),
    Row("W3", "`interlock --help`", _of("W3", "help_ms"), Goal(400), " ms"),
    Row("W4", "states lost", _of("W4", "states_lost"), Goal(0), steady=True),
    Row("W4", "completed states that ran again", _of("W4", "completed_states_run_again"), Goal(0), steady=True),
    Row("W4", "open states that ran again, of 500", _of("W4", "open_states_run_again"), Goal(500), steady=True),
    Row("W4", "restart to the end, to the rest undisturbed", _of("W4", "restart_to_rest"), Goal(2), " ×"),
    Row("W5", "last hundred states to first", _of("W5", "ratio"), Goal(1.1), " ×"),
    Row("W5", "the same, a new key in each state", _of("W5", "ratio_with_key"), Goal(1.1), " ×"),
    Row("W5", "resume at state 9900", _of("W5", "resume_at_9900_ms"), unit=" ms"),
    Row("W5", "the same to resume at state 500", _resume_growth, unit=" ×"),
    Row("W5", "events replayed a second", _of("W5", "replay_events_per_s"), Goal(100_000, at_least=True)),
    Row(
        "W5",
        "the same, a new key in each state",
        _of("W5", "replay_with_key_events_per_s"),
        Goal(100_000, at_least=True),
    ),
    Row(
        "W9",
        "typed event to orjson, 1 KB",
        _of("W9", "1_kb", "typed_event_to_orjson_sorted"),
        Goal(1.5),
        " ×",
        steady=True,
    ),
    Row(
        "W9",
        "typed event to orjson, 50 KB",
        _of("W9", "50_kb", "typed_event_to_orjson_sorted"),
        Goal(1.5),
        " ×",
        steady=True,
    ),
    Row(
        "W9", "user value to orjson, 1 KB", _of("W9", "1_kb", "user_value_to_orjson_sorted"), Goal(4), " ×", steady=True
    ),
    Row(
        "W9",
        "user value to orjson, 50 KB",
        _of("W9", "50_kb", "user_value_to_orjson_sorted"),
        Goal(4),
        " ×",
        steady=True,
    ),
    Row(
        "W6", "starts with triggers of a scenario, a second", _of("W6", "pairs_per_second"), Goal(2_000, at_least=True)
    ),
    Row("W6", "a trigger, of the first hundred on one run", _of("W6", "trigger_ms_first_hundred"), unit=" ms"),
    Row("W6", "the last hundred of a thousand to the first", _of("W6", "last_to_first"), Goal(1.1), " ×"),
    Row("W11", "reads a second, of eight callers", _of("W11", "reads_per_second")),
    Row("W11", "a read at half load, of a hundred the slowest", _of("W11", "read_ms_p99_at_half_load"), unit=" ms"),
    Row("W11", "durable commands a second, of eight callers", _of("W11", "commands_per_second")),
    Row(
        "W11",
        "a durable command at half load, of a hundred the slowest",
        _of("W11", "command_ms_p99_at_half_load"),
        Goal(20),
        " ms",
    ),
    Row("W11", "starts with triggers of a scenario over HTTP, a second", _of("W11", "scenario_pairs_per_second")),
    Row("W11", "a call of a tool of MCP", _of("W11", "mcp_call_ms_p50"), unit=" ms"),
    Row("W11", "messages a second, to a thousand readers of the feed", _of("W11", "feed_messages_per_second")),
    Row("W9", "rfc8785 to user value, 1 KB", _of("W9", "1_kb", "rfc8785_to_user_value"), unit=" ×"),
    Row(
        "W9",
        "the same with floats",
        _of("W9", "1_kb", "rfc8785_to_user_value_with_floats"),
        Goal(1, at_least=True),
        " ×",
        steady=True,
    ),
)


def _on_postgres(workload: str, name: str) -> Callable[[Figures], float]:
    return _of("postgres", workload, name)


def _share_of_sqlite(figures: Figures) -> float:
    return 100 * _on_postgres("W2", "states_per_second")(figures) / float(figures["W2"]["states_per_second"])


POSTGRES_ROWS = (
    Row("W1", "states a second", _on_postgres("W1", "states_per_second")),
    Row("W1", "commits a state", _on_postgres("W1", "commits_per_state"), Goal(1.01), steady=True),
    Row("W2", "states a second", _on_postgres("W2", "states_per_second")),
    Row("W2", "the same as a share of that on SQLite", _share_of_sqlite, Goal(60, at_least=True), " %", steady=True),
    Row("W2", "commits a state", _on_postgres("W2", "commits_per_state")),
    Row("W3", "a fresh script, to its first completed run", _on_postgres("W3", "script_ms"), unit=" ms"),
    Row("W3", "`interlock run start`", _on_postgres("W3", "run_start_ms"), unit=" ms"),
    Row("W5", "last hundred states to first", _on_postgres("W5", "ratio"), Goal(1.1), " ×"),
    Row("W5", "resume at state 9900", _on_postgres("W5", "resume_at_9900_ms"), unit=" ms"),
    Row("W5", "events a second of a replay", _on_postgres("W5", "replay_events_per_s")),
)


def table(figures: Figures) -> str:
    """The figures as a Markdown table, and under which conditions they were taken."""
    quiet = figures["machine"]["load_before"] <= LOAD_QUIET_MAX
    lines = _rows(ROWS, figures, quiet=quiet)
    if "postgres" in figures:
        lines += ["", "On PostgreSQL, the server on the same cores:", ""]
        lines += _rows(POSTGRES_ROWS, figures, quiet=quiet)
    return "\n".join([*lines, "", *_conditions(figures, quiet=quiet)]) + "\n"


def _rows(rows: Sequence[Row], figures: Figures, *, quiet: bool) -> list[str]:
    lines = ["| workload | figure | value | goal | |", "|---|---|---:|---:|---|"]
    for row in rows:
        if rows is ROWS and row.workload not in figures:  # not in the last go that was stored
            continue
        value = row.value(figures)
        goal = f"{row.goal.sign} {number(row.goal.bound)}{row.unit}" if row.goal else ""
        verdict = row.verdict(value, quiet=quiet)
        lines.append(f"| {row.workload} | {row.what} | {number(value)}{row.unit} | {goal} | {verdict} |")
    return lines


def _conditions(figures: Figures, *, quiet: bool) -> list[str]:
    machine, versions = figures["machine"], figures["versions"]
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    lines = [
        f"Measured on {figures['date']}, on {machine['cores']} cores ({machine['processor']}, {machine['platform']}),",
        f"with a load of {machine['load_before']} before the first workload;",
        f"{named}.",
    ]
    if not quiet:
        lines += ["The machine was busy: only the commits a state, the counts of W4 and the ratios of W9 are judged."]
    return lines


def number(value: float) -> str:
    """A figure as the tables write it."""
    if value == int(value) or value >= 1000:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.0f}" if value >= 100 else f"{value:.4g}"


def page_with(page: str, figures: Figures) -> str:
    """The page with the table of these figures in its place."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{table(figures)}\n{END}{after}"


def main() -> None:
    """Write the page and print the table."""
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    print(table(figures), end="")


if __name__ == "__main__":
    main()
