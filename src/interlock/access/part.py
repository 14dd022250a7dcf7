"""The registration of access: what its modules declare."""

from __future__ import annotations

from interlock.access import audit, commands
from interlock.access.errors import ERRORS
from interlock.access.settings import AccessSettings
from interlock.access.tokens import commands as token_commands
from interlock.access.tokens import decide, events, views
from interlock.base.part import Part, SettingsSection

PART = Part(
    name="access",
    events=(*audit.EVENTS, *events.EVENTS),
    deciders=(audit.DECIDER, decide.DECIDER),
    views=(views.TOKENS,),
    commands=(*commands.COMMANDS, *token_commands.COMMANDS),
    settings=(SettingsSection("access", AccessSettings),),
    errors=ERRORS,
)
