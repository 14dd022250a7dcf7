"""The engine's registration."""

from __future__ import annotations

from interlock.base.part import Part, SettingsSection
from interlock.engine import contract
from interlock.engine.commands import COMMANDS
from interlock.engine.decide import EngineSettings
from interlock.engine.errors import ERRORS
from interlock.engine.events import EVENTS
from interlock.engine.graph import commands as graph
from interlock.engine.inbox_events import EVENTS as INBOX_EVENTS
from interlock.engine.io import router, secret_facts, transports
from interlock.engine.tell import RESOLVE, TELL, TIMERS
from interlock.engine.views import RUNS

PART = Part(
    name="engine",
    events=(*EVENTS, *INBOX_EVENTS),
    deciders=(TELL, RESOLVE),
    timers=(TIMERS,),
    views=(RUNS,),
    commands=(*COMMANDS, *graph.COMMANDS),
    transports=transports.TRANSPORTS,
    settings=(SettingsSection("engine", EngineSettings), *transports.SETTINGS),
    errors=(*ERRORS, *contract.ERRORS, *graph.ERRORS, *router.ERRORS, *secret_facts.ERRORS, *transports.ERRORS),
)
