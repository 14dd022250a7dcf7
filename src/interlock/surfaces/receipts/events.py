"""The events of a receipt's stream, `<tenant>/receipt/<digest of the key>`, and how they are told to others.

What it does: declares the records, names the streams, and says what subscriptions and the live feed hear. What it does
not do: it decides nothing.

Rules: members are in alphabetical order; a key is stored as its digest alone; an answer is for whoever called, and
is told to nobody else; it can be erased without the key becoming free again.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from interlock.base.canonical import digest
from interlock.base.events import EventType
from interlock.base.ids import ArtifactId, Digest
from interlock.base.part import EventForm, Services, Telling
from interlock.journal.streams import stream_id

RECEIPT = "receipt"
"""The kind of a receipt's stream."""

_DOMAIN = b"interlock/receipt/1\n"


class KeyTaken(Struct, frozen=True):
    """The key is that of this command with this input, whatever becomes of it."""

    command: str
    input_digest: Digest


class KeyAnswered(Struct, frozen=True):
    """What the call under the key was answered: JSON text, or the artifact that holds it where it is long."""

    answer: str | None
    answer_id: ArtifactId | None


def receipt_stream(tenant: str, command_id: str) -> str:
    """The stream of a key; `command_id` is unique among those of everybody. Raises: `id_invalid`."""
    return stream_id(tenant, RECEIPT, digest(_DOMAIN + command_id.encode()))


async def _without_answer(_services: Services, _stream: str, event: KeyAnswered, _audience: tuple[str, ...]) -> Telling:
    return Telling(msgspec.json.encode({"is_long": event.answer_id is not None}))


EVENTS = (
    EventType("surfaces.key_taken", 1, KeyTaken),
    EventType("surfaces.key_answered", 1, KeyAnswered, erasable=True),
)
FORMS = (EventForm("surfaces.key_answered", _without_answer),)
