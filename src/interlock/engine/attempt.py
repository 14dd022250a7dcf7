"""One attempt at a state: what its handler is given, and the recorder it writes with.

What it does: makes context, IO and recorder when they are first used, and closes them with the attempt.
What it does not do: it appends no kernel event; the loop does.

Rules: domain events belong to the attempt that is open; each emit is one append; a dropped event is validated all the
same, so a profile never changes success or failure (P5); after the attempt its tools refuse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.bounds import EVENT_DATA_BYTES_MAX, EVENTS_PER_APPEND_MAX
from interlock.base.canonical import canonical
from interlock.base.ids import artifact_id, fact_key
from interlock.base.secret_scan import refuse_secrets_under
from interlock.engine import events as e
from interlock.engine.context import Context, RunContext
from interlock.engine.decide import EngineSettings
from interlock.engine.errors import ARTIFACT_TOO_LARGE, ATTEMPT_CLOSED, EVENT_NAME_INVALID, PAYLOAD_REF_UNKNOWN
from interlock.engine.io.secret_facts import SEALED_KIND, refuse_plaintext
from interlock.engine.plan import StateNode
from interlock.engine.session import Session
from interlock.journal.errors import EVENT_TOO_LARGE
from interlock.journal.journal import Post
from interlock.journal.ports import Blob

RESERVED_NAMES = frozenset(
    {"fact_recorded", "artifact_written", "op_boundary", "child_run_spawned", "child_run_completed"}
)


EVENT_PAYLOAD_BYTES_MAX = EVENT_DATA_BYTES_MAX // 2
"""Bytes of what a handler may put into the events of one append; the rest is the event's own."""


class DomainEvent(Struct, frozen=True):
    """What a handler puts on record: a stable name, a JSON payload, or the artifact that holds a large one."""

    name: str
    payload: Any = None
    payload_ref: str | None = None


class Suspend(BaseException):
    """Ends an attempt that waits. Not an `Exception`, so that a handler's own `except Exception` lets it pass."""


async def ended(handling: Awaitable[object], waits: Mapping[str, object]) -> None:
    """Let a handler work until it has ended, or ended to wait; `waits` is what it has asked for by then."""
    try:
        await handling
    except Suspend:
        pass
    except BaseExceptionGroup as group:
        _, rest = group.split((Suspend, asyncio.CancelledError))
        if isinstance(rest, Exception):
            raise rest from None
        if rest is not None or not waits:
            raise


class Scope:
    """What the tools of an attempt at a state, live or replayed, are bound to: they refuse once it is closed."""

    __slots__ = ("closed", "node")

    def __init__(self, node: StateNode) -> None:
        self.node = node
        self.closed = False

    def check_open(self) -> None:
        """Refuse whoever uses the attempt's tools after its end. Raises: `attempt_closed`."""
        if self.closed:
            raise ATTEMPT_CLOSED.error(f"the attempt at {self.node.id} has ended")


class Attempt(Scope):
    """The scope between StateEntered and what ends it.

    `doubts` are effects whose outcome nobody knows (yet); `waits` what the handler waits for, by name, and
    `asked_bytes` what they take in the event that records them.
    """

    __slots__ = (
        "asked_bytes",
        "base",
        "context",
        "doubts",
        "interrupted",
        "limit",
        "number",
        "session",
        "waits",
    )

    def __init__(self, session: Session, node: StateNode, number: int, base: RunContext) -> None:
        super().__init__(node)
        self.session = session
        self.number = number
        self.base = base
        self.context = Context(base, session.settings.context_value_bytes_max)
        self.doubts: set[str] = set()
        self.waits: dict[str, OpenedWait] = {}
        self.asked_bytes = 0
        self.interrupted = session.interrupted
        self.limit: asyncio.Timeout | None = None

    async def record(
        self,
        records: Sequence[Struct],
        blobs: Sequence[Blob] = (),
        posts: Sequence[Post] = (),
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Append within this attempt, if `check` does not raise when it is this call's turn.

        Raises: `attempt_closed`, also to a task that its handler left behind.
        """

        def checked() -> None:
            self.check_open()
            check()

        await self.session.record(records, blobs, checked, posts)

    def interrupt(self, code: str) -> None:
        """End the attempt now, for the reason `code`: its handler sees a cancellation, as at the end of its time."""
        self.interrupted = code
        if self.limit is not None and not self.closed and not self.limit.expired():
            self.limit.reschedule(0)


def check_artifact(settings: EngineSettings, content: bytes) -> None:
    """Refuse what is too large to be stored. Raises: `artifact_too_large`."""
    limit = settings.artifact_bytes_max
    if len(content) > limit:
        raise ARTIFACT_TOO_LARGE.error(f"an artifact of {len(content)} bytes, of {limit} at most", limit_bytes=limit)


class OpenedWait(Struct, frozen=True):
    """A wait of this attempt, with the artifact of its default, which is not stored yet."""

    record: e.OpenWait
    blobs: tuple[Blob, ...] = ()


class Recorder:
    """Puts domain events on record (seed 001, `recorder`)."""

    __slots__ = ("_attempt", "_state_id")

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt
        self._state_id = attempt.node.id

    async def emit(self, name: str, payload: Any = None, payload_ref: str | None = None) -> None:
        """Record one event, durable when this returns."""
        await self.emit_many([DomainEvent(name, payload, payload_ref)])

    async def emit_many(self, events: Sequence[DomainEvent]) -> None:
        """Record several in order, all or none.

        Raises: `event_name_invalid`, `json_…`, `secrets_detected`, `attempt_closed`, in every profile.
        """
        self._check_open()
        records = [_checked(event, self._state_id) for event in events]
        if len(records) > EVENTS_PER_APPEND_MAX:
            raise EVENT_TOO_LARGE.error("more events than one append holds", limit=EVENTS_PER_APPEND_MAX)
        if sum(len(record.payload) for record in records) > EVENT_PAYLOAD_BYTES_MAX:
            raise EVENT_TOO_LARGE.error("the payloads are too large for events", limit_bytes=EVENT_PAYLOAD_BYTES_MAX)
        await self._check_references([record.payload_ref for record in records if record.payload_ref is not None])
        await self._keep(records)

    async def _check_references(self, ids: Sequence[str]) -> None:
        """Nothing may name what is not there. Raises: `payload_ref_unknown`."""
        if ids and not await self._are_stored(ids):
            raise PAYLOAD_REF_UNKNOWN.error("a payload_ref names an artifact that is not stored")

    async def artifact(self, kind: str, content: bytes, meta: Any = None) -> str:
        """Store bytes as an artifact and record that they were written; return the artifact's id.

        A `SecretPayload` must be sealed already. Raises: `secret_payload_plain`, `artifact_too_large`, and as
        `emit_many`. One that comes after the end of its attempt stores nothing.
        """
        self._check_open()
        raw = canonical(meta)
        refuse_secrets_under(fact_key(kind), raw, "meta of an artifact")
        if len(raw) > EVENT_PAYLOAD_BYTES_MAX:
            raise EVENT_TOO_LARGE.error("the meta is too large for an event", limit_bytes=EVENT_PAYLOAD_BYTES_MAX)
        check_artifact(self._settings, content)
        if kind == SEALED_KIND:
            refuse_plaintext(self._settings, content)
        stored = await self._store(kind, content)
        await self._keep([e.ArtifactWritten(stored, kind, msgspec.Raw(raw), self._state_id)])
        return stored

    @property
    def _settings(self) -> EngineSettings:
        return self._attempt.session.settings

    def _check_open(self) -> None:
        self._attempt.check_open()

    async def _keep(self, records: Sequence[Struct]) -> None:
        """Append what the profile does not drop."""
        if self._attempt.session.config.event_profile != "Minimal":
            await self._attempt.record(records)

    async def _are_stored(self, ids: Sequence[str]) -> bool:
        return all(await self._attempt.session.journal.store.artifacts.exists(ids))

    async def _store(self, kind: str, content: bytes) -> str:
        return await self._attempt.session.store(kind, content)


def _checked(event: DomainEvent, state_id: str) -> e.DomainEmitted:
    if event.name in RESERVED_NAMES or event.name.startswith("interlock."):
        raise EVENT_NAME_INVALID.error(f"the event name {event.name} is reserved", name=event.name)
    payload = canonical(event.payload)
    refuse_secrets_under(fact_key(event.name), payload, "an event")
    reference = None if event.payload_ref is None else artifact_id(event.payload_ref)
    return e.DomainEmitted(event.name, msgspec.Raw(payload), reference, state_id)
