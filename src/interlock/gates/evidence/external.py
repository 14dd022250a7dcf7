"""External providers: programs and servers that answer queries.

What it does: asks by the reference's protocol, JSON-RPC 2.0 in frames over a program's input and output or by HTTP
POST, or by MCP through the official SDK; reads the answer as evidence. What it does not do: it opens no connection and
starts no process itself (`engine.io.transports`), lists no tools and repeats nothing.

Rules (seed 000): the tool is `evidence_query`, its arguments are query and context; the id of a request is the
correlation id, or counts; a correlation id that is none is refused before anything is sent; an answer that is not
whole, not of this request, an error or a text is a failure of the provider. Time and sizes are bounded.
"""

from __future__ import annotations

import asyncio
import base64
import re
from itertools import count
from typing import Any, Final, Protocol

import msgspec
from msgspec import Struct

from interlock.base.canonical import Json, digest, encode_checked, parse
from interlock.base.errors import InterlockError
from interlock.engine.io.surface import digest_of_request
from interlock.engine.io.transports.framed import BODY_BYTES_MAX, FramedProgram
from interlock.engine.io.transports.http import HttpSettings, HttpTransport
from interlock.engine.io.transports.mcp_client import McpCaller
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import local_secret
from interlock.gates.errors import CORRELATION_ID_INVALID, PROVIDER_ANSWER_INVALID, PROVIDER_TIMEOUT
from interlock.gates.evidence.config import ProviderSettings
from interlock.gates.evidence.port import Answered, CallMade
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.spec import EvidenceQuery
from interlock.gates.values import converted, plain, read, wire

TOOL: Final = "evidence_query"
_CORRELATION: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_encode: Final = msgspec.json.Encoder().encode
_CONTEXT_STATE: Final = "gates.evidence.provider"


class Channel(Protocol):
    """A way to one provider."""

    async def ask(self, arguments: dict[str, Json], context: EvidenceContext) -> Json:
        """The evidence that it answers, as JSON. Raises: `InterlockError`."""
        ...

    async def close(self) -> None:
        """Let go of it."""
        ...


class ExternalProvider:
    """A provider behind a channel; each query has a deadline."""

    def __init__(self, name: str, channel: Channel, timeout_ms: int) -> None:
        self._name = name
        self._channel = channel
        self._timeout_ms = timeout_ms

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> Answered:
        """As `EvidenceProvider.query`. Raises: what asking raises; it becomes `provider_error`."""
        del tenant
        if context.correlation_id is not None and _CORRELATION.fullmatch(context.correlation_id) is None:
            raise CORRELATION_ID_INVALID.error("the correlation id is none")
        arguments = {"query": plain(query), "context": plain(context)}
        try:
            async with asyncio.timeout(self._timeout_ms / 1000):
                answer = await self._channel.ask(arguments, context)
        except TimeoutError:
            raise PROVIDER_TIMEOUT.error(f"the provider did not answer within {self._timeout_ms} ms") from None
        result = _evidence(answer)
        namespace = f"gates.provider.{self._name}"
        made = CallMade(namespace, digest_of_request(namespace, wire(arguments)), digest(wire(answer)))
        return Answered(result, calls=(made,))

    async def close(self) -> None:
        """Let go of the channel."""
        await self._channel.close()


def _evidence(answer: Json) -> EvidenceResult:
    try:
        return converted(answer, EvidenceResult)
    except InterlockError:
        raise PROVIDER_ANSWER_INVALID.error("the provider's answer is no evidence") from None


class _Item(Struct, frozen=True, tag="json", tag_field="type"):
    """The one item that counts."""

    json: Any


class _Content(Struct, frozen=True):
    content: list[Any]


class _Reply(Struct, frozen=True):
    """A response of JSON-RPC."""

    jsonrpc: str
    id: str | int | None
    result: Any = None
    error: Any = None


class _Requests:
    """Writes requests of the reference's protocol and reads their responses."""

    def __init__(self) -> None:
        self._numbers = count(1)

    def request(self, arguments: dict[str, Json], correlation_id: str | None) -> tuple[str | int, bytes]:
        """The id of a new request, and its bytes."""
        request_id = next(self._numbers) if correlation_id is None else correlation_id
        params = {"name": TOOL, "arguments": arguments}
        message = {"jsonrpc": "2.0", "id": request_id, "method": "tools/call", "params": params}
        # Canonical bytes would spell a number beyond 2^53 as its double.
        return request_id, encode_checked(_encode, message)

    def evidence(self, request_id: str | int, response: bytes) -> Json:
        """The evidence in a response. Raises: `provider_answer_invalid`."""
        try:
            reply = read(response, _Reply, bytes_max=BODY_BYTES_MAX)
            if reply.error is not None:
                raise PROVIDER_ANSWER_INVALID.error("the provider answered with an error")
            if reply.jsonrpc != "2.0" or reply.id != request_id:
                raise PROVIDER_ANSWER_INVALID.error("the answer is to another request")
            content = converted(reply.result, _Content).content
            if not content:
                raise PROVIDER_ANSWER_INVALID.error("the provider's answer is empty")
            return converted(content[0], _Item).json  # type: ignore[no-any-return]  # JSON that was read
        except InterlockError as fault:
            if fault.kind is PROVIDER_ANSWER_INVALID:
                raise
            raise PROVIDER_ANSWER_INVALID.error(
                f"the provider's answer is not by its protocol ({fault.code})"
            ) from None


class FramedChannel:
    """The reference's protocol over a program's input and output."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._program = FramedProgram(command)
        self._requests = _Requests()

    async def ask(self, arguments: dict[str, Json], context: EvidenceContext) -> Json:
        """As `Channel.ask`."""
        request_id, message = self._requests.request(arguments, context.correlation_id)
        return self._requests.evidence(request_id, await self._program.exchange(message))

    async def close(self) -> None:
        """End the program."""
        await self._program.close()


class PostChannel:
    """The reference's protocol by HTTP POST."""

    def __init__(self, settings: ProviderSettings) -> None:
        self._url = settings.url
        self._timeout_ms = settings.timeouts.request_timeout_ms
        self._token = None if settings.auth is None else settings.auth.bearer_token
        self._requests = _Requests()
        self._transport = HttpTransport(
            HttpSettings(
                allow_private_networks=True,  # the configuration names the address, and no plan does
                allow_plain=settings.allow_insecure_http,
                methods=("POST",),
                connect_timeout_ms=settings.timeouts.connect_timeout_ms,
                request_bytes_max=2 * BODY_BYTES_MAX,
                response_bytes_max=BODY_BYTES_MAX,
            ),
            local_secret,
        )

    async def ask(self, arguments: dict[str, Json], context: EvidenceContext) -> Json:
        """As `Channel.ask`."""
        request_id, message = self._requests.request(arguments, context.correlation_id)
        headers: dict[str, Json] = {"content-type": "application/json"}
        if context.correlation_id is not None:
            headers["x-correlation-id"] = context.correlation_id
        if self._token is not None:
            headers["authorization"] = {"secret": f"{self._token.scheme}:{self._token.name}", "prefix": "Bearer "}
        request: Json = {
            "kind": "http_request_v1",
            "url": self._url,
            "method": "POST",
            "headers": headers,
            "body": message.decode(),
            "timeout_ms": self._timeout_ms,
            "response": "bytes",
        }
        # The configuration is of this machine's user, who may name secrets.
        answer: Any = await self._transport.call(
            request, TransportContext(context.run_id, _CONTEXT_STATE, 0, local_plan=True)
        )
        return self._requests.evidence(request_id, base64.b64decode(answer["body_base64"] or ""))

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()


class McpChannel:
    """MCP: the evidence is the structured content of the tool's result, or its first text."""

    def __init__(self, caller: McpCaller) -> None:
        self._caller = caller

    async def ask(self, arguments: dict[str, Json], context: EvidenceContext) -> Json:
        """As `Channel.ask`."""
        del context  # its correlation id stands among the arguments
        answer = await self._caller.call(TOOL, arguments)
        if answer.structured is not None:
            found: Json = answer.structured
            return found
        if answer.text is None:
            raise PROVIDER_ANSWER_INVALID.error("the provider's answer has neither structure nor text")
        try:
            return parse(answer.text, bytes_max=BODY_BYTES_MAX, wide=True)
        except InterlockError:
            raise PROVIDER_ANSWER_INVALID.error("the provider's answer is no JSON") from None

    async def close(self) -> None:
        """Close the session."""
        await self._caller.close()
