"""The official protocol of MCP by its SDK, whatever carries it, and over given pipes.

What it does: offers the tools of a catalogue, the documentation as resources, and a search in it; answers our errors as
errors of a tool, with their code and advice. What it does not do: it opens nothing (`serving`); only `http` imports
the SDK beside it, which takes seconds to load.

Rules: a tool answers with structure and with the same as text; a tool that there is not is an error of the protocol,
everything else that goes wrong is an answer; a line that is too long is passed over; a bounded number of calls run at
once, and a call that is cancelled lets go of what it drives.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from msgspec import json as msgspec_json

import interlock
from interlock.base.errors import InterlockError
from interlock.gates.values import converted
from interlock.surfaces.cli.report import error_object
from interlock.surfaces.client import Client
from interlock.surfaces.errors import COMMAND_UNKNOWN, DOCUMENT_UNKNOWN, MCP_BUSY, PROGRAM_FAULT
from interlock.surfaces.mcp.calling import Report, called
from interlock.surfaces.mcp.pipes import Drain, Source
from interlock.surfaces.mcp.schemas import rooted
from interlock.surfaces.mcp.search import Found, Library, Page, SearchInput
from interlock.surfaces.mcp.tools import Toolbox, ToolForm, encoded

LINE_BYTES_MAX: Final = 4 * 1024 * 1024
CALLS_MAX: Final = 64
"""Calls of tools that run at once in a session; one more is refused."""

URI_PREFIX: Final = "interlock://docs/"
DOCS_SEARCH: Final = "docs_search"
_MARKDOWN: Final = "text/markdown"
_INSTRUCTIONS: Final = (
    "Runs of plans that must not go wrong: every step is durable, and `run_why` says what a run waits for. "
    "Errors have a stable code and say what to do next. Look things up with `docs_search`."
)
Context = ServerRequestContext[Any, Any]
"""What the SDK tells of a request beside its parameters."""


class Answers(Protocol):
    """What answers the methods of the protocol."""

    async def list_tools(self, ctx: Context, params: types.PaginatedRequestParams | None, /) -> types.ListToolsResult:
        """`tools/list`."""
        ...

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams, /) -> types.CallToolResult:
        """`tools/call`."""
        ...

    async def list_resources(
        self, ctx: Context, params: types.PaginatedRequestParams | None, /
    ) -> types.ListResourcesResult:
        """`resources/list`."""
        ...

    async def read_resource(self, ctx: Context, params: types.ReadResourceRequestParams, /) -> types.ReadResourceResult:
        """`resources/read`."""
        ...


def server_of(answers: Answers, input_schema: Callable[[str], Mapping[str, Any] | None] | None = None) -> Server[Any]:
    """The server of the SDK that answers by this; `input_schema` saves it a list of tools at each call over HTTP."""
    return Server(
        "interlock",
        version=interlock.__version__,
        instructions=_INSTRUCTIONS,
        get_tool_input_schema=input_schema,
        on_list_tools=answers.list_tools,
        on_call_tool=answers.call_tool,
        on_list_resources=answers.list_resources,
        on_read_resource=answers.read_resource,
    )


class Calls:
    """The calls of one session or principal that are running."""

    def __init__(self) -> None:
        self._running = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more call. Raises: `mcp_busy`."""
        if self._running == CALLS_MAX:
            raise MCP_BUSY.error(f"{CALLS_MAX} calls are running")
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1


class Front:
    """What the protocol asks, answered for one principal."""

    def __init__(self, client: Client, toolbox: Toolbox, library: Library, calls: Calls | None = None) -> None:
        self._client = client
        self._toolbox = toolbox
        self._library = library
        self._calls = calls or Calls()

    def server(self) -> Server[Any]:
        """The server of the SDK that answers by this."""
        return server_of(self)

    async def list_tools(self, _ctx: Context, _params: types.PaginatedRequestParams | None) -> types.ListToolsResult:
        """`tools/list`."""
        tools = [_tool(form) for form in self._toolbox.offered()]
        if self._library.pages:
            tools.append(_tool(SEARCH_FORM))
        return types.ListToolsResult(tools=tools)

    async def call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        """`tools/call`."""
        try:
            with self._calls.one():
                text, value = await self._answer(params.name, params.arguments or {}, _report_of(ctx))
        except InterlockError as fault:
            if fault.kind is COMMAND_UNKNOWN:
                raise MCPError(types.INVALID_PARAMS, fault.message) from None
            return _failed(fault)
        except Exception as fault:  # noqa: BLE001 - a fault of the program is an answer, and ends nothing
            traceback.print_exception(fault, file=sys.stderr)
            return _failed(PROGRAM_FAULT.error(f"unexpected {type(fault).__name__}"))
        return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=value)

    async def _answer(self, name: str, arguments: Mapping[str, Any], report: Report | None) -> tuple[str, Any]:
        if name == DOCS_SEARCH and self._library.pages:
            asked = converted(dict(arguments), SearchInput)
            return encoded(self._library.search(asked.query, asked.max_sections))
        return encoded(await called(self._client, self._toolbox.command(name), arguments, report))

    async def list_resources(
        self, _ctx: Context, _params: types.PaginatedRequestParams | None
    ) -> types.ListResourcesResult:
        """`resources/list`."""
        return types.ListResourcesResult(resources=[_resource(page) for page in self._library.pages])

    async def read_resource(self, _ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
        """`resources/read`."""
        page = next((each for each in self._library.pages if _uri(each) == str(params.uri)), None)
        if page is None:
            fault = DOCUMENT_UNKNOWN.error("there is no such resource")
            raise MCPError(types.INVALID_PARAMS, fault.message, {"uri": str(params.uri)})
        contents = types.TextResourceContents(uri=_uri(page), mime_type=_MARKDOWN, text=page.text)
        return types.ReadResourceResult(contents=[contents])


SEARCH_FORM: Final = ToolForm(
    name=DOCS_SEARCH,
    description="Search the documentation for the sections that answer a question. It only reads.",
    input_schema=rooted(msgspec_json.schema(SearchInput)),
    output_schema=rooted(msgspec_json.schema(Found)),
    reads=True,
    idempotent=True,
)


async def serve_lines(front: Front, source: Source, drain: Drain) -> None:
    """Answer every message until there is none. Raises: `BrokenPipeError` where nobody reads any more."""
    server = front.server()
    given, answered = cast("Any", lines_of(source)), cast("Any", _Written(drain))
    try:
        async with stdio_server(given, answered) as (reading, writing):
            await server.run(reading, writing, server.create_initialization_options())
    except BaseExceptionGroup as faults:
        if faults.split(OSError)[1] is not None:
            raise
        raise BrokenPipeError("nobody reads the answers any more") from None


async def lines_of(source: Source) -> AsyncIterator[str]:
    """The lines of a source; one that is too long comes as an empty one, which is no message."""
    kept, passing = bytearray(), False
    while chunk := await source.read():
        kept += chunk
        while (end := kept.find(b"\n")) >= 0:
            line, passed = bytes(kept[: end + 1]), passing
            del kept[: end + 1]
            passing = False
            yield "" if passed or len(line) > LINE_BYTES_MAX else line.decode("utf-8", "replace")
        if len(kept) > LINE_BYTES_MAX:
            kept.clear()
            passing = True


class _Written:
    """The text side of a drain, as the SDK writes it."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain

    async def write(self, text: str) -> None:
        """Write a message."""
        await self._drain.write(text.encode())

    async def flush(self) -> None:
        """What was written has gone already."""


def _tool(form: ToolForm) -> types.Tool:
    hints = types.ToolAnnotations(
        read_only_hint=form.reads,
        destructive_hint=False if form.reads else None,
        idempotent_hint=form.idempotent,
        open_world_hint=not form.reads,
    )
    return types.Tool(
        name=form.name,
        description=form.description,
        input_schema=form.input_schema,
        output_schema=form.output_schema,
        annotations=hints,
    )


def _failed(fault: InterlockError) -> types.CallToolResult:
    value = {"error": error_object(fault)}
    text = msgspec_json.encode(value).decode()
    return types.CallToolResult(content=[types.TextContent(text=text)], structured_content=value, is_error=True)


def _report_of(ctx: Context) -> Report | None:
    """How progress is reported to whoever asked for it; None where nobody did."""
    if not ctx.meta or "progress_token" not in ctx.meta:
        return None

    async def report(over: int, steps: int, words: str) -> None:
        await ctx.session.report_progress(over, steps, words)

    return report


def _resource(page: Page) -> types.Resource:
    return types.Resource(
        uri=_uri(page), name=page.id, title=page.title, description=page.description, mime_type=_MARKDOWN
    )


def _uri(page: Page) -> str:
    return f"{URI_PREFIX}{'custom/' if page.custom else ''}{page.id}"
