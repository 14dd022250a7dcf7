"""The provider `run`: how runs of this journal stand, and what they have come to.

What it does: reads a run's phase, a step's output, or a recorded fact. What it does not do: it starts and drives no
run, and opens nothing that a run sealed.

Rules: only runs of the journal's tenant for which evidence is asked are seen; evidence is as old as the run's last
event; a step or a fact that is not there is no value.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from interlock.base.canonical import Json, canonical
from interlock.base.errors import InterlockError
from interlock.engine.errors import FACT_PAYLOAD_INVALID
from interlock.engine.io.secret_facts import FACT_IS_SECRET, SEALED
from interlock.engine.reports.reader import RunReader
from interlock.engine.run_state import RunState
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.answers import call_made, fault_of, json_value, params_of
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery
from interlock.journal.ports import Artifacts

_JSON_FACT: Final = "json"


class RunConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `run` is configured: there is nothing to configure."""


class StatusParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run."""

    run_id: str


class OutputParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which step of which run."""

    run_id: str
    step: str


class FactParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which fact of which run."""

    run_id: str
    key: str


_Params = StatusParams | OutputParams | FactParams
_PARAMS: Final[dict[str, type[_Params]]] = {"status": StatusParams, "output": OutputParams, "fact": FactParams}


class RunProvider:
    """Answers from the journal."""

    def __init__(self, reader: RunReader, artifacts: Artifacts) -> None:
        self._reader = reader
        self._artifacts = artifacts

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """As `EvidenceProvider.query`."""
        del context
        params = params_of(query, _PARAMS[query.check_id])
        try:
            state = await self._reader.state(params.run_id, tenant=tenant)
            value = await self._value(params, state, tenant)
        except InterlockError as fault:
            return Answered(EvidenceResult(error=fault_of(fault)))
        anchor = EvidenceAnchor("run", canonical({"head": state.seq, "run_id": params.run_id}).decode())
        if value is UNSET:
            return Answered(EvidenceResult(evidence_anchor=anchor), state.at_ms)
        request: Json = {"check": query.check_id, **msgspec.to_builtins(params)}
        return Answered(
            json_value(value, anchor, ref=f"interlock+run://{params.run_id}"),
            state.at_ms,
            (call_made("journal", request, canonical(value)),),
        )

    async def _value(self, params: _Params, state: RunState, tenant: str) -> Any:
        """The value that is asked for; UNSET where there is none."""
        match params:
            case OutputParams(step=step):
                raw = await self._reader.context_at(state.checkpoint).value(step)
                return UNSET if raw is None else msgspec.json.decode(raw)
            case FactParams(key=key):
                return await self._fact(state, key)
            case StatusParams(run_id=run_id):
                return (await self._reader.result(run_id, tenant=tenant)).phase

    async def _fact(self, state: RunState, key: str) -> Any:
        fact = state.facts.get(key)
        if fact is None:
            return UNSET
        if fact.kind == SEALED:
            raise FACT_IS_SECRET.error("the fact is secret")
        if fact.kind != _JSON_FACT:
            raise FACT_PAYLOAD_INVALID.error(f"the fact is of the kind {fact.kind}, and no JSON")
        [content] = await self._artifacts.get([fact.payload_id])
        return msgspec.json.decode(content)

    async def close(self) -> None:
        """Nothing is held."""
