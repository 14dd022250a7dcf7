"""What an agent is told of a stage's gates beside the decision on its `next`.

What it does: says how much a caller may know, and makes the feedback of that level. What it does not do: it reads no
run and redacts nothing itself; it is given the gates, and how their evidence is redacted.

Rules (seed 000): the level that is asked for, or the default, is cut to the highest that is configured, then lowered
until the caller is listed for it; whoever gets less than that is told so; the level `summary` is only said where it was
asked for or is less than was wanted. The default of a local caller is another one than that of the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.gates.records import Feedback, FeedbackLevel, GateEvalRecord

LEVELS: Final[tuple[FeedbackLevel, ...]] = ("summary", "trace", "evidence")
"""From the least to the most."""

Names = Annotated[tuple[str, ...], Meta(max_length=1000)]


class FeedbackSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much feedback there is, and for whom: subjects by their ids, roles by their names."""

    default: FeedbackLevel = "summary"
    local_only_default: FeedbackLevel = "trace"
    max: FeedbackLevel = "trace"
    trace_subjects: Names = ("loopback", "stdio")
    trace_roles: Names = ()
    evidence_subjects: Names = ()
    evidence_roles: Names = ()


class Caller(Struct, frozen=True):
    """Who asks: the id of the contract, whether from this machine, and the roles that hold for the run."""

    subject: str
    local: bool
    roles: tuple[str, ...] = ()


class Granted(Struct, frozen=True):
    """The level that a caller gets, and why it is less than was wanted."""

    level: FeedbackLevel
    denied_reason: str | None = None


def granted(settings: FeedbackSettings, requested: FeedbackLevel | None, caller: Caller) -> Granted:
    """The level of a caller who asks for `requested`, or for nothing in particular."""
    wanted = requested or (settings.local_only_default if caller.local else settings.default)
    highest = min(LEVELS.index(wanted), LEVELS.index(settings.max))
    level = next(each for each in reversed(LEVELS[: highest + 1]) if _may(settings, each, caller))
    if level == wanted:
        return Granted(level)
    return Granted(level, f"feedback level denied (requested={wanted}, allowed={level})")


def _may(settings: FeedbackSettings, level: FeedbackLevel, caller: Caller) -> bool:
    if level == "summary":
        return True
    traced = level == "trace"
    subjects = settings.trace_subjects if traced else settings.evidence_subjects
    roles = settings.trace_roles if traced else settings.evidence_roles
    return caller.subject in subjects or not set(roles).isdisjoint(caller.roles)


def feedback_of(
    grant: Granted,
    requested: FeedbackLevel | None,
    gates: Sequence[GateEvalRecord],
    redacted: Callable[[GateEvalRecord], GateEvalRecord],
) -> Feedback | UnsetType:
    """The feedback on gates that were evaluated for the caller's trigger; UNSET where there is none to give."""
    reason = UNSET if grant.denied_reason is None else grant.denied_reason
    if grant.level == "summary":
        return UNSET if requested is None and reason is UNSET else Feedback("summary", reason)
    if grant.level == "trace":
        return Feedback("trace", reason, gate_evaluations=[each.evaluation for each in gates])
    return Feedback("evidence", reason, gate_records=[redacted(each) for each in gates])
