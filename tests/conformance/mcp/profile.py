"""The server that the scenarios of the suite expect: its tools, resources and prompts, on our transport.

What it answers is fixed by the suite; how it travels (`streamable`) is the product's.
"""

from __future__ import annotations

import asyncio
import base64
import struct
import zlib
from collections.abc import Awaitable, Callable
from typing import Any

import mcp_types as types
from mcp import MCPError
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.streamable_http import EventCallback, EventMessage, EventStore

Context = ServerRequestContext[Any, Any]
PAUSE_S = 0.05
TEXT = "This is the content of the static text resource."
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
ADDRESS = {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}
DIALECT_SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": ADDRESS},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}
DEFAULTS_SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
    "required": [],
}
OPTIONS = ["option1", "option2", "option3"]
TITLED = [{"const": f"value{n}", "title": f"{word} Option"} for n, word in enumerate(("First", "Second", "Third"), 1)]
ENUMS_SCHEMA = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": OPTIONS},
        "titledSingle": {"type": "string", "oneOf": TITLED},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"], "enumNames": ["One", "Two", "Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
        "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
    },
    "required": [],
}


class Remembered(EventStore):
    """Events in memory, so that a client can take a stream up again."""

    def __init__(self) -> None:
        self._events: list[tuple[str, types.JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: types.JSONRPCMessage | None) -> str:
        self._events.append((stream_id, message))
        return str(len(self._events))

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> str | None:
        place = int(last_event_id)
        stream = self._events[place - 1][0]
        for number, (each, message) in enumerate(self._events[place:], place + 1):
            if each == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


def _png() -> str:
    """A picture of one point."""
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"\0\xff\0\0")),
        (b"IEND", b""),
    )
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in chunks:
        content += struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
    return base64.b64encode(content).decode()


PNG = _png()
WAV = base64.b64encode(
    b"RIFF"
    + struct.pack("<I", 38)
    + b"WAVEfmt "
    + struct.pack("<IHHIIHH", 16, 1, 1, 8000, 16000, 2, 16)
    + b"data"
    + struct.pack("<I", 2)
    + b"\0\0"
).decode()


def text(words: str) -> types.TextContent:
    return types.TextContent(text=words)


def image() -> types.ImageContent:
    return types.ImageContent(data=PNG, mime_type="image/png")


def embedded(uri: str, words: str) -> types.EmbeddedResource:
    return types.EmbeddedResource(resource=types.TextResourceContents(uri=uri, mime_type="text/plain", text=words))


def answer(*content: types.ContentBlock, failed: bool = False) -> types.CallToolResult:
    return types.CallToolResult(content=list(content), is_error=failed)


async def logging(ctx: Context, _given: dict[str, Any]) -> types.CallToolResult:
    for words in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.session.send_log_message("info", words, related_request_id=ctx.request_id)
        await asyncio.sleep(PAUSE_S)
    return answer(text("logged"))


async def progress(ctx: Context, _given: dict[str, Any]) -> types.CallToolResult:
    for over in (0, 50, 100):
        await ctx.session.report_progress(over, 100)
        await asyncio.sleep(PAUSE_S)
    return answer(text("done"))


async def sampling(ctx: Context, given: dict[str, Any]) -> types.CallToolResult:
    asked = types.SamplingMessage(role="user", content=text(given["prompt"]))
    found = await ctx.session.create_message([asked], max_tokens=100, related_request_id=ctx.request_id)
    return answer(text(f"LLM response: {found.content}"))


async def elicited(ctx: Context, message: str, schema: dict[str, Any]) -> types.CallToolResult:
    found = await ctx.session.elicit_form(message, schema, related_request_id=ctx.request_id)
    return answer(text(f"Elicitation completed: action={found.action}, content={found.content}"))


async def elicitation(ctx: Context, given: dict[str, Any]) -> types.CallToolResult:
    names = {"username": {"type": "string"}, "email": {"type": "string"}}
    return await elicited(ctx, given["message"], {"type": "object", "properties": names, "required": list(names)})


async def defaults(ctx: Context, _given: dict[str, Any]) -> types.CallToolResult:
    return await elicited(ctx, "Review the defaults", DEFAULTS_SCHEMA)


async def enums(ctx: Context, _given: dict[str, Any]) -> types.CallToolResult:
    return await elicited(ctx, "Choose", ENUMS_SCHEMA)


async def reconnection(ctx: Context, _given: dict[str, Any]) -> types.CallToolResult:
    if ctx.close_sse_stream is not None:
        await ctx.close_sse_stream()
    await asyncio.sleep(PAUSE_S)
    return answer(text("taken up again"))


Tool = Callable[[Context, dict[str, Any]], Awaitable[types.CallToolResult]]


def says(*content: types.ContentBlock, failed: bool = False) -> Tool:
    async def said(_ctx: Context, _given: dict[str, Any]) -> types.CallToolResult:
        return answer(*content, failed=failed)

    return said


def needs(name: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"}}, "required": [name]}


RESOURCE = embedded("test://embedded-resource", "This is an embedded resource content.")
MIXED = embedded("test://mixed-content-resource", '{"test":"data","value":123}')
TOOLS: dict[str, tuple[dict[str, Any], Tool]] = {
    "test_simple_text": (NOTHING, says(text("This is a simple text response for testing."))),
    "test_image_content": (NOTHING, says(image())),
    "test_audio_content": (NOTHING, says(types.AudioContent(data=WAV, mime_type="audio/wav"))),
    "test_embedded_resource": (NOTHING, says(RESOURCE)),
    "test_multiple_content_types": (NOTHING, says(text("Multiple content types test:"), image(), MIXED)),
    "test_error_handling": (NOTHING, says(text("This tool intentionally returns an error for testing"), failed=True)),
    "test_tool_with_logging": (NOTHING, logging),
    "test_tool_with_progress": (NOTHING, progress),
    "test_sampling": (needs("prompt"), sampling),
    "test_elicitation": (needs("message"), elicitation),
    "test_elicitation_sep1034_defaults": (NOTHING, defaults),
    "test_elicitation_sep1330_enums": (NOTHING, enums),
    "test_reconnection": (NOTHING, reconnection),
    "json_schema_2020_12_tool": (DIALECT_SCHEMA, says(text("fine"))),
}


async def list_tools(_ctx: Context, _params: Any) -> types.ListToolsResult:
    return types.ListToolsResult(
        tools=[types.Tool(name=name, description=name, input_schema=schema) for name, (schema, _) in TOOLS.items()]
    )


async def call_tool(ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
    if params.name not in TOOLS:
        raise MCPError(types.INVALID_PARAMS, "there is no such tool")
    return await TOOLS[params.name][1](ctx, params.arguments or {})


async def list_resources(_ctx: Context, _params: Any) -> types.ListResourcesResult:
    kinds = {"static-text": "text/plain", "static-binary": "image/png", "watched-resource": "text/plain"}
    return types.ListResourcesResult(
        resources=[types.Resource(uri=f"test://{name}", name=name, mime_type=kind) for name, kind in kinds.items()]
    )


async def list_templates(_ctx: Context, _params: Any) -> types.ListResourceTemplatesResult:
    template = types.ResourceTemplate(
        uri_template="test://template/{id}/data", name="template", mime_type="application/json"
    )
    return types.ListResourceTemplatesResult(resource_templates=[template])


async def read_resource(_ctx: Context, params: types.ReadResourceRequestParams) -> types.ReadResourceResult:
    uri = str(params.uri)
    found: types.TextResourceContents | types.BlobResourceContents
    if uri == "test://static-binary":
        found = types.BlobResourceContents(uri=uri, mime_type="image/png", blob=PNG)
    elif uri.startswith("test://template/"):
        content = f'{{"id":"{uri.split("/")[3]}","templateTest":true,"data":"Data for ID: {uri.split("/")[3]}"}}'
        found = types.TextResourceContents(uri=uri, mime_type="application/json", text=content)
    else:
        found = types.TextResourceContents(uri=uri, mime_type="text/plain", text=TEXT)
    return types.ReadResourceResult(contents=[found])


async def empty(_ctx: Context, _params: Any) -> types.EmptyResult:
    return types.EmptyResult()


def _prompts(given: dict[str, str]) -> dict[str, list[types.ContentBlock]]:
    """What each prompt says for these arguments."""
    said = f"Prompt with arguments: arg1='{given.get('arg1')}', arg2='{given.get('arg2')}'"
    inside = embedded(given.get("resourceUri", "test://none"), "Embedded resource content for testing.")
    return {
        "test_simple_prompt": [text("This is a simple prompt for testing.")],
        "test_prompt_with_arguments": [text(said)],
        "test_prompt_with_embedded_resource": [inside, text("Please process the embedded resource above.")],
        "test_prompt_with_image": [image(), text("Please analyze the image above.")],
    }


ARGUMENTS = {
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
}


async def list_prompts(_ctx: Context, _params: Any) -> types.ListPromptsResult:
    def prompt(name: str) -> types.Prompt:
        arguments = [types.PromptArgument(name=each, required=True) for each in ARGUMENTS.get(name, ())]
        return types.Prompt(name=name, description=name, arguments=arguments)

    return types.ListPromptsResult(prompts=[prompt(name) for name in _prompts({})])


async def get_prompt(_ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
    content = _prompts(dict(params.arguments or {}))[params.name]
    return types.GetPromptResult(messages=[types.PromptMessage(role="user", content=each) for each in content])


async def complete(_ctx: Context, _params: types.CompleteRequestParams) -> types.CompleteResult:
    return types.CompleteResult(completion=types.Completion(values=["test1", "test2"], total=2, has_more=False))


def server() -> Server[Any]:
    """The server of the profile."""
    return Server(
        "profile",
        version="1",
        on_list_tools=list_tools,
        on_call_tool=call_tool,
        on_list_resources=list_resources,
        on_list_resource_templates=list_templates,
        on_read_resource=read_resource,
        on_subscribe_resource=empty,
        on_unsubscribe_resource=empty,
        on_list_prompts=list_prompts,
        on_get_prompt=get_prompt,
        on_completion=complete,
        on_set_logging_level=empty,
    )
