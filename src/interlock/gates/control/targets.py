"""Whom packets are for, in one word: `agent:ID`, `session:ID`, `channel:ID` or `external:SYSTEM/TARGET`.

What it does: reads and spells dispatch targets. What it does not do: it sends nothing.

Rule: no two targets have one word: a system is percent-encoded.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from interlock.gates.control.errors import SCENARIO_CALL_INVALID
from interlock.gates.records import AgentTarget, ChannelTarget, DispatchTarget, ExternalTarget, SessionTarget


def target_of(given: str) -> DispatchTarget:
    """A target as a person spells it. Raises: `scenario_call_invalid`."""
    kind, _, name = given.partition(":")
    system, _, target = name.partition("/")
    match kind:
        case "agent" if name:
            return AgentTarget(name)
        case "session" if name:
            return SessionTarget(name)
        case "channel" if name:
            return ChannelTarget(name)
        case "external" if system and target:
            return ExternalTarget(unquote(system), target)
        case _:
            raise SCENARIO_CALL_INVALID.error(
                "a target is agent:ID, session:ID, channel:ID or external:SYSTEM/TARGET", member="to"
            )


def spelled(target: DispatchTarget) -> str:
    """A target in the word that `target_of` reads."""
    match target:
        case AgentTarget(name):
            return f"agent:{name}"
        case SessionTarget(name):
            return f"session:{name}"
        case ChannelTarget(name):
            return f"channel:{name}"
        case ExternalTarget(system, name):
            return f"external:{quote(system, safe=' :')}/{name}"
