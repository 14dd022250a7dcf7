"""Stages that end by themselves: the timer of a stage with `auto_tick`, as a command to its run.

What it does: registers what a due timer of a scenario run means. What it does not do: it decides nothing (`decide`),
and a stage without `auto_tick` ends by ticks of callers alone.

Rule: the tick has the time at which it was due, whenever it fires.
"""

from __future__ import annotations

from interlock.base.events import Timer
from interlock.base.part import Services, TimerTarget
from interlock.gates.control.decide import RUNS, StageTimeOver
from interlock.gates.control.keys import SCENARIO_RUN
from interlock.gates.control.service import ScenarioRuns


async def _prepare(services: Services, timer: Timer) -> StageTimeOver:
    return await services.get(ScenarioRuns).stage_time_over(timer)


TIMERS = TimerTarget(SCENARIO_RUN, RUNS, prepare=_prepare)
