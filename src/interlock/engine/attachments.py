"""Files that somebody attaches to a run from outside: what may be said of one, and how its event says it.

What it does: checks name, kind and media type, makes the event that names a file, and tells such an event from the
artifacts of states. What it does not do: it reads no bytes and stores none; they are kept as any artifact is.

Rules: a name is that of a file, never a path, and shows as it is; no kind is one that the engine gives; what looks like
a secret is in neither. A media type is what the sender says: nothing is ever served under it.
"""

from __future__ import annotations

import re
from typing import Final

import msgspec
from msgspec import Struct

from interlock.base.canonical import canonical
from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import shown
from interlock.base.secret_scan import refuse_secrets
from interlock.engine import events as e
from interlock.engine.context import SNAPSHOT_KIND
from interlock.engine.io.secret_facts import SEALED_KIND

KIND: Final = "Attachment"
MEDIA_TYPE: Final = "application/octet-stream"
FILE_NAME_CHARACTERS_MAX: Final = 200
KIND_CHARACTERS_MAX: Final = 64
MEDIA_TYPE_CHARACTERS_MAX: Final = 200

ATTACHED_BY: Final = "attached_by"
"""The member of the event's meta that says who attached it: no state's artifact is without a state and has it."""

ATTACHMENT_INVALID = ErrorCode(
    "attachment_invalid",
    Category.INVALID,
    "Name the file without its folder; a kind has letters, digits, `.`, `_` and `-`; a type is as `text/plain`.",
)
ERRORS = (ATTACHMENT_INVALID,)

_KIND = re.compile(rf"[A-Za-z][A-Za-z0-9._-]{{0,{KIND_CHARACTERS_MAX - 1}}}")
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a token of HTTP
_MEDIA_TYPE = re.compile(rf'{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|"[ !#-\[\]-~]*"))*')
_KINDS_OF_THE_ENGINE: Final = {SNAPSHOT_KIND, SEALED_KIND, "Fact", "FactPayload", "ExecStdout", "ExecStderr"}


class Label(Struct, frozen=True):
    """What is said of a file. Made by `label`."""

    kind: str
    media_type: str
    name: str


def label(name: str, kind: str | None = None, media_type: str | None = None) -> Label:
    """What is said of a file, checked. Raises: `attachment_invalid`, `secrets_detected`."""
    if not (0 < len(name) <= FILE_NAME_CHARACTERS_MAX and name.isprintable() and name.strip() == name):
        raise ATTACHMENT_INVALID.error(
            f"the name is not one of a file: 1 to {FILE_NAME_CHARACTERS_MAX} characters that show", place="name"
        )
    if name in {".", ".."} or "/" in name or "\\" in name:
        raise ATTACHMENT_INVALID.error("the name is a path", place="name")
    kind, media_type = kind or KIND, media_type or MEDIA_TYPE
    if _KIND.fullmatch(kind) is None:
        raise ATTACHMENT_INVALID.error("the kind has not the right form", place="kind")
    if kind in _KINDS_OF_THE_ENGINE:
        raise ATTACHMENT_INVALID.error(f"the kind {shown(kind)} is one that the engine gives", place="kind")
    if len(media_type) > MEDIA_TYPE_CHARACTERS_MAX or _MEDIA_TYPE.fullmatch(media_type) is None:
        raise ATTACHMENT_INVALID.error("the media type has not the form of one", place="media_type")
    found = Label(kind, media_type, name)
    refuse_secrets(canonical(msgspec.to_builtins(found)), "what is said of the file")
    return found


def written(artifact_id: str, said: Label, actor: str) -> e.ArtifactWritten:
    """The run's own event that names a file which `actor` attached."""
    meta = canonical({ATTACHED_BY: actor, "media_type": said.media_type, "name": said.name})
    return e.ArtifactWritten(artifact_id, said.kind, msgspec.Raw(meta), None)


def is_attachment(record: e.ArtifactWritten) -> bool:
    """Whether an artifact came from outside, and not from a state of the run."""
    if record.state_id is not None:
        return False
    meta = msgspec.json.decode(record.meta)
    return isinstance(meta, dict) and isinstance(meta.get(ATTACHED_BY), str)
