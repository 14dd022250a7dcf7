"""Feedback on `scenario_next`: who is told how much."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from interlock.gates.control.feedback import LEVELS, Caller, FeedbackSettings, Granted, feedback_of, granted
from interlock.gates.logic.status import Status
from interlock.gates.records import GateEvalRecord, GateEvaluation, Traced
from interlock.gates.values import plain

LOCAL, REMOTE = Caller("stdio", local=True), Caller("token:1", local=False, roles=("Auditor",))
OPEN = FeedbackSettings(max="evidence", evidence_subjects=("stdio",), trace_roles=("Auditor",))
GATE = GateEvalRecord("t1", "one", GateEvaluation("g", Status.TRUE, [Traced("c", Status.TRUE)]), [])
LESS = "feedback level denied (requested={}, allowed={})"


@pytest.mark.parametrize(
    ("settings", "requested", "caller", "level", "reason"),
    [
        (FeedbackSettings(), None, LOCAL, "trace", None),
        (FeedbackSettings(), None, REMOTE, "summary", None),
        (FeedbackSettings(), "summary", LOCAL, "summary", None),
        (FeedbackSettings(), "trace", REMOTE, "summary", LESS.format("trace", "summary")),
        (FeedbackSettings(), "evidence", LOCAL, "trace", LESS.format("evidence", "trace")),
        (FeedbackSettings(), "evidence", REMOTE, "summary", LESS.format("evidence", "summary")),
        (FeedbackSettings(max="summary"), None, LOCAL, "summary", LESS.format("trace", "summary")),
        (FeedbackSettings(max="evidence"), "evidence", LOCAL, "trace", LESS.format("evidence", "trace")),
        (FeedbackSettings(trace_subjects=()), None, LOCAL, "summary", LESS.format("trace", "summary")),
        (OPEN, "evidence", LOCAL, "evidence", None),
        (OPEN, "evidence", REMOTE, "trace", LESS.format("evidence", "trace")),
        (OPEN, "trace", REMOTE, "trace", None),
        (FeedbackSettings(max="evidence", evidence_roles=("Auditor",)), "evidence", REMOTE, "evidence", None),
        (
            FeedbackSettings(max="evidence", evidence_roles=("Auditor",)),
            "trace",
            REMOTE,
            "summary",
            LESS.format("trace", "summary"),
        ),
    ],
)
def test_a_level_is_cut_to_the_highest_and_lowered_until_the_caller_is_listed(
    settings: FeedbackSettings, requested: str | None, caller: Caller, level: str, reason: str | None
) -> None:
    assert granted(settings, requested, caller) == Granted(level, reason)  # type: ignore[arg-type]


levels = st.sampled_from(LEVELS)
settings = st.builds(
    FeedbackSettings,
    default=levels,
    local_only_default=levels,
    max=levels,
    trace_subjects=st.sampled_from([(), ("stdio",)]),
    evidence_subjects=st.sampled_from([(), ("stdio",)]),
)


@given(settings, levels, st.booleans())
def test_nobody_gets_more_than_was_asked_for_or_is_configured(
    chosen: FeedbackSettings, asked: Any, local: bool
) -> None:
    grant = granted(chosen, asked, Caller("stdio", local=local))
    place = LEVELS.index(grant.level)
    assert place <= LEVELS.index(asked)
    assert place <= LEVELS.index(chosen.max)
    assert (grant.denied_reason is None) == (grant.level == asked)
    listed = {"summary": True, "trace": bool(chosen.trace_subjects), "evidence": bool(chosen.evidence_subjects)}
    assert listed[grant.level]


@pytest.mark.parametrize(
    ("grant", "requested", "told"),
    [
        (Granted("summary"), None, None),
        (Granted("summary"), "summary", {"level": "summary"}),
        (Granted("summary", "no"), None, {"level": "summary", "denied_reason": "no"}),
        (
            Granted("trace"),
            None,
            {
                "level": "trace",
                "gate_evaluations": [
                    {"gate_id": "g", "status": "True", "trace": [{"condition_id": "c", "status": "True"}]}
                ],
            },
        ),
    ],
)
def test_only_what_the_level_allows_is_told(grant: Granted, requested: str | None, told: object) -> None:
    found = feedback_of(grant, requested, [GATE], lambda gate: gate)  # type: ignore[arg-type]
    assert (None if found is UNSET else plain(found)) == told


def test_evidence_is_redacted_before_it_is_told() -> None:
    other = GateEvalRecord("t1", "one", GateEvaluation("hidden", Status.TRUE, []), [])
    found = feedback_of(Granted("evidence", "why"), "evidence", [GATE], lambda _gate: other)
    assert plain(found) == {"level": "evidence", "denied_reason": "why", "gate_records": [plain(other)]}
