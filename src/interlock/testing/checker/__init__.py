"""Checks the log of a run against the invariants of the run engine, independently of the engine's own fold.

What it does: walks recorded events with plain loops and raises `InvariantBroken` at the first one that no correct
engine could have written. What it does not do: it shares no code with the engine's folding, deciding and joining, it
mends nothing, and it does not verify digests of events (reading them through the journal does).

Rules: `check_run` is about one log, what must be true of it alone or beside its plan, an earlier state of itself and
the answer that its owner gave; `check_branches` computes anew what states that ran at once started from and left;
`check_artifacts` is about what a log names; `check_absent` about what no byte may hold; `check_left` about what a
store keeps for runs. Names are those of docs/coverage/run-engine.md, and, where that has none:

- W1 a state that waits is entered again only when something that it waits for has come, or to be skipped;
- W2 a wait ends with an answer, a deadline or a child's end that is on record, and with what that carried;
- W3 a timer lives no longer than its wait; W4 what is told to a run is taken in order, once;
- B1 no more states are open than may run at once; B2 their bases and B3 their joins are what their plan says;
- O1 nothing is entered while the run is paused; O2 nothing once it is cancelled, timed out or failed for good;
- L1 what a run needs is said once and first, units are waited for by what can still run, and its use is told forwards.
"""

from interlock.testing.checker.artifacts import check_absent, check_artifacts, snapshots_of
from interlock.testing.checker.branches import check_branches
from interlock.testing.checker.broken import InvariantBroken
from interlock.testing.checker.left import check_left
from interlock.testing.checker.run import check_run
from interlock.testing.checker.walk import Walk

__all__ = [
    "InvariantBroken",
    "Walk",
    "check_absent",
    "check_artifacts",
    "check_branches",
    "check_left",
    "check_run",
    "snapshots_of",
]
