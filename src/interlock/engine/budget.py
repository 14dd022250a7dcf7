"""The size budget of a run: how much it has used, how much it may, and the refusal of what would exceed it.

What it does: declares the limits and says what fits. What it does not do: it counts nothing (the fold and the session
do) and stops nothing (whoever is refused fails, and the run ends as any run whose state fails).

Rules:
- a refusal comes before the append that would exceed a hard limit, and is not tried again;
- what ends a run has room kept for it, so that one at its limit still ends in order;
- what has happened outside (results of effects that were sent, answers, orders) is recorded all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.bounds import EVENT_DATA_BYTES_MAX, EVENTS_PER_APPEND_MAX
from interlock.base.errors import Category, ErrorCode
from interlock.engine.run_state import RunState

RUN_BUDGET_EXCEEDED = ErrorCode(
    "run_budget_exceeded",
    Category.REFUSED,
    "Let the run do less, or split it into child runs; the limits are settings of the engine.",
)

CLOSING_EVENTS = 4
"""Room for the end of a run: timers cleared, a warning, artifacts counted, the end itself."""

CLOSING_EVENTS_PER_ATTEMPT = 3
"""Room for the end of each attempt that is open."""

COUNTED_STEP_BYTES = 64 * 1024
"""Bytes of artifacts after which their sum is recorded: what a crash can leave uncounted."""

ROOMY_BYTES = 64 * 2**20
"""More than the events of an attempt's append can take: their payloads are bounded together, and so is their number."""

COUNTED_STOP_BYTES = 4 * 1024
"""The same, for an owner that stops in order."""


class BudgetSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large one run may become."""

    events_warned: Annotated[int, Meta(ge=10, le=2**53 - 1, description="Events of a run that warn.")] = 1_000_000
    events_max: Annotated[
        int, Meta(ge=20, le=2**53 - 1, description="Events of a run; a state that needs more fails.")
    ] = 2_000_000
    bytes_warned: Annotated[
        int, Meta(ge=1024, le=2**53 - 1, description="Bytes of events and artifacts of a run that warn.")
    ] = 2 * 2**30
    bytes_max: Annotated[
        int, Meta(ge=4096, le=2**53 - 1, description="Bytes of a run's events and artifacts; more fails.")
    ] = 4 * 2**30


class RunUsage(Struct, frozen=True):
    """How much a run has used, and how much it may. Artifacts are counted in steps of 64 KiB."""

    events: int
    events_max: int
    bytes: int
    bytes_max: int
    warned: bool


def usage_of(state: RunState, settings: BudgetSettings) -> RunUsage:
    """The budget of a run as its events tell it."""
    used = state.event_bytes + state.artifact_bytes
    return RunUsage(state.seq, settings.events_max, used, settings.bytes_max, state.budget_warned)


def check(
    settings: BudgetSettings,
    state: RunState,
    uncounted: int,
    records: Sequence[Struct],
    more: int,
    measure: Callable[[], int],
) -> None:
    """Refuse what would exceed the budget. Raises: `run_budget_exceeded`.

    `uncounted` bytes of artifacts are not in `state` yet, `more` come with `records`, whose own bytes `measure` tells;
    it is asked only near the limit, so that a check costs O(1).
    """
    closing = CLOSING_EVENTS + CLOSING_EVENTS_PER_ATTEMPT * len(state.open)
    events = state.seq + len(records) + closing
    if events > settings.events_max:
        raise RUN_BUDGET_EXCEEDED.error(
            f"the run may have {settings.events_max} events, with those of its end",
            used=state.seq,
            limit=settings.events_max,
        )
    used = state.event_bytes + state.artifact_bytes + uncounted
    total = used + more
    if total + EVENT_DATA_BYTES_MAX * (len(records) + closing) > settings.bytes_max:
        total += measure()
    if total > settings.bytes_max:
        raise RUN_BUDGET_EXCEEDED.error(
            f"the run may have {settings.bytes_max} bytes of events and artifacts",
            used_bytes=used,
            limit_bytes=settings.bytes_max,
        )


def roomy(settings: BudgetSettings, concurrency: int) -> tuple[int, int]:
    """Events and counted bytes of a run below which anything that one append can hold fits, and warns of nothing."""
    closing = CLOSING_EVENTS + CLOSING_EVENTS_PER_ATTEMPT * concurrency
    events = settings.events_max - EVENTS_PER_APPEND_MAX - closing
    used = settings.bytes_max - COUNTED_STEP_BYTES - ROOMY_BYTES
    return min(events, settings.events_warned), min(used, settings.bytes_warned)


def is_past_warning(settings: BudgetSettings, state: RunState, uncounted: int) -> bool:
    """Whether the run has used more than its soft limit."""
    used = state.event_bytes + state.artifact_bytes + uncounted
    return state.seq >= settings.events_warned or used >= settings.bytes_warned


ERRORS = (RUN_BUDGET_EXCEEDED,)
