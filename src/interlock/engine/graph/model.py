"""The graph of a plan with the state of a run on it, as every way of drawing sees it.

What it does: joins the outline of a plan with the steps of a run into nodes and edges. What it does not do: it draws
nothing, places nothing, and reads no store and no clock.

Rules: nodes stand in execution order, so every edge goes to a later place; a status is a word of an open set; a node
that stands for several states keeps them as `members`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from msgspec import Struct

from interlock.engine.graph.looks import attention
from interlock.engine.plan import PlanOutline
from interlock.engine.reports.records import StepReport, Waiting

PLANNED = "planned"


class Node(Struct, frozen=True, kw_only=True):
    """One state, or a group of `members`. `took_ms` is its last attempt, also one that is not over yet.

    `notes` are short lines: why it failed, until when it waits. `children` are ids of runs that it started.
    """

    id: str
    name: str
    status: str
    attempts: int = 0
    took_ms: int | None = None
    notes: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    members: tuple[Node, ...] = ()

    @property
    def size(self) -> int:
        """How many states it stands for."""
        return len(self.members) or 1


class Graph(Struct, frozen=True, kw_only=True):
    """A plan as it is drawn: an edge is a pair of places in `nodes`, and goes to the later one.

    `title` names the operation; `summary` says which plan or run it is, and how it stands.
    """

    title: str
    summary: str
    nodes: tuple[Node, ...]
    edges: tuple[tuple[int, int], ...] = ()

    @property
    def before(self) -> list[list[int]]:
        """For each node, the places of those that it waits for, in order."""
        return neighbours(len(self.nodes), ((after, before) for before, after in self.edges))

    @property
    def after(self) -> list[list[int]]:
        """For each node, the places of those that wait for it, in order."""
        return neighbours(len(self.nodes), self.edges)


def neighbours(size: int, pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """For each place, the second places of its pairs, sorted and each once."""
    found: list[set[int]] = [set() for _ in range(size)]
    for one, other in pairs:
        found[one].add(other)
    return [sorted(each) for each in found]


def plan_graph(title: str, subject: str, outline: PlanOutline) -> Graph:
    """The graph of a plan that no run is on."""
    return _graph(title, f"{subject} · {counted(len(outline.states), 'state')}", outline, _planned)


def run_graph(
    title: str,
    subject: str,
    phase: str,
    outline: PlanOutline,
    steps: Sequence[StepReport],
    *,
    waiting: Waiting | None = None,
    until: str = "",
    now_ms: int = 0,
) -> Graph:
    """The graph of a run. `until` is the end of a back-off as people read it; `now_ms` ends what still runs."""
    known = {step.state_id: step for step in steps}

    def node(state_id: str, name: str) -> Node:
        step = known.get(state_id)
        return _planned(state_id, name, "pending") if step is None else _live(step, name, waiting, until, now_ms)

    kind = "" if waiting is None else f", {waiting.kind}"
    graph = _graph(title, "", outline, node)
    counts = counts_text(Counter(node.status for node in graph.nodes))
    return Graph(title=title, summary=f"{subject} · {phase}{kind} · {counts}", nodes=graph.nodes, edges=graph.edges)


def group(name: str, members: Sequence[Node]) -> Node:
    """One node for several: it looks like the member that needs most attention."""
    flat = tuple(each for member in members for each in (member.members or (member,)))
    status = min((member.status for member in flat), key=attention)
    return Node(id=flat[0].id, name=name, status=status, members=flat)


def counts_text(counts: Mapping[str, int]) -> str:
    """`3 failed, 97 completed`: what needs attention first."""
    return ", ".join(f"{counts[status]} {status}" for status in sorted(counts, key=attention))


def counted(number: int, noun: str) -> str:
    """`1 state`, `2 states`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _graph(title: str, summary: str, outline: PlanOutline, node: Callable[[str, str], Node]) -> Graph:
    order = outline.order()
    place = {state_id: at for at, state_id in enumerate(order)}
    edges = sorted({(place[before], place[after]) for before, after in outline.edges})
    nodes = tuple(node(state_id, name) for state_id, name in zip(order, _names(order), strict=True))
    return Graph(title=title, summary=summary, nodes=nodes, edges=tuple(edges))


def _names(state_ids: Sequence[str]) -> list[str]:
    """The step of each id; with its local part where the step alone would not tell two states apart."""
    parts = [state_id.split(".", 1)[1] for state_id in state_ids]
    steps = Counter(part.split(".")[0] for part in parts)
    return [part if steps[part.split(".")[0]] > 1 else part.split(".")[0] for part in parts]


def _planned(state_id: str, name: str, status: str = PLANNED) -> Node:
    return Node(id=state_id, name=name, status=status)


def _live(step: StepReport, name: str, waiting: Waiting | None, until: str, now_ms: int) -> Node:
    status = _status(step, waiting)
    why = step.error_code if step.status != "completed" else None
    again = f"again {until}" if status == "backoff" and until else None
    return Node(
        id=step.state_id,
        name=name,
        status=status,
        attempts=step.attempts,
        took_ms=_took_ms(step, now_ms if status == "running" else None),
        notes=tuple(filter(None, (why, again))),
    )


def _status(step: StepReport, waiting: Waiting | None) -> str:
    """What a step does now: of a run that nobody drives, every attempt that is open waits for an owner."""
    if waiting is None:
        return step.status
    left_open = waiting.kind == "queued" and step.status == "running"
    return waiting.kind if left_open or waiting.state_id == step.state_id else step.status


def _took_ms(step: StepReport, now_ms: int | None) -> int | None:
    """How long the last attempt took; `ended_ms` is that of the attempt before while one is open."""
    ended_ms = now_ms if now_ms is not None else step.ended_ms
    if step.started_ms is None or ended_ms is None or ended_ms < step.started_ms:
        return None
    return ended_ms - step.started_ms
