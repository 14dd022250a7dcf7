"""The application in memory on virtual time: how tests, ours and users', start one.

What it does: `memory_app` wires the whole product to a store in memory, with the virtual clock, seeded entropy and
transports that the test gives; `read_run` and `dump` read what it recorded. What it does not do: it fakes nothing of
the engine, opens no file, and reads no settings from the environment.

Rules: it is made inside `interlock.testing.loop.run`; two applications on one content are two processes of one
installation, and each needs a store of its own (`MemoryStore.reopen`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from interlock import settings as settings_loader
from interlock.app import App
from interlock.base.clock import Clock, SeededEntropy
from interlock.base.part import Part, TransportFactory
from interlock.engine.document.expressions import Evaluation
from interlock.engine.io.transports.port import Transport
from interlock.journal.chain import Recorded
from interlock.journal.ports import Store
from interlock.journal.streams import stream_id
from interlock.parts import PARTS, sections_of
from interlock.stores.memory import MemoryStore
from interlock.testing.clock import VirtualClock

_NO_FOLDER = Path("/nonexistent")
_PAGE = 1000


def memory_app(
    store: Store | None = None,
    *,
    transports: Mapping[str, Transport] = MappingProxyType({}),
    settings: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
    clock: Clock | None = None,
    seed: int = 0,
) -> App:
    """An application on `store`, by default an empty one in memory, on the running virtual loop.

    `transports` gives namespaces to transports; `settings` maps sections to values, as a settings file would;
    `seed` draws everything random. Nothing has to be closed. Raises: `setting_unknown`, `setting_invalid`.
    """
    outside = Part(
        "testing", transports=tuple(TransportFactory(name, _given(each)) for name, each in transports.items())
    )
    parts = (*PARTS, outside)
    loaded = settings_loader.load(sections_of(parts), arguments=settings, environ={}, folder=_NO_FOLDER)
    entropy = SeededEntropy(seed)
    opened = MemoryStore(entropy) if store is None else store
    # Virtual time has no threads: expressions hold up its loop, whose clock stands still meanwhile.
    return App(opened, parts, loaded, clock or VirtualClock(), entropy, evaluation=Evaluation(in_place=True))


def _given(transport: Transport) -> Callable[[object], Transport]:
    return lambda _services: transport


async def read_run(app: App, run_id: str, *, tenant: str = "default") -> list[Recorded]:
    """Every event of a run, verified by the chain; empty for a run that does not exist."""
    stream = stream_id(tenant, "run", run_id)
    return [event async for page in app.journal.read(stream) for event in page]


async def dump(store: Store) -> list[tuple[str, bytes]]:
    """All bytes that a store gives out, each with the name of its place: events, index, timers, artifacts."""
    places: list[tuple[str, bytes]] = []
    for partition in await store.events.partitions():
        for event in await store.events.feed(partition, 0, await store.events.position(partition)):
            name = f"{event.stream}#{event.seq}"
            places += [(f"envelope {name}", event.envelope), (f"data {name}", event.data or b"")]
        for index in await store.index.names(partition):
            after = ""
            while rows := await store.index.scan(partition, index, "", after, _PAGE):
                after = rows[-1][0]
                places += [(f"index {index}", key.encode() + b"\n" + value) for key, value in rows]
        after = ""
        while timers := await store.timers.scan(partition, after, _PAGE):
            after = timers[-1].timer_id
            places += [(f"timer {timer.stream}", timer.timer_id.encode() + b"\n" + timer.payload) for timer in timers]
    after = ""
    while ids := await store.artifacts.scan(after, _PAGE):
        after = ids[-1]
        contents = await store.artifacts.get(ids)
        places += [(f"artifact {each}", content) for each, content in zip(ids, contents, strict=True)]
    return places
