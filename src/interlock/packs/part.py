"""The registration of packs: the verbs of `pack` and `key`, `scenario export`, and their error codes."""

from __future__ import annotations

from interlock.base.part import Part
from interlock.packs.commands import COMMANDS
from interlock.packs.errors import ERRORS
from interlock.packs.runpack.commands import COMMANDS as RUNPACKS

PART = Part(name="packs", commands=(*COMMANDS, *RUNPACKS), errors=ERRORS)
