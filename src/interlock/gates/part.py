"""The registration of gates: what their modules declare."""

from __future__ import annotations

from interlock.base.part import Part
from interlock.gates import errors
from interlock.gates.control import errors as control_errors
from interlock.gates.control.decide import RUNS
from interlock.gates.control.definitions import DEFINITIONS
from interlock.gates.control.events import EVENTS

PART = Part(
    name="gates",
    events=EVENTS,
    deciders=(DEFINITIONS, RUNS),
    errors=(*errors.ERRORS, *control_errors.ERRORS),
)
