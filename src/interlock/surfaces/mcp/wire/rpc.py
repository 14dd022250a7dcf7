"""JSON-RPC of the reference's wire: one request in, one response out.

What it does: reads a request of whatever transport, lets the method answer it, and writes the response. What it does
not do: it reads no frame and no socket, and knows no tool's work (`tools`).

Rules (seed 000): a request has `"jsonrpc": "2.0"`, an id and a method; there are four methods and no handshake; a
result of a tool is one item of JSON; every error has `data` with its kind, whether it can be asked again, and the id of
the request as JSON text. Nothing that is asked ends the loop.
"""

from __future__ import annotations

import re
import sys
import traceback
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.base.canonical import parse
from interlock.base.errors import InterlockError
from interlock.gates.values import converted, plain
from interlock.surfaces.mcp.wire import faults
from interlock.surfaces.mcp.wire.documents import WireDocuments
from interlock.surfaces.mcp.wire.faults import Fault, fault_of
from interlock.surfaces.mcp.wire.framing import BODY_BYTES_MAX
from interlock.surfaces.mcp.wire.tools import WireTools

CORRELATION_ID: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")


class Request(Struct, frozen=True):
    """A request of JSON-RPC."""

    jsonrpc: str
    id: Any
    method: str
    params: Any = None


class ToolCall(Struct, frozen=True):
    """What `tools/call` is asked."""

    name: str
    arguments: Any


class Response(Struct, frozen=True):
    """The bytes of a response, and its status and when to ask again where it goes over HTTP."""

    body: bytes
    status: int
    retry_after_ms: int | None = None


class Refused(Exception):
    """A request that is answered with an error of the wire."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.message)
        self.fault = fault


def request_of(body: bytes) -> Request:
    """The request that a body is. Raises: `Refused`."""
    try:
        return converted(parse(body, bytes_max=BODY_BYTES_MAX, wide=True), Request)
    except InterlockError:
        raise Refused(faults.INVALID_REQUEST) from None


class Rpc:
    """Answers requests, one at a time or several at once."""

    def __init__(self, tools: WireTools, documents: WireDocuments) -> None:
        self._tools = tools
        self._documents = documents

    async def answer(self, body: bytes | None, correlation_id: str | None = None) -> Response:
        """The response to a request; None stands for a body that was too large to be read."""
        if correlation_id is not None and not CORRELATION_ID.fullmatch(correlation_id):
            return refusal(faults.INVALID_CORRELATION_ID)
        if body is None or len(body) > BODY_BYTES_MAX:
            return refusal(faults.BODY_TOO_LARGE)
        try:
            return await self.respond(request_of(body))
        except Refused as refused:
            return refusal(refused.fault)

    async def respond(self, request: Request) -> Response:
        """The response to a request that was read."""
        try:
            return self._encoded(request.id, await self._result(request))
        except Refused as refused:
            return refusal(refused.fault, request.id, known=True)

    def _encoded(self, request_id: Any, result: Any) -> Response:
        try:
            body = msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "result": plain(result)})
        except (TypeError, ValueError, OverflowError):
            raise Refused(faults.SERIALIZATION) from None
        return Response(body, 200)

    async def _result(self, request: Request) -> Any:
        if request.jsonrpc != "2.0":
            raise Refused(faults.INVALID_VERSION)
        match request.method:
            case "tools/list":
                return {"tools": self._tools.listed()}
            case "tools/call":
                return {"content": [{"type": "json", "json": await self._called(request.params)}]}
            case "resources/list" if self._documents.has_resources:
                return {"resources": self._documents.listed()}
            case "resources/read" if self._documents.has_resources:
                return {"contents": [self._read(request.params)]}
            case _:
                raise Refused(faults.METHOD_NOT_FOUND)

    async def _called(self, params: Any) -> Any:
        try:
            call = converted(params, ToolCall)
        except InterlockError:
            raise Refused(faults.INVALID_TOOL_PARAMS) from None
        tool = self._tools.get(call.name)
        if tool is None:
            raise Refused(faults.UNKNOWN_TOOL)
        try:
            return await self._tools.call(tool, call.arguments)
        except InterlockError as error:
            raise Refused(fault_of(error, tool.fault, contracts=tool.contracts)) from None
        except Exception as error:  # noqa: BLE001 - a fault of the program is an answer, and ends nothing
            traceback.print_exception(error, file=sys.stderr)
            raise Refused(faults.INTERNAL) from None

    def _read(self, params: Any) -> Any:
        try:
            return self._documents.read(params)
        except InterlockError as error:
            raise Refused(fault_of(error, "invalid_params")) from None


def refusal(fault: Fault, request_id: Any = None, *, known: bool = False) -> Response:
    """The response that says an error; `known` says whether the request had an id that could be read."""
    data: dict[str, Any] = {
        "kind": fault.kind,
        "retryable": fault.retryable,
        "request_id": msgspec.json.encode(request_id).decode() if known else None,
    }
    if fault.retry_after_ms is not None:
        data["retry_after_ms"] = fault.retry_after_ms
    error = {"code": fault.code, "message": fault.message, "data": data}
    content = msgspec.json.encode({"jsonrpc": "2.0", "id": request_id, "error": error})
    return Response(content, fault.status, fault.retry_after_ms)
