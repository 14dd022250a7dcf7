"""Units of a lease as those used them who worked: by their own notes, held against the journal.

What it does: makes intervals of the notes of handlers, cuts each where its unit was taken away or its process was
killed, and counts how many were under way at once. What it does not do: it reads no store (`story`).

Rule: a unit counts as used from where a handler says that it begins to where it says that it ends, also where the
journal says that it was given back before: that would be the fault.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from tests.faults.torture.evidence import Evidence
from tests.faults.torture.story import Grant, Lease, Story

HOT = "flow%2Fhot"
TAKEN = ("expired", "seized", "handed over")
"""How a unit ends whose holder may not know it yet."""


@dataclass(frozen=True)
class Use:
    """A handler that was under way, in nanoseconds of the monotonic clock."""

    from_ns: int
    until_ns: int
    who: str


def overlaps(evidence: Evidence, story: Story, limit: int) -> list[tuple[str, str]]:
    """Where more handlers were under way than there are units, and handlers that had none."""
    lease = story.leases.get(HOT, Lease(HOT))
    wrong: list[tuple[str, str]] = []
    changes: list[tuple[int, int, str]] = []
    for use in _uses(evidence, story, lease, wrong):
        changes += [(use.from_ns, 1, use.who), (use.until_ns, -1, use.who)]
    under_way: list[str] = []
    for _, change, who in sorted(changes, key=lambda each: each[:2]):
        if change > 0:
            under_way.append(who)
        else:
            under_way.remove(who)
        if change > 0 and len(under_way) > limit:
            wrong.append(("units", f"{len(under_way)} at once of {limit}: {under_way}"))
    return wrong


def _uses(evidence: Evidence, story: Story, lease: Lease, wrong: list[tuple[str, str]]) -> list[Use]:
    uses: list[Use] = []
    begun: dict[tuple[str, str, str], tuple[int, int]] = {}
    for line in evidence.units:
        what, at_ns, at_ms, process, label, step = line.split()
        who = (process, label, step)
        if what == "begin":
            begun[who] = (int(at_ns), int(at_ms))
        elif who in begun:
            _use(uses, story, lease, who, begun.pop(who), int(at_ns), wrong)
    for who, since in begun.items():
        death = evidence.deaths.get(int(who[0]))
        if death is None:
            wrong.append(("units", f"{who} never ended, and nobody killed it"))
        else:
            _use(uses, story, lease, who, since, death, wrong)
    return uses


def _use(
    uses: list[Use],
    story: Story,
    lease: Lease,
    who: tuple[str, str, str],
    since: tuple[int, int],
    until_ns: int,
    wrong: list[tuple[str, str]],
) -> None:
    """Add what one handler used, as far as the unit was its own."""
    from_ns, from_ms = since
    grant = _grant_of(story, lease, who, from_ms)
    if grant is None:
        wrong.append(("units", f"{who} worked without a unit"))
        return
    if grant.ended_ms is not None and how_ended(lease, grant) in TAKEN:
        until_ns = min(until_ns, from_ns + (grant.ended_ms - from_ms) * 1_000_000)
    if until_ns > from_ns:
        uses.append(Use(from_ns, until_ns, " ".join(who)))


def _grant_of(story: Story, lease: Lease, who: tuple[str, str, str], from_ms: int) -> Grant | None:
    """The unit that a process was granted last for a step of a run, before it began."""
    process, label, step = who
    run = story.runs.get(label)
    found = None
    for grant in lease.grants:
        run_id, purpose, occasion = grant.request_id.split(":")
        if run is None or run_id != label or grant.at_ms > from_ms:
            continue
        owner = run.owners.get(int(occasion.split(".")[0]), "")
        if f"-{process}-" in owner and purpose in _purposes(run.entered, step):
            found = grant
    return found


def _purposes(states: set[str], step: str) -> set[str]:
    return {hashlib.sha256(each.encode()).hexdigest()[:16] for each in states if each.split(".")[1] == step}


def how_ended(lease: Lease, grant: Grant) -> str:
    """How units came back; they were handed over where another owner of the run got them in the same moment."""
    if grant.how != "released":
        return grant.how
    prefix = grant.request_id.rpartition(":")[0]
    for other in lease.grants:
        if other.token > grant.token and other.request_id.rpartition(":")[0] == prefix:
            if other.at_ms == grant.ended_ms and other.request_id != grant.request_id:
                return "handed over"
            break
    return grant.how
