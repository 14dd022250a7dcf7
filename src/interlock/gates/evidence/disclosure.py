"""What is shown of evidence to who asks for it.

What it does: takes raw values and the words of errors out of evidence. What it does not do: it decides nothing on it.

Rules (seed 000): raw values are shown only where the configuration allows it and, unless it asks for no opt-in, the
provider's own does; hash and anchor always stay; an error is shown as `provider_error` alone.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from interlock.gates.evidence.config import DisclosureSettings
from interlock.gates.evidence.records import EvidenceError, EvidenceResult
from interlock.gates.evidence.trust import PROVIDER_ERROR

MASKED: Final = EvidenceError(PROVIDER_ERROR, "the evidence cannot be given")


def shows_raw(settings: DisclosureSettings, *, provider_allows: bool) -> bool:
    """Whether the raw values of a provider are shown."""
    return settings.allow_raw_values and (provider_allows or not settings.require_provider_opt_in)


def redacted(result: EvidenceResult, *, raw: bool) -> EvidenceResult:
    """Evidence without its value and its content type, unless raw values are shown."""
    return result if raw else replace(result, value=None, content_type=None)


def disclosed(result: EvidenceResult, *, raw: bool) -> EvidenceResult:
    """Evidence as a query for it is answered: redacted, its error without words."""
    shown = redacted(result, raw=raw)
    return shown if shown.error is None else replace(shown, error=MASKED)
