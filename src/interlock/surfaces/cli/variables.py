"""The variables of the environment that stand for options of a line.

It names them, and says whether a value is the line's own. Rule: what a line says wins over its environment.
"""

from __future__ import annotations

import os
from typing import Final

STORE_VARIABLE: Final = "INTERLOCK_STORE"
CONFIG_VARIABLE: Final = "INTERLOCK_CONFIG"
SERVER_VARIABLE: Final = "INTERLOCK_SERVER"
PROFILE_VARIABLE: Final = "INTERLOCK_PROFILE"
AS_VARIABLE: Final = "INTERLOCK_AS"

VARIABLES: Final = {
    "store": STORE_VARIABLE,
    "config": CONFIG_VARIABLE,
    "server": SERVER_VARIABLE,
    "profile": PROFILE_VARIABLE,
}
"""The variable of each option that says where to ask."""


def is_on_line(value: str | None, variable: str) -> bool:
    """Whether an option has its value from the line, and not from the environment."""
    return bool(value) and value != os.environ.get(variable)
