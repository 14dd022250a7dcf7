"""Records of calls: what was asked and answered, by digest.

What it does: makes the record of a call, and the events that keep records. What it does not do: it decides nothing.

Rules (seed 000): the digests are of the request and the response as the engine has them, not of the message around
them; a call that failed has its error, and the digest of that error as its response. A record of more than
`INLINE_BYTES_MAX` is an artifact.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import Raw, Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.base.canonical import digest
from interlock.base.part import Artifact
from interlock.gates.control import events as e
from interlock.gates.errors import GATE_INPUT_INVALID
from interlock.gates.records import SubmissionRecord, SubmitRequest, ToolCallError, ToolCallRecord
from interlock.gates.values import Timestamp, hash_of, plain, wire

INLINE_BYTES_MAX = 16 * 1024
RECORD_KIND = "ScenarioRecord"
NOTHING = Raw(b"null")


class Kept(NamedTuple):
    """How a record is kept: in its event, or as an artifact that the event names."""

    record: Raw
    record_id: str | None
    artifact: Artifact | None


def kept(record: Any) -> Kept:
    """How a record is kept."""
    content = wire(record)
    if len(content) <= INLINE_BYTES_MAX:
        return Kept(Raw(content), None, None)
    return Kept(NOTHING, digest(content), Artifact(RECORD_KIND, content))


def given_digest(request: SubmitRequest | SubmissionRecord) -> str:
    """What makes a submission the same: its payload and content type."""
    return hash_of(wire({"content_type": request.content_type, "payload": plain(request.payload)})).value


def check_time(at: Timestamp) -> None:
    """Whether the bytes that are hashed name the time of a call itself, and not its double.

    Raises: `gate_input_invalid`.
    """
    if not -INTEGER_MAX <= at.value <= INTEGER_MAX:
        raise GATE_INPUT_INVALID.error(f"the time of a call is beyond {INTEGER_MAX}", member="time")


def check_ids(*ids: int) -> None:
    """Whether the bytes that are hashed name these ids themselves. Raises: `gate_input_invalid`."""
    if any(int(float(each)) != each for each in ids):
        raise GATE_INPUT_INVALID.error("no double is the number of this namespace or tenant", member="tenant_id")


class Call(Struct, frozen=True):
    """A call that is to be recorded: its method, what was asked, and when the caller says that it was."""

    method: str
    request: Any
    called_at: Timestamp
    correlation_id: str | None

    def recorded(
        self, number: int, response: Any, error: ToolCallError | None = None, repeats: int | None = None
    ) -> e.ToolCalled:
        """The event of this call, the one of that number of its run."""
        record = ToolCallRecord(
            call_id=f"call-{number}",
            method=self.method,
            request_hash=hash_of(wire(self.request)),
            response_hash=hash_of(wire(response if error is None else error)),
            called_at=self.called_at,
            correlation_id=self.correlation_id,
            error=error,
        )
        return e.ToolCalled(Raw(wire(record)), repeats)
