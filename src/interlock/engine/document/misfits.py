"""What a schema has against a value, with a bound on what is collected.

What it does: asks the library whether a value fits, and for the errors of a value that does not. What it does not do:
it makes no finding of them.

Rule: the library makes all errors at once, of more than a kilobyte each, so that a list of a million wrong elements
would take the memory of the machine: of a large value that does not fit, only the first elements of its lists are shown
to it, and it may be that the fault is behind them.
"""

from __future__ import annotations

from typing import Any, Final

VALUES_MAX: Final = 20_000
"""Values that are looked through for errors."""


def misfits(validator: Any, value: Any) -> list[Any] | None:
    """The errors of a JSON value, in the order of the library; None where there are some and none was found."""
    if validator.is_valid(value):
        return []
    return list(validator.iter_errors(_Beginning().of(value))) or None


class _Beginning:
    """The beginning of a value: its lists end where so many values were taken; objects have all their members."""

    def __init__(self) -> None:
        self._left = VALUES_MAX

    def of(self, value: Any) -> Any:
        """As much of a value as is left to take."""
        self._left -= 1
        if isinstance(value, dict):
            return {key: self.of(each) for key, each in value.items()}
        if isinstance(value, list):
            taken = []
            for each in value:
                if self._left <= 0:
                    break
                taken.append(self.of(each))
            return taken
        return value
