"""The provider `http`: what a web server answers to a GET.

What it does: gives the status of an answer, or the digest of its body, through the engine's transport. What it does not
do: it opens no connection itself, follows no redirect and repeats nothing.

Rules (seed 000): user and password in an address, hosts that are not listed, addresses off the public internet and
plain HTTP are refused unless configured; time and size of an answer are bounded; for the status, no body is read.
"""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from interlock.base.canonical import Json, canonical, digest
from interlock.base.errors import InterlockError
from interlock.engine.io.transports.addresses import Resolver, system_resolver
from interlock.engine.io.transports.http import HttpSettings, HttpTransport
from interlock.engine.io.transports.http_errors import HTTP_REQUEST_INVALID
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import local_secret
from interlock.gates.evidence.port import Answered
from interlock.gates.evidence.providers.answers import call_made, fault_of, json_value, params_of
from interlock.gates.evidence.records import EvidenceAnchor, EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery

_EVERY_STATUS: Final = tuple(range(200, 600))


class HttpConfig(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How `http` is configured."""

    allow_http: bool = False
    timeout_ms: Annotated[int, Meta(ge=1, le=3_600_000)] = 5_000
    max_response_bytes: Annotated[int, Meta(ge=0, le=16 * 1024 * 1024)] = 1_048_576
    allowed_hosts: tuple[str, ...] | None = None
    allow_private_networks: bool = False
    user_agent: Annotated[str, Meta(min_length=1, max_length=256)] = "decision-gate/0.1"
    hash_algorithm: Literal["sha256"] = "sha256"


class HttpParams(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which address."""

    url: str


class HttpProvider:
    """Answers from web servers; `resolve` stands for the name server of the system."""

    def __init__(self, config: HttpConfig, *, resolve: Resolver = system_resolver) -> None:
        self._config = config
        settings = HttpSettings(
            allow_private_networks=config.allow_private_networks,
            allow_plain=config.allow_http,
            allowed_hosts=config.allowed_hosts,
            methods=("GET",),
            response_bytes_max=config.max_response_bytes,
        )
        self._transport = HttpTransport(settings, local_secret, resolve=resolve)

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """As `EvidenceProvider.query`."""
        del tenant
        url = params_of(query, HttpParams).url
        reads_body = query.check_id == "body_hash"
        request: dict[str, Json] = {
            "kind": "http_request_v1",
            "url": url,
            "headers": {"user-agent": self._config.user_agent},
            "timeout_ms": self._config.timeout_ms,
            "response": "bytes" if reads_body else "unread",
            "ok_statuses": () if reads_body else _EVERY_STATUS,
        }
        anchor = EvidenceAnchor("url", url)
        try:
            answer: Any = await self._transport.call(
                request, TransportContext(context.run_id, "gates.evidence.http", 0)
            )
        except InterlockError as fault:
            if fault.kind is HTTP_REQUEST_INVALID:  # the address may hold a password
                return Answered(EvidenceResult(error=fault_of(fault)))
            return Answered(EvidenceResult(error=fault_of(fault), evidence_anchor=anchor))
        value = self._hash_of(answer) if reads_body else answer["status"]
        return Answered(json_value(value, anchor, ref=url), calls=(call_made("http", request, canonical(answer)),))

    def _hash_of(self, answer: Any) -> Json:
        body = base64.b64decode(answer["body_base64"] or "")
        return {"algorithm": self._config.hash_algorithm, "value": digest(body)}

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()
