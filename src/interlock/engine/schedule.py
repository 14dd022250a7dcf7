"""Which state of a plan is next: readiness from edges and the completed set, nothing else.

What it does: keeps the states whose predecessors have completed and that nobody has entered, in the plan's own order.
What it does not do: it knows no attempts, failures or time.

Rule: readiness never depends on where a run stopped before, so reordering a plan can not skip a state (D5, M20).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Container

from interlock.engine.flow.limits import Needs
from interlock.engine.plan import ExecutionPlan


class ReadyStates:
    """States that may be entered for the first time. Built in O(states + edges), then O(log states) a step."""

    def __init__(self, plan: ExecutionPlan, completed: Collection[str], entered: Collection[str] = ()) -> None:
        self._plan = plan
        self._rank = plan.rank
        self._waiting = list(plan.waiting)
        done = [place for place, node in enumerate(plan.states) if node.id in completed] if completed else []
        for place in done:
            for follower in plan.successors[place]:
                self._waiting[follower] -= 1
        ready = {place for place, count in enumerate(self._waiting) if count == 0}.difference(done)
        if entered:
            ready = {place for place in ready if plan.states[place].id not in entered}
        self._heap: list[tuple[int, int]] = []
        self._lines: dict[Needs, list[tuple[int, int]]] = {}
        """Ready states that need units, by what they need: those of one line wait for the same."""
        for each in sorted((self._rank[place], place) for place in ready):
            self._line(each[1]).append(each)

    def first(self, blocked: Container[Needs | None] = ()) -> int | None:
        """Place of the ready state that comes first in the plan and needs nothing `blocked`; None when there is none.

        Costs O(1), and O(different needs) where states have some.
        """
        if not self._lines:
            return self._heap[0][1] if self._heap else None
        heads = [line[0] for needs, line in self._lines.items() if line and needs not in blocked]
        return min([*heads, *self._heap[:1]], default=(0, None))[1]

    def enter(self, place: int) -> None:
        """Record that a state was entered; nothing to do where it had been entered before."""
        heap = self._line(place) if self._lines else self._heap
        if heap and heap[0][1] == place:
            heapq.heappop(heap)

    def _line(self, place: int) -> list[tuple[int, int]]:
        needs = self._plan.states[place].needs
        return self._heap if needs is None else self._lines.setdefault(needs, [])

    def complete(self, place: int) -> None:
        """Record that a state that was entered has completed, and admit those that waited for it alone."""
        for follower in self._plan.successors[place]:
            self._waiting[follower] -= 1
            if self._waiting[follower] == 0:
                line = self._line(follower) if self._plan.is_limited else self._heap
                heapq.heappush(line, (self._rank[follower], follower))
