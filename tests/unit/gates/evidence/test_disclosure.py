"""What is shown of evidence to who asks for it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from interlock.gates.evidence.config import DisclosureSettings
from interlock.gates.evidence.disclosure import disclosed, redacted, shows_raw
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceError, EvidenceResult
from interlock.gates.values import JsonValue, hash_of

RESULT = EvidenceResult(
    value=JsonValue("the secret"),
    evidence_hash=hash_of(b"x"),
    evidence_anchor=EvidenceAnchor("env", "KEY"),
    content_type="text/plain",
)


@pytest.mark.parametrize(
    ("allow", "opt_in", "provider", "raw"),
    [
        (False, True, False, False),
        (False, True, True, False),
        (False, False, False, False),
        (False, False, True, False),
        (True, True, False, False),
        (True, True, True, True),
        (True, False, False, True),
        (True, False, True, True),
    ],
)
def test_raw_values_are_shown_where_both_allow_it(allow: bool, opt_in: bool, provider: bool, raw: bool) -> None:
    settings = DisclosureSettings(allow_raw_values=allow, require_provider_opt_in=opt_in)

    assert shows_raw(settings, provider_allows=provider) is raw


def test_by_default_nothing_is_shown() -> None:
    assert not shows_raw(DisclosureSettings(), provider_allows=True)


def test_hash_and_anchor_always_stay() -> None:
    assert redacted(RESULT, raw=True) == disclosed(RESULT, raw=True) == RESULT
    hidden = replace(RESULT, value=None, content_type=None)
    assert redacted(RESULT, raw=False) == disclosed(RESULT, raw=False) == hidden
    assert "secret" not in repr(hidden)


@pytest.mark.parametrize("raw", [True, False])
def test_an_error_is_shown_without_its_words(raw: bool) -> None:
    shown = disclosed(EvidenceResult(error=EvidenceError("x", "the secret", {"more": "of it"})), raw=raw)

    assert shown.error is not None
    assert shown.error.code == "provider_error"
    assert "secret" not in repr(shown)
    assert "more" not in repr(shown)
