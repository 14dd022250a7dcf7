"""The part of the surfaces: verbs about the machine itself, and the error codes of this package.

What it does: declares `canonical` and `completion`, which need no store, and `mcp`, which serves one. What it does not
do: it reads no standard input; the command line hands over what was read, and `mcp` has a package of its own.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from interlock.base.canonical import digest
from interlock.base.part import CallContext, Command, Effect, Part, SettingsSection, Way
from interlock.surfaces.application import Application
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.errors import ERRORS, USAGE_INVALID
from interlock.surfaces.http import errors as http_errors
from interlock.surfaces.http.settings import ServerSettings
from interlock.surfaces.receipts import decide, events
from interlock.surfaces.sse.settings import EventStreamSettings


class CanonicalInput(Struct, frozen=True):
    """A JSON document, and what is wanted of it."""

    value: Annotated[Raw, Meta(description="The JSON document.")]
    digest: Annotated[bool, Meta(description="Give the SHA-256 of the canonical bytes instead of the bytes.")] = False


class CanonicalOutput(Struct, frozen=True, omit_defaults=True):
    """The canonical text, or its SHA-256 in lower-case hexadecimal."""

    canonical: str | None = None
    digest: str | None = None


async def _canonical(_ctx: CallContext, given: CanonicalInput) -> CanonicalOutput:
    content = bytes(given.value)  # the client hands free JSON over in canonical form
    if given.digest:
        return CanonicalOutput(digest=digest(content))
    return CanonicalOutput(canonical=content.decode())


class CompletionInput(Struct, frozen=True):
    """Whose completion is wanted."""

    shell: Annotated[Literal["bash", "zsh", "fish"], Meta(description="The shell that will read the script.")]


class CompletionOutput(Struct, frozen=True):
    """A script that teaches the shell every noun, verb and option."""

    script: str


async def _completion(ctx: CallContext, given: CompletionInput) -> CompletionOutput:
    from interlock.surfaces.cli.completion import script

    return CompletionOutput(script=script(ctx.services.get(Catalogue), given.shell))


class McpInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which store to serve, by which protocol, and what may be called."""

    store: Annotated[str, Meta(description="The store's path or URL.")]
    config: Annotated[str | None, Meta(description="The settings file.")] = None
    wire: Annotated[
        Literal["decision-gate"] | None, Meta(description="Speak another wire than MCP's own, with all of its tools.")
    ] = None
    allow: Annotated[
        Literal["reads", "changes", "starts"] | None,
        Meta(description="Tools that may be called; each takes those before it. Default: reads."),
    ] = None


class McpEnded(Struct, frozen=True):
    """A session that has ended; there is nothing to say of it."""


async def _mcp(ctx: CallContext, given: McpInput) -> McpEnded:
    from interlock.surfaces.mcp.serving import serve

    if given.wire is not None and given.allow is not None:
        raise USAGE_INVALID.error("--allow bounds no other wire: leave it out, or leave --wire out")
    await serve(
        ctx.services.get(Application),
        ctx.principal,
        store=given.store,
        config=given.config,
        wire=given.wire is not None,
        allowed=given.allow or "reads",
    )
    return McpEnded()


PART = Part(
    name="surfaces",
    events=events.EVENTS,
    deciders=(decide.DECIDER,),
    forms=events.FORMS,
    commands=(
        Command(
            noun="",
            verb="canonical",
            input=CanonicalInput,
            output=CanonicalOutput,
            handler=_canonical,
            summary="Write a JSON document in the one form of RFC 8785, or its digest.",
            example="""echo '{"b": 1, "a": 2}' | interlock canonical --digest""",
            permission="machine",
            effect=Effect.READS,
            machine=True,
            positional=("value",),
        ),
        Command(
            noun="",
            verb="completion",
            input=CompletionInput,
            output=CompletionOutput,
            handler=_completion,
            summary="Print a completion script for a shell.",
            example="interlock completion bash > ~/.local/share/bash-completion/completions/interlock",
            permission="machine",
            effect=Effect.READS,
            machine=True,
            positional=("shell",),
        ),
        Command(
            noun="",
            verb="mcp",
            input=McpInput,
            output=McpEnded,
            handler=_mcp,
            summary="Serve a store to an agent by MCP, over standard input and output.",
            example="interlock mcp --allow changes",
            permission="machine",
            effect=Effect.STARTS,
            machine=True,
        ),
    ),
    ways=(
        Way("events.receive", "event.receive", Effect.CHANGES),
        Way("events.stream", "event.stream", Effect.READS),
        Way("artifacts.attach", "run.attach", Effect.CHANGES),
        Way("artifacts.content", "run.read", Effect.READS),
        Way("packs.download", "run.read", Effect.READS),
        Way("packs.verify", "pack.verify", Effect.READS),
        Way("debug.mutation_stats", "debug.read", Effect.READS),
    ),
    settings=(SettingsSection("server", ServerSettings), SettingsSection("event_stream", EventStreamSettings)),
    errors=(*ERRORS, *http_errors.ERRORS),
)
