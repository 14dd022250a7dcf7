"""All interleavings of a small scenario, one after the other.

What it does: `explore` runs a scenario again and again on virtual time, each time with another choice of who
runs next wherever several could, until every choice was made (depth first) or a bound is reached. `replay`
runs one of them again. What it does not do: it does not guess which choices matter; keep scenarios small.

Rules: a scenario makes everything it uses anew and is deterministic but for the order in which its tasks
run; a failure carries the decisions that led to it; an exploration that was cut says so.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from interlock.testing.loop import run

Result = TypeVar("Result")

DEPTH_MAX = 60
"""Choices of one run that are varied; later ones take who waits longest."""

SCHEDULES_MAX = 20_000
"""Runs of one exploration."""


class Exploration(Struct, frozen=True):
    """How many interleavings were run, and whether these are all there are."""

    count: int
    complete: bool


class _Guide:
    """Decides as it is told, then for who waits longest; remembers between how many it chose."""

    def __init__(self, decisions: Sequence[int], depth_max: int) -> None:
        self._decisions = decisions
        self._depth_max = depth_max
        self.made: list[int] = []
        self.options: list[int] = []
        self.cut = False

    def __call__(self, ready: int) -> int:
        depth = len(self.made)
        if depth == self._depth_max:
            self.cut = True
            return 0
        decision = self._decisions[depth] if depth < len(self._decisions) else 0
        if decision >= ready:
            raise _changed()
        self.made.append(decision)
        self.options.append(ready)
        return decision

    def next(self) -> list[int] | None:
        """The decisions of the next run: the last one that could be another is another."""
        for depth in reversed(range(len(self.made))):
            if self.made[depth] + 1 < self.options[depth]:
                return [*self.made[:depth], self.made[depth] + 1]
        return None


def explore(
    scenario: Callable[[], Coroutine[Any, Any, Result]],
    check: Callable[[Result], None],
    *,
    depth_max: int = DEPTH_MAX,
    schedules_max: int = SCHEDULES_MAX,
) -> Exploration:
    """Run every interleaving of `scenario` and hand each result to `check`.

    Raises the first error of either, with a note that holds the decisions for `replay`.
    """
    decisions: list[int] | None = []
    count, cut = 0, False
    while decisions is not None and count < schedules_max:
        guide = _Guide(decisions, depth_max)
        try:
            check(run(scenario(), choose=guide))
        except BaseException as fault:
            fault.add_note(f"under interlock.testing.explorer.replay(…, {guide.made})")
            raise
        if len(guide.made) < len(decisions):
            raise _changed()
        count += 1
        cut = cut or guide.cut
        decisions = guide.next()
    return Exploration(count, complete=decisions is None and not cut)


def replay(scenario: Callable[[], Coroutine[Any, Any, Result]], decisions: Sequence[int]) -> Result:
    """Run `scenario` once as `decisions` say and return its result."""
    return run(scenario(), choose=_Guide(decisions, len(decisions)))


def _changed() -> RuntimeError:
    return RuntimeError("the scenario is not deterministic: an earlier run had more to choose from")
