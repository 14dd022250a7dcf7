"""The provider `exec`: what a program prints, and how it ends.

What it does: runs a program through the engine's transport and gives its JSON output, or its exit code. What it does
not do: it gives no shell, and judges no output.

Rules: only programs under the configured paths run, whoever asks; none are configured unless somebody did; a program
gets no environment of this process; time and output are bounded.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.base.canonical import Json, canonical
from interlock.base.errors import InterlockError
from interlock.engine.io.transports.exec import ExecSettings, ExecTransport
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import local_secret
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.answers import call_made, fault_of, json_value, params_of
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery

_EVERY_CODE: Final = tuple(range(256))


class ExecConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `exec` is configured."""

    allowed_paths: tuple[Annotated[str, Meta(pattern=r"\A/")], ...] = ()
    timeout_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 10_000
    max_output_bytes: Annotated[int, Meta(ge=0, le=16 * 1024 * 1024)] = 1_048_576


class ExecParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which program, its arguments, and what it reads."""

    program: Annotated[str, Meta(min_length=1, max_length=4096)]
    args: Annotated[tuple[str, ...], Meta(max_length=10_000)] = ()
    input: Any | UnsetType = UNSET


class ExecProvider:
    """Answers from programs."""

    def __init__(self, config: ExecConfig) -> None:
        self._config = config
        settings = ExecSettings(allowed_paths=config.allowed_paths, stream_bytes_max=config.max_output_bytes)
        self._transport = ExecTransport(settings, local_secret)

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """As `EvidenceProvider.query`."""
        del tenant
        params = params_of(query, ExecParams)
        reads_output = query.check_id == "output"
        request: dict[str, Json] = {
            "kind": "run_program_v1",
            "program_path": params.program,
            "argv": params.args,
            "timeout_ms": self._config.timeout_ms,
            "stdout": "json" if reads_output else "none",
            "ok_codes": (0,) if reads_output else _EVERY_CODE,
        }
        if params.input is not UNSET:
            request["stdin_json"] = params.input
        try:
            answer: Any = await self._transport.call(
                request, TransportContext(context.run_id, "gates.evidence.exec", 0)
            )
        except InterlockError as fault:
            return Answered(EvidenceResult(error=fault_of(fault), evidence_anchor=_anchor(params.program)))
        value = answer["json"] if reads_output else answer["exit_code"]
        return Answered(
            json_value(value, _anchor(answer["program"])), calls=(call_made("exec", request, canonical(answer)),)
        )

    async def close(self) -> None:
        """End the warden of the programs."""
        await self._transport.close()


def _anchor(path: str) -> EvidenceAnchor:
    return EvidenceAnchor("program", canonical({"path": path}).decode())
