"""The port of evidence providers.

What it does: declares what a provider is asked and answers. What it does not do: it asks nobody.

Rules: a provider never raises for what it finds outside: that is evidence with an error. What it raises all the same
becomes `provider_error`. It says of each call to the outside what was asked and answered, by digests, so that the
caller can record it; a value of evidence stands in the result alone.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery


class CallMade(Struct, frozen=True):
    """A call to the outside: its namespace, and the digests of its canonical request and of the answer's bytes."""

    namespace: str
    request_digest: str
    response_digest: str


class Answered(Struct, frozen=True):
    """What a provider answered, and when that was observed in ms since 1970; None: at the time of the trigger."""

    result: EvidenceResult
    observed_ms: int | None = None
    calls: tuple[CallMade, ...] = ()


class EvidenceProvider(Protocol):
    """Answers queries of one provider id."""

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """The evidence that is there now; `tenant` is the one of the journal for which it is asked."""
        ...

    async def close(self) -> None:
        """Let go of connections and processes; no query follows."""
        ...
