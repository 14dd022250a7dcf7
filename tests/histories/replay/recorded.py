"""The file of a recorded run, and the store that it is put back into.

What it does: `take` reads all events and artifacts of a store, byte for byte; `put_back` makes a store of them. What it
does not do: it folds nothing and derives no rows, because a replay needs none.

Rule: what is UTF-8 stands in the file as text, so that a person can read it; other bytes stand as base64.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from interlock.journal.ports import Append, Blob, Head, StoredEvent, StreamAppend
from interlock.stores.memory import MemoryStore
from tests.simulation.crashes import World

FOLDER = Path(__file__).parent
_ALL = 10_000


class Event(Struct, frozen=True, omit_defaults=True):
    """One event as it was stored; its stream and number stand in the envelope."""

    digest: str
    envelope: str
    data: str
    salt: str = ""


class History(Struct, frozen=True):
    """Everything that a replay of a run and of its children may read, and the name of its plan."""

    interlock: str
    plan: str
    events: list[Event]
    artifacts: dict[str, dict[str, str]]


def files() -> list[Path]:
    """Every recorded run, of every version."""
    return sorted(FOLDER.glob("*/*.json"))


def load(path: Path) -> History:
    """Read a file; a member that it should not have is an error."""
    return msgspec.json.decode(path.read_bytes(), type=History)


async def take(world: World, plan: str, version: str) -> History:
    """The history of the runs of a world."""
    store = world.process().store
    feed = await store.events.feed("default", 0, _ALL)
    ids = await store.artifacts.scan("", _ALL)
    contents = await store.artifacts.get(ids)
    artifacts = {key: _text(content) for key, content in zip(ids, contents, strict=True)}
    return History(version, plan, [_shown(each) for each in feed], artifacts)


async def put_back(history: History) -> MemoryStore:
    """A store in memory that holds the history."""
    store = MemoryStore(owner="history")
    await store.artifacts.put([Blob(key, "history", _bytes(each)) for key, each in history.artifacts.items()])
    for event in history.events:
        place = msgspec.json.decode(event.envelope, type=dict[str, Any])
        stored = StoredEvent(
            place["stream"],
            place["seq"],
            event.digest,
            event.envelope.encode(),
            event.data.encode(),
            bytes.fromhex(event.salt),
        )
        [head] = await store.events.heads([stored.stream])
        appended = StreamAppend(stored.stream, "default", head, [stored], Head(stored.seq, stored.digest))
        [outcome] = await store.events.append([Append([appended])])
        assert not isinstance(outcome, Exception)
    return store


def _shown(event: StoredEvent) -> Event:
    assert event.data is not None
    return Event(event.digest, event.envelope.decode(), event.data.decode(), event.salt.hex())


def _text(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _bytes(kept: dict[str, str]) -> bytes:
    return kept["text"].encode() if "text" in kept else base64.b64decode(kept["base64"])
