"""The registration of gates: what their modules declare."""

from __future__ import annotations

from interlock.base.part import Part, SettingsSection
from interlock.gates import calling, errors, steps
from interlock.gates.config import GatesSettings
from interlock.gates.control import commands as control
from interlock.gates.control import errors as control_errors
from interlock.gates.control.decide import RUNS
from interlock.gates.control.definitions import DEFINITIONS
from interlock.gates.control.events import EVENTS
from interlock.gates.control.telling import FORMS
from interlock.gates.control.timing import TIMERS
from interlock.gates.evidence import commands as evidence
from interlock.gates.scenario import commands as scenario
from interlock.gates.shapes import commands as shapes
from interlock.gates.shapes import kept

PART = Part(
    name="gates",
    events=(*EVENTS, *kept.EVENTS),
    deciders=(DEFINITIONS, RUNS, kept.SHAPES_KEPT),
    timers=(TIMERS,),
    forms=FORMS,
    commands=(*scenario.COMMANDS, *control.COMMANDS, *evidence.COMMANDS, *shapes.COMMANDS),
    settings=(SettingsSection("gates", GatesSettings),),
    transports=calling.TRANSPORTS,
    steps=(steps.HANDLER,),
    errors=(*errors.ERRORS, *control_errors.ERRORS, steps.GATE_NOT_PASSED),
)
