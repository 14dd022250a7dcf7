"""One look at everything that a run recorded.

What it does: decides the whole run again and holds its calls against it. What it does not do: it reads no file and
holds no log against a manifest; whoever has those does.
"""

from __future__ import annotations

from msgspec import Struct

from interlock.gates.control.scenario import Scenario
from interlock.gates.redecide.calls import CallsAgain
from interlock.gates.redecide.decisions import DecisionsAgain, Standing
from interlock.gates.redecide.logs import Finding, Known, Logs, Notes, NotRederivable


class Redecided(Struct, frozen=True):
    """What came out: nothing is wrong where there is no finding.

    `not_rederivable` says what the logs and what is known beside them cannot show. `sources` are those of the calls
    (`calls.CallsAgain`), `standings` how the run stood after each decision that follows.
    """

    findings: list[Finding]
    not_rederivable: list[NotRederivable]
    standings: list[Standing]
    sources: list[tuple[str, int] | None]
    complete: bool


def redecide(scenario: Scenario, logs: Logs, known: Known = Known()) -> Redecided:  # noqa: B008 - immutable
    """Decide a run again; the scenario was validated."""
    notes = Notes()
    decisions = DecisionsAgain(scenario, logs, known, notes)
    decisions.run()
    calls = CallsAgain(scenario.spec.scenario_id, scenario.first.stage_id, logs, decisions.standings, notes)
    if notes.complete:  # what the calls answered rests on every decision
        calls.run()
    return Redecided(notes.findings, notes.not_rederivable, decisions.standings, calls.sources, notes.complete)
