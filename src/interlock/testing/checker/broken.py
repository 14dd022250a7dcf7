"""The error of every check.

What it does: says which rule a log breaks, and where. What it does not do: it checks nothing.
"""

from __future__ import annotations


class InvariantBroken(AssertionError):
    """A log that no correct engine could have written: `invariant` names the rule, `seq` the event (0: the whole)."""

    def __init__(self, invariant: str, seq: int, why: str) -> None:
        super().__init__(f"{invariant} is broken at event {seq}: {why}")
        self.invariant = invariant
        self.seq = seq
