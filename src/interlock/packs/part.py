"""The registration of packs: the verbs of `pack` and `key`, and their error codes."""

from __future__ import annotations

from interlock.base.part import Part
from interlock.packs.commands import COMMANDS
from interlock.packs.errors import ERRORS

PART = Part(name="packs", commands=COMMANDS, errors=ERRORS)
