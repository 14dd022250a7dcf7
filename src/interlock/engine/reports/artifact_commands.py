"""The verbs about what runs stored: `run artifacts` lists it, `artifact show` gives the bytes of one.

What it does: gives every surface these commands. What it does not do: it makes nothing safe for a terminal (surfaces
do), and unseals nothing.

Rule: an id names content, whoever stored it, so that only the user of this machine may show it (docs/threats.md, T36);
a file that is there is never replaced.
"""

from __future__ import annotations

import asyncio
import base64
import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from interlock.base import ids
from interlock.base.bounds import INTEGER_MAX, JSON_BYTES_MAX, PAGE_ITEMS_MAX
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import shown
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.engine import events as e
from interlock.engine.commands import RunArgument
from interlock.engine.reports.artifacts import ERRORS as OF_ARTIFACTS
from interlock.engine.reports.artifacts import ArtifactPage, artifact_named, artifacts_of, check_named
from interlock.journal.journal import Journal
from interlock.journal.streams import stream_id

ARTIFACT_REFUSED = ErrorCode(
    "artifact_refused",
    Category.REFUSED,
    "Show it where the store is, or ask a server with the run that stored it: `interlock artifact show ID --run RUN`.",
)
ARTIFACT_UNSHOWABLE = ErrorCode(
    "artifact_unshowable", Category.INVALID, "Write it to a file: `interlock artifact show ID --out FILE`."
)
ARTIFACT_OUT_UNWRITABLE = ErrorCode(
    "artifact_out_unwritable", Category.INVALID, "Name a new file, in a folder that can be written."
)
ARTIFACT_RUN_NEEDED = ErrorCode(
    "artifact_run_needed", Category.INVALID, "Give the run that stored it: `interlock artifact show ID --run RUN`."
)
ERRORS = (*OF_ARTIFACTS, ARTIFACT_REFUSED, ARTIFACT_UNSHOWABLE, ARTIFACT_OUT_UNWRITABLE, ARTIFACT_RUN_NEEDED)


class ArtifactsInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which run, and where in its history to begin."""

    run: RunArgument
    after: Annotated[int, Meta(ge=0, description="What was stored after this event.")] = 0
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Artifacts in a page.")] = 50


class ShowInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which artifact, and where to."""

    id: Annotated[
        str,
        Meta(pattern=r"\A[0-9a-f]{8,64}\Z", description="The id, or at least 8 of its first hexadecimal digits."),
    ]
    out: Annotated[
        Annotated[str, Meta(min_length=1, max_length=4096)] | None,
        Meta(description="A new file for the bytes; without it they are the answer."),
    ] = None
    run: Annotated[
        str | None, Meta(description="Only as something that this run stored; a server has to be told the run.")
    ] = None
    seq: Annotated[
        Annotated[int, Meta(ge=1, le=INTEGER_MAX)] | None,
        Meta(description="The event of the run that names it, where the history is long."),
    ] = None


class ArtifactContent(Struct, frozen=True):
    """An artifact: its text, or base64 of what is none; neither where it was written to the file `out`."""

    id: str
    bytes: int
    text: str | None = None
    base64: str | None = None
    out: str | None = None


async def _artifacts(ctx: CallContext, given: ArtifactsInput) -> ArtifactPage:
    stream = stream_id(ctx.principal.tenant, e.RUN, ids.run_id(given.run))
    return await artifacts_of(ctx.services.get(Journal), stream, given.after, given.limit)


async def _show(ctx: CallContext, given: ShowInput) -> ArtifactContent:
    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise ARTIFACT_REFUSED.error("only the user of this machine may show an artifact by its id")
    if given.run is None and given.seq is not None:
        raise ARTIFACT_RUN_NEEDED.error("an event is one of a run")
    journal = ctx.services.get(Journal)
    artifact_id, content = await artifact_named(journal.store.artifacts, given.id)
    if given.run is not None:
        stream = stream_id(ctx.principal.tenant, e.RUN, ids.run_id(given.run))
        await check_named(journal, stream, artifact_id, given.seq)
    if given.out is not None:
        await asyncio.to_thread(_write, given.out, content)
        return ArtifactContent(artifact_id, len(content), out=given.out)
    return content_of(artifact_id, content)


def content_of(artifact_id: str, content: bytes) -> ArtifactContent:
    """An artifact as an answer. Raises: `artifact_unshowable`."""
    if len(content) > JSON_BYTES_MAX:
        raise unshowable()
    text = _text(content)
    packed = None if text is not None else base64.b64encode(content).decode("ascii")
    return ArtifactContent(artifact_id, len(content), text, packed)


def unshowable() -> InterlockError:
    """The error of an artifact that no answer can hold."""
    return ARTIFACT_UNSHOWABLE.error(
        f"it has more than the {JSON_BYTES_MAX} bytes that an answer may hold", limit_bytes=JSON_BYTES_MAX
    )


def _text(content: bytes) -> str | None:
    """The content as text; None where it is binary."""
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def out_taken(path: Path) -> InterlockError:
    """The error of a file that is there already."""
    return ARTIFACT_OUT_UNWRITABLE.error(f"there is a file of this name already: {shown(path.name, 100)}")


def _write(out: str, content: bytes) -> None:
    """A new file with the content, for its owner alone. Raises: `artifact_out_unwritable`."""
    path = Path(out)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise out_taken(path) from None
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or "not a path"
        raise ARTIFACT_OUT_UNWRITABLE.error(f"no file can be written there: {reason}") from None
    try:
        with os.fdopen(file, "wb") as stream:
            stream.write(content)
    except OSError as fault:
        with suppress(OSError):
            path.unlink()
        raise ARTIFACT_OUT_UNWRITABLE.error(f"the file cannot be written: {fault.strerror}") from None


COMMANDS = (
    Command(
        "run",
        "artifacts",
        ArtifactsInput,
        ArtifactPage,
        _artifacts,
        "List what a run has stored: outputs of programs, artifacts, recorded answers.",
        "interlock run artifacts 01890a5d-ac96-774b-bcce-b302099a8057",
        "run.read",
        Effect.READS,
        positional=("run",),
    ),
    Command(
        "artifact",
        "show",
        ShowInput,
        ArtifactContent,
        _show,
        "Show what is stored under an id, or write its bytes to a file.",
        "interlock artifact show 6fb7c5a7 --out errors.txt",
        "artifact.read",
        Effect.READS,
        local=True,
        carries=True,
        positional=("id",),
    ),
)
