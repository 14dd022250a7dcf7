"""Events of a run about its bounds: the units that it needs and waits for, and how much room it takes.

What it does: declares control events; `events` lists them with the others. What it does not do: it decides nothing.

Rule: members in alphabetical order.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.events import EventType
from interlock.base.ids import StateId
from interlock.engine.flow.limits import Flow, Rate

Natural = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class FlowRequested(Struct, frozen=True):
    """Control: what the run needs to be driven: a unit of `flow`, and to be started one of `rate`."""

    flow: Flow | None
    rate: Rate | None


class UnitAwaited(Struct, frozen=True):
    """Control: a unit of `lease` is not free, for `state_id` or for the whole run (null); `place` is that of asking."""

    lease: str
    place: Natural
    request_id: str
    state_id: StateId | None


class ArtifactsCounted(Struct, frozen=True):
    """Control: the run has stored so many bytes of artifacts, from its first event on."""

    bytes: Natural


class RunBudgetWarned(Struct, frozen=True):
    """Control, once: the run has used more than its soft limit of events or bytes."""

    bytes: Natural
    events: Natural


EVENTS = (
    EventType("engine.flow_requested", 1, FlowRequested),
    EventType("engine.unit_awaited", 1, UnitAwaited),
    EventType("engine.artifacts_counted", 1, ArtifactsCounted),
    EventType("engine.run_budget_warned", 1, RunBudgetWarned),
)
