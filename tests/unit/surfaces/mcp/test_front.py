"""The front without a process: what a session of the product does not meet."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mcp import Client, MCPError
from msgspec import Struct

from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import local_principal
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.client import Client as OurClient
from interlock.surfaces.mcp import front as module
from interlock.surfaces.mcp.front import LINE_BYTES_MAX, Front, lines_of, serve_lines
from interlock.surfaces.mcp.search import Library, Page
from interlock.surfaces.mcp.tools import Toolbox, within

PAGE = Page("guide", "Guide", "pattern", "# Guide", "A guide.", custom=True)


class Nothing(Struct, frozen=True):
    """Nothing."""


async def broken(_ctx: CallContext, _given: Nothing) -> Nothing:
    raise RuntimeError("the secret")


BREAK = Command("thing", "break", Nothing, Nothing, broken, "Break.", "interlock thing break", "p", Effect.READS)


def front(*pages: Page) -> Front:
    client = OurClient(Catalogue([BREAK]), local_principal("ada"), None)  # type: ignore[arg-type]
    return Front(client, Toolbox([BREAK], within("reads")), Library(pages))


def test_a_fault_of_the_program_is_an_answer_without_its_words(capsys: pytest.CaptureFixture[str]) -> None:
    async def talk() -> Any:
        async with Client(front().server()) as client:
            return await client.call_tool("thing_break", {})

    answer = asyncio.run(talk())
    assert (answer.is_error, answer.structured_content["error"]["code"]) == (True, "program_fault")
    assert "the secret" not in answer.content[0].text
    assert "RuntimeError: the secret" in capsys.readouterr().err


def test_where_there_is_no_documentation_there_is_no_search_in_it() -> None:
    async def talk(shown: Front) -> tuple[list[str], list[str]]:
        async with Client(shown.server()) as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            resources = [each.uri for each in (await client.list_resources()).resources]
            if not resources:
                with pytest.raises(MCPError):
                    await client.call_tool("docs_search", {"query": "x"})
            return tools, resources

    assert asyncio.run(talk(front())) == (["thing_break"], [])
    uri = "interlock://docs/custom/guide"
    assert asyncio.run(talk(front(PAGE))) == (["thing_break", "docs_search"], [uri])


def test_a_call_too_many_is_refused_until_another_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALLS_MAX", 2)
    going_on = asyncio.Event()

    async def waiting(_ctx: CallContext, _given: Nothing) -> Nothing:
        await going_on.wait()
        return Nothing()

    wait = Command("thing", "wait", Nothing, Nothing, waiting, "Wait.", "interlock thing wait", "p", Effect.READS)
    client = OurClient(Catalogue([wait]), local_principal("ada"), None)  # type: ignore[arg-type]

    async def talk() -> list[Any]:
        async with Client(Front(client, Toolbox([wait], within("reads")), Library([])).server()) as session:
            calls = [asyncio.ensure_future(session.call_tool("thing_wait", {})) for _ in range(3)]
            [refused], _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
            going_on.set()
            await asyncio.wait(calls)
            return [refused.result(), await session.call_tool("thing_wait", {})]

    refused, answered = asyncio.run(talk())
    assert (refused.is_error, refused.structured_content["error"]["code"]) == (True, "mcp_busy")
    assert not answered.is_error


class Given:
    """A source of these chunks."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = list(chunks)

    async def read(self) -> bytes:
        return self._chunks.pop(0) if self._chunks else b""


@pytest.mark.parametrize(
    ("chunks", "found"),
    [
        ([], []),
        ([b"a\nb", b"c\n", b"d"], ["a\n", "bc\n"]),
        ([b"\xff\n"], ["\ufffd\n"]),
        ([b"x" * LINE_BYTES_MAX, b"x", b"x\n", b"a\n"], ["", "a\n"]),
        ([b"x" * (LINE_BYTES_MAX + 1) + b"\n", b"a\n"], ["", "a\n"]),
        ([b"x" * (LINE_BYTES_MAX - 1) + b"\n"], ["x" * (LINE_BYTES_MAX - 1) + "\n"]),
    ],
)
def test_lines_are_read_of_any_chunks_and_one_that_is_too_long_is_empty(chunks: list[bytes], found: list[str]) -> None:
    async def read() -> list[str]:
        return [line async for line in lines_of(Given(*chunks))]

    assert asyncio.run(read()) == found


@pytest.mark.parametrize(("fault", "raised"), [(OSError(), BrokenPipeError), (RuntimeError(), ExceptionGroup)])
def test_a_session_ends_with_what_its_output_fails_with(fault: Exception, raised: type[Exception]) -> None:
    class Failing:
        async def write(self, _content: bytes) -> None:
            raise fault

    asked = b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n'

    async def serve() -> None:
        await serve_lines(front(), Given(asked, asked), Failing())

    with pytest.raises(raised):
        asyncio.run(serve())
