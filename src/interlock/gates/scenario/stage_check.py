"""What a stage says that fits together badly: timeouts, ticks, holding, and stages without a gate.

What it does: finds members of a stage that come to nothing, or to something that hardly anybody means. What it does not
do: it follows no stage (`flow`).
"""

from __future__ import annotations

from collections.abc import Iterator

from interlock.gates.scenario import rules
from interlock.gates.scenario.flaw import Flaw
from interlock.gates.scenario.outline import Outline, Stage


def stage_flaws(outline: Outline) -> Iterator[Flaw]:
    """All that is wrong with single stages."""
    last = len(outline.stages) - 1
    for number, stage in enumerate(outline.stages):
        ends = stage.advance == "terminal" or (stage.advance == "linear" and number == last)
        yield from _timeout(stage, ends=ends)
        if stage.branches_on_hold and stage.advance != "branch":
            path = (*stage.path, "on_hold")
            yield Flaw(rules.ON_HOLD_WITHOUT_BRANCH, path, "the stage has no branch that could be taken")
        if not stage.gates and not ends:
            yield Flaw(rules.STAGE_OPEN, (*stage.path, "gates"), "the stage has no gate")


def _timeout(stage: Stage, *, ends: bool) -> Iterator[Flaw]:
    on_timeout = (*stage.path, "on_timeout")
    if stage.auto_tick and not stage.has_timeout:
        yield Flaw(rules.AUTO_TICK_WITHOUT_TIMEOUT, (*stage.path, "auto_tick"), "the stage has no timeout")
    if stage.on_timeout not in {"advance_with_flag", "alternate_branch"}:
        return
    if not stage.has_timeout:
        yield Flaw(rules.ON_TIMEOUT_WITHOUT_TIMEOUT, on_timeout, "the stage has no timeout")
    elif ends:
        yield Flaw(rules.TIMEOUT_COMPLETES, on_timeout, "the timeout completes the run, whatever its gates are")
    if stage.on_timeout == "alternate_branch" and stage.advance != "branch" and not ends:
        yield Flaw(rules.ALTERNATE_WITHOUT_BRANCH, on_timeout, "the stage has no branch")
