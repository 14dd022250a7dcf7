"""The three values that a condition, a requirement or a gate can have.

Rule: on the wire they begin with a capital, while the outcomes that branches name do not (seed 000).
"""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Holds, does not hold, or nobody knows."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"
