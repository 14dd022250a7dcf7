"""The file of a recorded history, and the store that it is put back into.

What it does: `take` reads everything that a store keeps of a run, byte for byte; `put_back` makes a store of it;
`summary` says what today's code makes of a run. What it does not do: it folds nothing itself.

Rules: envelopes and data are UTF-8 and stand in the file as text, so that a person can read them; artifacts that are
not stand as base64. Of the index only rows are kept that no event entails; the others are derived anew.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.canonical import digest
from interlock.base.events import Row
from interlock.engine import events as e
from interlock.engine.fold import RUN_FOLD
from interlock.engine.run_state import RunState
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import read_envelope, read_record
from interlock.journal.journal import FOLD_INDEX
from interlock.journal.ports import EMPTY, Append, Blob, Head, Store, StoredEvent, StreamAppend
from interlock.journal.runner import COMMAND_INDEX
from interlock.parts import PARTS
from interlock.stores.memory import MemoryStore
from tests.simulation.crashes import RUN_ID, World

FOLDER = Path(__file__).parent
STREAM = f"default/run/{RUN_ID}"
CATALOGUE = EventCatalogue(kind for part in PARTS for kind in part.events)
_PAGE = 1_000
_SHOWN_MAX = 200
"""Characters of a value that a summary shows; of a longer one it keeps the digest."""


class Event(Struct, frozen=True, omit_defaults=True):
    """One event as it was stored; its stream and number stand in the envelope."""

    digest: str
    envelope: str
    data: str
    salt: str = ""


class Summary(Struct, frozen=True):
    """What a reader of the run relies on; `steps` are status, attempts, failures and crashes of each state."""

    status: str | None
    parked: str | None
    checkpoint: str
    final_snapshot_id: str | None
    inbox_seq: int
    steps: dict[str, tuple[str, int, int, int]]
    facts: dict[str, str]
    context: dict[str, Any]


class History(Struct, frozen=True):
    """Everything that a store keeps of one run, in the order of the feed, and what its version made of it."""

    interlock: str
    plan: str
    events: list[Event]
    artifacts: dict[str, dict[str, str]]
    rows: list[tuple[str, str, str]]
    summary: Summary


def files() -> list[Path]:
    """Every recorded history, of every version."""
    return sorted(FOLDER.glob("*/*.json"))


def load(path: Path) -> History:
    """Read a file; a member that it should not have is an error."""
    return msgspec.json.decode(path.read_bytes(), type=History)


async def take(world: World, version: str) -> History:
    """The history of the run of a world."""
    app = world.process()
    store = app.store
    feed = await store.events.feed("default", 0, _PAGE)
    ids = await store.artifacts.scan("", _PAGE)
    contents = await store.artifacts.get(ids)
    rows = [
        (index, key, value.decode())
        for index in (COMMAND_INDEX, FOLD_INDEX)
        for key, value in await store.index.scan("default", index, "", "", _PAGE)
    ]
    return History(
        version,
        world.plan.__name__,
        [_shown(event) for event in feed],
        {key: _text(content) for key, content in zip(ids, contents, strict=True)},
        rows,
        summary((await app.journal.load(RUN_FOLD, STREAM)).state, await world.context()),
    )


def _shown(event: StoredEvent) -> Event:
    assert event.data is not None
    return Event(event.digest, event.envelope.decode(), event.data.decode(), event.salt.hex())


def _text(content: bytes) -> dict[str, str]:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def summary(state: RunState, context: dict[str, Any]) -> Summary:
    """What a folded run says."""
    return Summary(
        state.status,
        next((parked.code for parked in state.parked.values()), None),
        state.checkpoint,
        state.final_snapshot_id,
        state.inbox_seq,
        {name: (step.status, step.attempts, step.failures, step.orphans) for name, step in state.steps.items()},
        {key: fact.payload_id for key, fact in state.facts.items()},
        {
            key: value if len(text := f"{value}") <= _SHOWN_MAX else digest(text.encode())
            for key, value in context.items()
        },
    )


def _short(value: Any) -> Any:
    return value if len(text := f"{value}") <= _SHOWN_MAX else digest(text.encode())


async def put_back(history: History) -> MemoryStore:
    """A store in memory that holds the history, left by the owners that it names."""
    store = MemoryStore(owner="history")
    blobs = [Blob(key, "history", _content(each)) for key, each in history.artifacts.items()]
    await store.artifacts.put(blobs)
    owners: set[str] = set()
    for event in history.events:
        stored = stored_of(event)
        record = read_record(CATALOGUE, read_envelope(stored), stored)
        if isinstance(record, e.OwnerClaimed):
            owners.add(record.owner)
        await _append(store, stored, _entailed(stored, record))
    for index, key, value in history.rows:
        store._handle.data.index["default", index].put(key, value.encode())
    for owner in owners:
        MemoryStore(owner=owner, content=store._handle.data).die()
    return store


def _content(kept: dict[str, str]) -> bytes:
    return kept["text"].encode() if "text" in kept else base64.b64decode(kept["base64"])


def stored_of(event: Event) -> StoredEvent:
    """The event as the store had it."""
    place = msgspec.json.decode(event.envelope, type=dict[str, Any])
    return StoredEvent(
        place["stream"],
        place["seq"],
        event.digest,
        event.envelope.encode(),
        event.data.encode(),
        bytes.fromhex(event.salt),
    )


def _entailed(event: StoredEvent, record: Struct | None) -> Sequence[Row]:
    """The rows that today's code writes with an event."""
    kind = None if record is None else CATALOGUE.current_type(type(record))
    assert kind is not None
    return () if kind.index is None or record is None else kind.index(read_envelope(event).place, record)


async def _append(store: Store, event: StoredEvent, rows: Sequence[Row]) -> None:
    [head] = await store.events.heads([event.stream])
    assert head == EMPTY or head.seq == event.seq - 1
    appended = StreamAppend(event.stream, "default", head, [event], Head(event.seq, event.digest))
    [outcome] = await store.events.append([Append([appended], rows)])
    assert not isinstance(outcome, Exception)
