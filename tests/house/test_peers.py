"""The tables on the page about peers are those of the stored figures, and hide nothing."""

from __future__ import annotations

import copy
import json
import re
from typing import Any

from scripts.peers import PAGE, RESULTS, page_with, tables
from scripts.results import BEGIN, END
from tests.house.project import ROOT

PEERS = ROOT / "benchmarks" / "peers"


def stored() -> dict[str, Any]:
    figures: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return figures


def peer(**changes: Any) -> dict[str, Any]:
    """Figures of one peer that holds still, with changes."""
    row = {
        "label": "Peer, file",
        "versions": {"peer": "1.2"},
        "durability": "FULL",
        "persists_before_next": "yes",
        "engine": True,
        "W1": {"states_per_second": 500, "ours_is_faster": 4.0, "memory_mb": 80, "flushes_per_state": 2.05},
        "W2": {"states_per_second": 700, "ours_is_faster": 16.0, "memory_mb": 90, "flushes_per_state": None},
        "W3": {"ms": 650, "ours_is_faster": 3.0, "memory_mb": 60},
        "W4": {"left": 2500, "recover_s": 9.1, "ours_is_faster": 5.0, "lost": 0, "twice": 12, "most_times": 2},
    }
    return {**row, **changes}


def with_peer(**changes: Any) -> dict[str, Any]:
    figures = copy.deepcopy(stored())
    figures["machine"] |= {"load_before": 0.1, "load_after": 0.2}
    ours = peer(label="Ours")
    figures["contenders"] = {"interlock-sqlite": ours, "peer": peer(**changes)}
    return figures


def row(text: str, begin: str) -> str:
    return next(line for line in text.splitlines() if line.startswith(begin))


def test_the_tables_of_the_page_are_those_of_the_stored_figures() -> None:
    page = PAGE.read_text(encoding="utf-8")

    assert page.count(BEGIN) == page.count(END) == 1
    assert page == page_with(page, stored()), "run: make docs"


def test_a_row_holds_rates_ratios_memory_and_flushes() -> None:
    assert row(tables(with_peer()), "| Peer, file | 500") == (
        "| Peer, file | 500 | 4 × | 700 | 16 × | 650 | 3 × | 90 | 2.05 | not counted |"
    )
    assert row(tables(with_peer()), "| Peer, file | 2 500") == "| Peer, file | 2 500 | 9.1 | 5 × | 0 | 12 | 2 |"


def test_where_a_peer_is_faster_the_page_says_so() -> None:
    slower = {"states_per_second": 5000, "ours_is_faster": 0.4, "ours_is_faster_from_to": [0.3, 0.5]}
    text = tables(with_peer(W1=slower, W3={"ms": 200, "ours_is_faster": 1.2}))

    assert "| 5 000 | **0.4 ×** (0.3–0.5) |" in text
    assert "- W1: Peer, file is faster than ours" in text
    assert "- W3: no difference to Peer, file that such a measurement can show" in text
    assert "(Peer, file): 0.4 ×, goal ≥ 3 ×: **missed**" in text
    assert "(Peer, file): 16 ×, goal ≥ 15 ×: met" in text


def test_what_was_not_measured_says_why() -> None:
    text = tables(with_peer(W2={"failed": "did not finish in 180 s"}, W4={"skipped": "nothing survives"}))

    assert "- Peer, file, W2: did not finish in 180 s" in text
    assert "- Peer, file, W4: nothing survives" in text
    absent = {name: peer()[name] for name in ("label", "versions", "durability", "persists_before_next", "engine")}
    figures = with_peer()
    figures["contenders"]["peer"] = {**absent, "absent": "npm is not on this machine"}
    assert "- Peer, file: not measured: npm is not on this machine" in tables(figures)


def test_what_is_no_engine_or_keeps_nothing_sets_no_goal() -> None:
    assert "beside the best engine" not in tables(with_peer(engine=False))
    assert "beside the best engine" not in tables(with_peer(persists_before_next="in memory only"))


def test_a_busy_machine_is_named_and_judges_no_goal() -> None:
    figures = with_peer()
    figures["machine"]["load_before"] = 1.9

    assert "Other work ran on the machine at the same time" in tables(figures)
    assert "goal ≥ 3 ×: not judged" in tables(figures)


def test_every_peer_is_pinned_with_hashes_and_names_no_index() -> None:
    locks = sorted(PEERS.glob("*.txt"))

    assert [lock.stem for lock in locks] == [asked.stem for asked in sorted(PEERS.glob("*.in"))]
    for lock in locks:
        entries = lock.read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == [], lock.name
        assert not re.search(r"https?:|file:|--(extra-)?index-url|--find-links", "".join(entries)), lock.name
    packages = json.loads((PEERS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    assert [name for name, entry in packages.items() if name and "integrity" not in entry] == []
    assert not any("resolved" in entry for entry in packages.values())


def test_the_versions_of_the_page_are_those_of_the_locks() -> None:
    pinned = "\n".join(lock.read_text(encoding="utf-8").lower() for lock in PEERS.glob("*.txt"))
    server = json.loads((PEERS / "package.json").read_text(encoding="utf-8"))["dependencies"]
    rows = {key: row for key, row in stored()["contenders"].items() if not key.startswith("interlock")}

    for each in rows.values():
        for name, version in each["versions"].items():
            if name == "restate-server":
                assert server["@restatedev/restate-server"] == version
            else:
                assert f"{name.lower()}=={version} " in pinned, name
