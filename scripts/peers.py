"""Write the tables of `benchmarks/peers/results.json` into the page on peers, and print them.

It measures nothing: `make bench-peers` does. Rules: the tables follow from the JSON alone, so a house test can hold the
page against it; where ours is behind, the table says so; what has no figure says why; a busy machine judges no goal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scripts.results import BEGIN, END, LOAD_QUIET_MAX, number

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "peers" / "results.json"
PAGE = ROOT / "docs" / "explanation" / "peers.md"
OURS = "interlock-sqlite"
NOTICEABLE = 1.5
"""A ratio nearer to one than this is within what two goes on one machine differ by."""

GOALS = {"W1": 3, "W2": 15}
"""How many times ours is to be as fast as the best engine that is durable at every state."""

RATES = ("W1", "W2", "W3")
Figures = Mapping[str, Any]


def tables(figures: Figures) -> str:
    """Everything that the page shows of the figures."""
    rows = figures["contenders"]
    parts = [rate_table(rows), _reasons(rows), recovery_table(rows), settings_table(rows), verdict(figures)]
    return "\n".join([*parts, *_conditions(figures)]) + "\n"


def rate_table(rows: Figures) -> str:
    """How fast each is, and how much faster ours was beside it."""
    lines = [
        "| | W1 states/s | ours is | W2 states/s | ours is | W3 ms | ours is | memory MB | flushes a state, W1 | W2 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for key, row in rows.items():
        if "absent" in row:
            continue
        cells = [cell for workload in RATES for cell in (_rate(row, workload), _ratio(row, workload, ours=key == OURS))]
        cells += [_memory(row), _flushes(row, "W1"), _flushes(row, "W2")]
        lines.append(f"| {_label(row)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def recovery_table(rows: Figures) -> str:
    """What a kill half-way costs each."""
    lines = [
        "| W4 | states left at the kill | restart to the end, s | ours is | states lost | done twice | most times |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for key, row in rows.items():
        told = row.get("W4", {})
        if "recover_s" not in told:
            continue
        cells = [number(told["left"]), number(told["recover_s"]), _ratio(row, "W4", ours=key == OURS)]
        cells += [number(told[name]) for name in ("lost", "twice", "most_times")]
        lines.append(f"| {_label(row)} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def settings_table(rows: Figures) -> str:
    """What was measured, as durable as what."""
    lines = ["| | versions | durability | kept before the next state begins |", "|---|---|---|---|"]
    for row in rows.values():
        versions = ", ".join(f"{name} {version}" for name, version in row["versions"].items())
        lines.append(f"| {_label(row)} | {versions} | {row['durability']} | {row['persists_before_next']} |")
    return "\n".join(lines) + "\n"


def verdict(figures: Figures) -> str:
    """The goals against the best engine that is durable at every state, and every place where ours is not ahead."""
    rows, quiet = figures["contenders"], figures["machine"]["load_before"] <= LOAD_QUIET_MAX
    lines = []
    for workload, goal in GOALS.items():
        ratios = {row["label"]: _times(row, workload) for row in _engines(rows) if _times(row, workload) is not None}
        if ratios:
            best = min(ratios, key=lambda label: ratios[label] or 0)
            judged = ("met" if (ratios[best] or 0) >= goal else "**missed**") if quiet else "not judged"
            lines.append(
                f"- {workload} beside the best engine that is durable at every state ({best}): "
                f"{number(ratios[best] or 0)} ×, goal ≥ {goal} ×: {judged}"
            )
    return "\n".join([*lines, *_not_ahead(rows)]) + "\n"


def _engines(rows: Figures) -> Iterator[Figures]:
    """Engines of others that keep each state on disk before the next one."""
    for key, row in rows.items():
        if not key.startswith("interlock") and row["engine"] and row["persists_before_next"].startswith("yes"):
            yield row


def _not_ahead(rows: Figures) -> Iterator[str]:
    for key, row in rows.items():
        for workload in (*RATES, "W4"):
            times = _times(row, workload)
            if times is None or key.startswith("interlock") or times >= NOTICEABLE:
                continue
            if times * NOTICEABLE <= 1:
                yield f"- {workload}: {row['label']} is faster than ours"
            else:
                yield f"- {workload}: no difference to {row['label']} that such a measurement can show"


def _reasons(rows: Figures) -> str:
    """Why a figure is not there, one line each."""
    found = []
    for row in rows.values():
        if "absent" in row:
            found.append(f"- {row['label']}: not measured: {row['absent']}")
        for workload in (*RATES, "W4"):
            told = row.get(workload, {})
            if "failed" in told or "skipped" in told:
                found.append(f"- {row['label']}, {workload}: {told.get('failed') or told['skipped']}")
    return "\n".join(found) + "\n" if found else ""


def _label(row: Figures) -> str:
    return str(row["label"]) if row["engine"] else f"{row['label']} (no engine: it only appends)"


def _rate(row: Figures, workload: str) -> str:
    told = row.get(workload, {})
    value = told.get("states_per_second", told.get("ms"))
    return "–" if value is None else number(value)


def _times(row: Figures, workload: str) -> float | None:
    value = row.get(workload, {}).get("ours_is_faster")
    return None if value is None else float(value)


def _ratio(row: Figures, workload: str, *, ours: bool) -> str:
    times = _times(row, workload)
    if ours or times is None:
        return "" if ours else "–"
    low, high = row[workload].get("ours_is_faster_from_to", (times, times))
    span = f" ({number(low)}–{number(high)})" if low != high else ""
    return f"**{number(times)} ×**{span}" if times < 1 else f"{number(times)} ×{span}"


def _memory(row: Figures) -> str:
    value = row.get("W2", {}).get("memory_mb") or row.get("W1", {}).get("memory_mb")
    return "–" if value is None else number(value)


def _flushes(row: Figures, workload: str) -> str:
    value = row.get(workload, {}).get("flushes_per_state")
    return "not counted" if value is None else f"{value:.3g}"


def _conditions(figures: Figures) -> list[str]:
    machine, versions = figures["machine"], figures["versions"]
    lines = [
        f"Measured on {figures['date']}, on {machine['cores']} cores ({machine['processor']}, {machine['platform']}),",
        f"Python {versions['Python']}, {figures['limit_s']} s for a round; load {machine['load_before']} before and",
        f"{machine['load_after']} after; a flush of one page took {machine['flush_ms_before']} ms before and",
        f"{machine['flush_ms_after']} ms after.",
    ]
    if max(machine["load_before"], machine["load_after"]) > LOAD_QUIET_MAX:
        lines += ["Other work ran on the machine at the same time, so only ratios and counts say something."]
    return lines


def page_with(page: str, figures: Figures) -> str:
    """The page with the tables of these figures in their place."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{tables(figures)}\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the page and print the tables."""
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))
    PAGE.write_text(page_with(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")
    print(tables(figures), end="")


if __name__ == "__main__":
    main()
