"""The registration of gates: what their modules declare."""

from __future__ import annotations

from interlock.base.part import Part
from interlock.gates.errors import ERRORS

PART = Part(name="gates", errors=ERRORS)
