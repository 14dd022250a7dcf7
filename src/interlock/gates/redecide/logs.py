"""What is decided again, what is known beside it, and what came out.

What it does: declares the logs of a run, the facts that logs do not hold, and the notes that are taken while they are
gone through. What it does not do: it judges nothing.

Rule: what is wrong is a finding; what cannot be told from what is given is said to be so, with the reason, and is
neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from msgspec import Struct

from interlock.gates.control.rules import Rules
from interlock.gates.evidence.config import AnchorRequirement
from interlock.gates.records import (
    DecisionRecord,
    DispatchTarget,
    GateEvalRecord,
    PacketRecord,
    SubmissionRecord,
    ToolCallRecord,
    TriggerRecord,
)
from interlock.gates.values import Timestamp

FINDINGS_MAX = 1_000
"""Findings that are kept."""


class Logs(Struct, frozen=True):
    """The logs of a run, and whose run it is."""

    tenant_id: int
    namespace_id: int
    run_id: str
    triggers: list[TriggerRecord]
    gate_evals: list[GateEvalRecord]
    decisions: list[DecisionRecord]
    packets: list[PacketRecord]
    submissions: list[SubmissionRecord]
    tool_calls: list[ToolCallRecord]


class Known(Struct, frozen=True):
    """What is known beside the logs; None where nothing tells. `rules` stand for each trigger in its place.

    `observed` says for each trigger when the evidence of its conditions was observed, in ms since 1970; `passed` are
    the triggers before which the timer of the stage had fired in vain.
    `anchors` are those that the installation asked for, by provider; `keys` are public keys of providers by their id.
    """

    started_at: Timestamp | None = None
    targets: Sequence[DispatchTarget] | None = None
    rules: Sequence[Rules] | None = None
    observed: Sequence[Mapping[str, int | None]] | None = None
    passed: frozenset[int] = frozenset()
    anchors: Mapping[str, AnchorRequirement] = {}
    keys: Mapping[str, bytes] = {}


class Kind(StrEnum):
    """Of what a finding is."""

    SEQUENCE = "sequence"
    EVIDENCE = "evidence"
    GATE = "gate"
    DECISION = "decision"
    PACKET = "packet"
    SUBMISSION = "submission"
    CALL = "call"


class Finding(Struct, frozen=True):
    """Something that is not as it follows; the place is a log and a number in it, from 0."""

    kind: Kind
    place: str
    message: str


class Open(StrEnum):
    """What logs alone may leave open."""

    STARTED_AT = "started_at"
    DISPATCH_TARGETS = "dispatch_targets"
    DISPATCHERS = "dispatchers"
    DISCLOSURE_POLICY = "disclosure_policy"
    TRUST_POLICY = "trust_policy"
    SIGNING_KEYS = "signing_keys"
    EVIDENCE_AGE = "evidence_age"
    CALL_REQUESTS = "call_requests"
    IDENTITY = "identity"


REASONS = {
    Open.STARTED_AT: "no record says when the first stage was entered, so its time limit cannot be held against ticks",
    Open.DISPATCH_TARGETS: "no record lists the targets of the run; those of its first packet's receipts are taken",
    Open.DISPATCHERS: "another dispatcher made the receipts, and no record says how",
    Open.DISCLOSURE_POLICY: "no record holds the disclosure policy that permitted or refused the packets",
    Open.TRUST_POLICY: "no record says which lane and which signature the installation asked of the evidence",
    Open.SIGNING_KEYS: "the public key that the evidence is said to be signed with was not given",
    Open.EVIDENCE_AGE: "no record says when the evidence was observed, so its age cannot be held against the limit",
    Open.CALL_REQUESTS: "of a call that was repeated or refused, digests alone are recorded",
    Open.IDENTITY: "nothing was recorded in the run that names it",
}


class NotRederivable(Struct, frozen=True):
    """Something that cannot be told from what is given: why, and how often it was met."""

    what: str
    reason: str
    count: int


class Broken(Exception):
    """The logs do not fit each other at a place behind which nothing can be judged; the finding was kept."""


class Notes:
    """What was found so far."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.complete = True
        self._open: dict[Open, int] = {}

    def found(self, kind: Kind, place: str, message: str) -> None:
        """Keep a finding."""
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(Finding(kind, place, message))
        else:
            self.complete = False

    def broken(self, kind: Kind, place: str, message: str) -> Broken:
        """Keep a finding behind which nothing is judged any more."""
        self.found(kind, place, message)
        self.complete = False
        return Broken(message)

    def left_open(self, what: Open, count: int = 1) -> None:
        """Say that something cannot be told."""
        self._open[what] = self._open.get(what, 0) + count

    @property
    def not_rederivable(self) -> list[NotRederivable]:
        """What cannot be told, in the order of `Open`."""
        return [NotRederivable(each.value, REASONS[each], self._open[each]) for each in Open if each in self._open]
