"""The port of evidence providers.

What it does: declares what a provider is asked and answers. What it does not do: it asks nobody.

Rule: a provider never raises for what it finds outside: that is evidence with an error. What it raises all the same
becomes `provider_error`.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery


class Answered(Struct, frozen=True):
    """What a provider answered, and when that was observed in ms since 1970; None: at the time of the trigger."""

    result: EvidenceResult
    observed_ms: int | None = None


class EvidenceProvider(Protocol):
    """Answers queries of one provider id."""

    async def query(self, query: EvidenceQuery, context: EvidenceContext) -> Answered:
        """The evidence that is there now."""
        ...
