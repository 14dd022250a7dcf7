"""The verb `run attach`: a file of this machine becomes an artifact of a run.

What it does: reads the file, no further than an artifact may be long, and tells the run of it. What it does not do: it
holds no rule of what may be attached (`attachments`, `service`), and sends nothing to a server (its client does).

Rule: a file is read for the user of this machine alone; to anybody else a path would open whatever that user can read.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import shown
from interlock.base.part import CallContext, Command, Effect
from interlock.base.principal import PrincipalKind
from interlock.engine.attachments import ERRORS as OF_ATTACHMENTS
from interlock.engine.attachments import (
    FILE_NAME_CHARACTERS_MAX,
    KIND_CHARACTERS_MAX,
    MEDIA_TYPE_CHARACTERS_MAX,
    Label,
    label,
)
from interlock.engine.commands import RunArgument
from interlock.engine.runs import Runs

PERMISSION = "run.attach"
ATTACHMENT_UNREADABLE = ErrorCode(
    "attachment_unreadable", Category.INVALID, "Name a file of this machine that you may read."
)
ATTACHMENT_REFUSED = ErrorCode(
    "attachment_refused",
    Category.REFUSED,
    "Send the bytes: `POST /api/v1/runs/{run}/artifacts`, or `interlock.client`.",
)
ERRORS = (*OF_ATTACHMENTS, ATTACHMENT_UNREADABLE, ATTACHMENT_REFUSED)


class AttachInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which file, and which run it belongs to."""

    run: RunArgument
    file: Annotated[str, Meta(min_length=1, max_length=4096, description="The file whose bytes are attached.")]
    name: Annotated[
        Annotated[str, Meta(min_length=1, max_length=FILE_NAME_CHARACTERS_MAX)] | None,
        Meta(description="What it is called there; absent: the file's own name."),
    ] = None
    kind: Annotated[
        Annotated[str, Meta(min_length=1, max_length=KIND_CHARACTERS_MAX)] | None,
        Meta(description="What it is to the run; absent: Attachment."),
    ] = None
    media_type: Annotated[
        Annotated[str, Meta(min_length=1, max_length=MEDIA_TYPE_CHARACTERS_MAX)] | None,
        Meta(description="What its bytes are, such as text/plain; absent: application/octet-stream."),
    ] = None


class Attached(Struct, frozen=True):
    """A file that is attached to a run: `artifact_id` is the SHA-256 of its bytes."""

    artifact_id: str
    bytes: int
    kind: str
    media_type: str
    name: str


def label_of(given: AttachInput) -> Label:
    """What a line says of its file. Raises: `attachment_invalid`, `secrets_detected`."""
    return label(given.name or Path(given.file).name, given.kind, given.media_type)


def attached(artifact_id: str, size: int, said: Label) -> Attached:
    """The answer to whoever attached a file."""
    return Attached(artifact_id, size, said.kind, said.media_type, said.name)


def unreadable(fault: Exception) -> Exception:
    """The error of a file that cannot be read."""
    reason = getattr(fault, "strerror", None) or "not a path"
    return ATTACHMENT_UNREADABLE.error(f"the file cannot be read: {shown(reason)}")


async def _attach(ctx: CallContext, given: AttachInput) -> Attached:
    if ctx.principal.kind is not PrincipalKind.LOCAL:
        raise ATTACHMENT_REFUSED.error("only the user of this machine may have a file of it read")
    said, control = label_of(given), ctx.services.get(Runs).control
    await control.check_attachable(given.run, principal=ctx.principal, command_id=ctx.command_id)
    content = await asyncio.to_thread(_read, given.file, control.attached_bytes_max + 1)
    found = await control.attach(given.run, said, content, principal=ctx.principal, command_id=ctx.command_id)
    return attached(found, len(content), said)


def _read(path: str, limit: int) -> bytes:
    """At most so many bytes of a file. Raises: `attachment_unreadable`."""
    try:
        with Path(path).open("rb") as file:
            return file.read(limit)
    except (OSError, ValueError) as fault:
        raise unreadable(fault) from None


COMMANDS = (
    Command(
        "run",
        "attach",
        AttachInput,
        Attached,
        _attach,
        "Attach a file to a run: it is stored with it, listed and exported.",
        "interlock run attach 01890a5d-ac96-774b-bcce-b302099a8057 report.pdf --media-type application/pdf",
        PERMISSION,
        Effect.CHANGES,
        local=True,
        carries=True,
        positional=("run", "file"),
    ),
)
