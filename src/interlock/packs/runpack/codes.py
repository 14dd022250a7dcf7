"""What findings of a re-decision are called in the errors of a pack."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from interlock.base.errors import ErrorCode
from interlock.gates.redecide.logs import Kind
from interlock.packs.errors import (
    RUNPACK_CALL_WRONG,
    RUNPACK_DECISION_WRONG,
    RUNPACK_EVIDENCE_WRONG,
    RUNPACK_GATE_WRONG,
    RUNPACK_PACKET_WRONG,
    RUNPACK_SEQUENCE_WRONG,
    RUNPACK_SUBMISSION_WRONG,
)

CODES: Final[Mapping[Kind, ErrorCode]] = {
    Kind.SEQUENCE: RUNPACK_SEQUENCE_WRONG,
    Kind.EVIDENCE: RUNPACK_EVIDENCE_WRONG,
    Kind.GATE: RUNPACK_GATE_WRONG,
    Kind.DECISION: RUNPACK_DECISION_WRONG,
    Kind.PACKET: RUNPACK_PACKET_WRONG,
    Kind.SUBMISSION: RUNPACK_SUBMISSION_WRONG,
    Kind.CALL: RUNPACK_CALL_WRONG,
}
