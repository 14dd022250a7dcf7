"""What happens by itself: the end of a stage with `auto_tick`, and gates whose evidence becomes too old.

What it does: registers what a due timer of a scenario run means. What it does not do: it decides nothing (`decide`),
and a stage without `auto_tick` ends by ticks of callers alone.

Rule: what happens has the time at which it was due, whenever the timer fires.
"""

from __future__ import annotations

from interlock.base.events import Timer
from interlock.base.part import Services, TimerTarget
from interlock.gates.control.decide import RUNS, EvidenceTooOld, StageTimeOver
from interlock.gates.control.keys import SCENARIO_RUN
from interlock.gates.control.service import ScenarioRuns


async def _prepare(services: Services, timer: Timer) -> StageTimeOver | EvidenceTooOld:
    return await services.get(ScenarioRuns).due(timer)


TIMERS = TimerTarget(SCENARIO_RUN, RUNS, prepare=_prepare)
