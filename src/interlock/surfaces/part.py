"""The part of the surfaces: verbs about the machine itself that need no store.

What it does: declares `canonical` and `completion`, and the error codes of this package. What it does not do:
it opens no store and reads no standard input; the command line hands over what was read.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Raw, Struct

from interlock.base.canonical import digest
from interlock.base.part import CallContext, Command, Effect, Part
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.errors import ERRORS


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


PART = Part(
    name="surfaces",
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
    ),
    errors=ERRORS,
)
