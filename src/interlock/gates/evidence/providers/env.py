"""The provider `env`: variables of this process.

What it does: gives the value of one variable, or nothing. What it does not do: it reads no file, and lists no
variables.

Rules (seed 000): a variable that is not set is no value, and keeps its anchor; one that the lists do not allow, or that
is too large, is an error; `overrides` stand instead of the environment, and not beside it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated

from msgspec import Meta, Struct

from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.answers import call_made, params_of, refused
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery
from interlock.gates.values import JsonValue

TEXT_PLAIN = "text/plain"


class EnvConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `env` is configured."""

    allowlist: tuple[str, ...] | None = None
    denylist: tuple[str, ...] = ()
    max_value_bytes: Annotated[int, Meta(ge=0)] = 65_536
    max_key_bytes: Annotated[int, Meta(ge=0)] = 255
    overrides: dict[str, str] | None = None


class EnvParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which variable."""

    key: str


class EnvProvider:
    """Answers from the environment."""

    def __init__(self, config: EnvConfig) -> None:
        self._config = config

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """As `EvidenceProvider.query`."""
        del context, tenant
        key = params_of(query, EnvParams).key
        fault = self._fault_of_key(key)
        if fault is not None:
            return Answered(refused(fault))
        anchor = EvidenceAnchor("env", key)
        value = self._variables.get(key)
        if value is None:
            return Answered(EvidenceResult(evidence_anchor=anchor, content_type=TEXT_PLAIN))
        try:
            content = value.encode()
        except UnicodeEncodeError:
            return Answered(refused("the variable is no text", anchor))
        if len(content) > self._config.max_value_bytes:
            return Answered(refused(f"the variable has more than {self._config.max_value_bytes} bytes", anchor))
        result = EvidenceResult(value=JsonValue(value), evidence_anchor=anchor, content_type=TEXT_PLAIN)
        return Answered(result, calls=(call_made("env", {"key": key}, content),))

    async def close(self) -> None:
        """Nothing is held."""

    @property
    def _variables(self) -> Mapping[str, str]:
        return os.environ if self._config.overrides is None else self._config.overrides

    def _fault_of_key(self, key: str) -> str | None:
        config = self._config
        try:
            content = key.encode()
        except UnicodeEncodeError:
            return "the name of a variable is text"
        if not content or b"=" in content or b"\0" in content:
            return "no variable can have this name"
        if len(content) > config.max_key_bytes:
            return f"the name has more than {config.max_key_bytes} bytes"
        if key in config.denylist or (config.allowlist is not None and key not in config.allowlist):
            return "this variable may not be asked for"
        return None
