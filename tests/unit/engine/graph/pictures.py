"""Graphs for the tests of drawings: each stands for a shape that people have, with states that a run can be in."""

from __future__ import annotations

from interlock.engine.graph.model import Graph, Node

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def node(name: str, status: str, took_ms: int | None = None, attempts: int = 1, *notes: str) -> Node:
    return Node(id=f"op.{name}.main", name=name, status=status, took_ms=took_ms, attempts=attempts, notes=notes)


def graph(title: str, nodes: list[Node], edges: list[tuple[int, int]]) -> Graph:
    return Graph(title=title, summary=f"run {RUN} · running", nodes=tuple(nodes), edges=tuple(sorted(edges)))


def chain() -> Graph:
    nodes = [
        node("fetch", "completed", 120),
        node("verify_sources", "completed", 4200, 2),
        node("build_wheel", "running", 61_000),
        node("publish", "pending"),
        node("announce", "pending"),
    ]
    return graph("nightly", nodes, [(at, at + 1) for at in range(4)])


def diamond() -> Graph:
    nodes = [
        node("pack", "completed", 15),
        node("send", "parked", 20_220, 3, "effect_in_doubt"),
        node("bill", "skipped"),
        node("tell", "suspended"),
    ]
    return graph("ship", nodes, [(0, 1), (0, 2), (0, 3), (1, 3), (2, 3)])


def fan_out() -> Graph:
    parent = Node(id="op.tests.main", name="tests", status="completed", took_ms=3_700_000, children=(RUN,))
    nodes = [
        node("prepare", "completed", 15),
        node("lint", "failed", 2022, 3, "lint_errors_found"),
        node("types", "backoff", 7, 2, "flaky_network", "again 2026-11-22T04:20:05.871Z"),
        parent,
        node("gate", "on_holiday"),
    ]
    return graph("checks", nodes, [(0, 1), (0, 2), (0, 3), (1, 4), (2, 4), (3, 4)])


def siblings(number: int = 60) -> Graph:
    parts = [node(f"part_{at:02}", "failed" if at in {7, 19, 33} else "completed", at) for at in range(1, number + 1)]
    last = number + 1
    edges = [(0, at) for at in range(1, last)] + [(at, last) for at in range(1, last)] + [(last, last + 1)]
    return graph(
        "parts", [node("split", "completed", 15), *parts, node("merge", "queued"), node("x", "pending")], edges
    )


def release() -> Graph:
    names = ["inventory", "deps", "linux", "mac", "windows", "sign", "sbom", "scan"]
    names += ["checks", "approve", "publish", "announce"]
    done = {"inventory", "deps", "linux", "mac", "sbom"}
    nodes = [node(name, "completed" if name in done else "pending", 137 if name in done else None) for name in names]
    nodes[4] = node("windows", "failed", 2214, 2, "compiler_missing")
    nodes[7] = node("scan", "running", 6735)
    edges = [(0, 1), (1, 2), (1, 3), (1, 4), (1, 6), (2, 5), (3, 5), (4, 5), (6, 7), (5, 8), (7, 8)]
    implied = [(0, 8), (2, 8), (5, 10), (6, 10)]
    return graph("release", nodes, [*edges, *implied, (8, 9), (9, 10), (10, 11)])


PICTURES = {made.__name__: made() for made in (chain, diamond, fan_out, siblings, release)}
