"""The one runner of deciders: command in, events appended, answer out.

What it does: takes the queues of the streams that a command names, loads their states, calls the pure
`decide`, appends once and atomically at the heads that were read, and decides anew when another process
moved one. What it does not do: it knows no command by name, and it never retries what `decide` refused.

The procedure:
 1. take the queues of the named streams, in sorted order
 2. find the command id: the first result comes back, other content is a conflict
 3. load the states, or catch cached ones up to the heads as they are now
 4. decide, with the rows of the index that the decider asks for; a refusal may still record events, which carry no
    command id
 5. append with the expected heads; on a conflict go to 2, a bounded number of times
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import NODEFAULT, Meta, Raw, Struct
from msgspec.structs import FieldInfo

from interlock.base.canonical import canonical, digest, parse
from interlock.base.errors import Conflict
from interlock.base.events import IndexRow, Place, Row
from interlock.base.ids import command_id as checked_command_id
from interlock.base.part import Artifact, DecideContext, Decided, Decider, Refusal
from interlock.base.principal import Principal
from interlock.journal.chain import Authorship, seal
from interlock.journal.errors import (
    COMMAND_ID_CONFLICT,
    CONTENTION,
    EVENT_CORRUPT,
    HEAD_MOVED,
    INDEX_KEY_TAKEN,
)
from interlock.journal.journal import Fold, Journal, Loaded
from interlock.journal.ports import Append, Blob, Head, StreamAppend
from interlock.journal.queues import QueueStatistics, StreamQueues
from interlock.journal.streams import tenant_of

COMMAND_INDEX = "command"
_COMMAND_DOMAIN = b"interlock/command/1\n"
Answer = TypeVar("Answer")


class RunnerSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bounds of the runner."""

    queue_per_stream_max: Annotated[int, Meta(ge=1, le=100_000, description="Commands waiting on one stream.")] = 256
    queue_total_max: Annotated[int, Meta(ge=1, le=1_000_000, description="Commands waiting in the process.")] = 10_000
    queue_wait_ms_max: Annotated[int, Meta(ge=1, le=600_000, description="Longest wait in a queue, ms.")] = 30_000
    decisions_max: Annotated[int, Meta(ge=1, le=1000, description="Decisions tried for one command.")] = 20
    cached_states_max: Annotated[int, Meta(ge=0, le=1_000_000, description="States kept in memory.")] = 1024


class CommandRow(Struct, frozen=True, forbid_unknown_fields=True):
    """What the index keeps of a command: its digest, and per stream the first and last sequence number."""

    digest: str
    places: tuple[tuple[str, int, int], ...]


def command_digest(name: str, command: Struct) -> str:
    """The digest that tells one command's content from another's; members at their default are left out."""
    return digest(_COMMAND_DOMAIN + canonical({"command": name, "input": _given(command)}))


def _given(value: object) -> object:
    """What the digest covers of a value: without defaults, so that a member can be added to any record."""
    if isinstance(value, Struct):
        tag, fields = _form(type(value))
        members = dict(tag)
        for field in fields:
            member = getattr(value, field.name)
            if member != (field.default if field.default_factory is NODEFAULT else field.default_factory()):
                members[field.encode_name] = _given(member)
        return members
    if isinstance(value, Raw):
        return parse(bytes(value))
    if isinstance(value, list | tuple):
        return [_given(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _given(item) for key, item in value.items()}
    if isinstance(value, Raw):
        return parse(bytes(value))
    return msgspec.to_builtins(value)


@cache
def _form(record: type[Struct]) -> tuple[dict[str, object], tuple[FieldInfo, ...]]:
    """The tag and the fields of a record."""
    config = record.__struct_config__
    tag: dict[str, object] = {} if config.tag_field is None else {config.tag_field: config.tag}
    return tag, msgspec.structs.fields(record)


class Runner:
    """Executes commands against deciders on one journal."""

    def __init__(self, journal: Journal, settings: RunnerSettings, settings_digest: str) -> None:
        self._journal = journal
        self._settings = settings
        self._settings_digest = settings_digest
        self._states: OrderedDict[tuple[str, str], Loaded[Any]] = OrderedDict()
        self._queues = StreamQueues(
            per_stream_max=settings.queue_per_stream_max,
            total_max=settings.queue_total_max,
            wait_ms_max=settings.queue_wait_ms_max,
        )

    def statistics(self) -> QueueStatistics:
        """Figures of the queues."""
        return self._queues.statistics()

    def hand_over(self, decider: Decider, stream: str) -> Loaded[Any] | None:
        """The state of a stream as it is kept from the last command, for somebody who goes on with it."""
        return self._states.pop((decider.name, stream), None)

    async def execute(
        self, decider: Decider, command: Struct, principal: Principal, command_id: str | None = None
    ) -> Any:
        """Run one command to its durable result.

        Raises: what `decide` refuses with; `command_id_conflict`; `queue_full`; `contention`; storage errors.
        Side effects: at most one append.
        """
        streams = sorted(set(decider.streams(command)))
        author = Authorship(actor=principal.id)
        if command_id is not None:
            author = msgspec.structs.replace(
                author,
                command_id=checked_command_id(command_id),
                command_digest=command_digest(decider.name, command),
            )
        entropy = self._journal.entropy.random_bytes(32)
        async with self._queues.hold(streams):
            for _ in range(self._settings.decisions_max):
                try:
                    return await self._attempt(decider, command, principal, author, streams, entropy)
                except Conflict as conflict:
                    if not _moved(conflict):
                        raise
        raise CONTENTION.error("other writers kept moving these streams", retry_after_ms=50)

    async def look(self, decider: Decider, stream: str, read: Callable[[Any], Answer]) -> Answer:
        """What `read` makes of a decider's state of a stream as it is now.

        It must keep nothing of the state, which the next command consumes. Raises: `queue_full`; storage errors.
        """
        async with self._queues.hold([stream]):
            loaded = await self._load(decider, [stream])
            return read(loaded[stream].state)

    async def _attempt(
        self,
        decider: Decider,
        command: Struct,
        principal: Principal,
        author: Authorship,
        streams: Sequence[str],
        entropy: bytes,
    ) -> Any:
        first = await self._first_events(author, tenant_of(streams[0]))
        if first is not None:
            return decider.result(first, command)
        loaded = await self._load(decider, streams)
        now_ms = self._journal.now_ms(max(state.at_ms for state in loaded.values()))
        rows = await self._rows(decider, command, tenant_of(streams[0]))
        context = DecideContext(now_ms, principal, entropy, self._settings_digest, rows)
        decision = decider.decide({s: state.state for s, state in loaded.items()}, command, context)
        if isinstance(decision, Refusal):
            anonymous = msgspec.structs.replace(author, command_id=None, command_digest=None)
            await self._append(decider, loaded, _events_of(decision.record or {}), (), now_ms, anonymous)
            raise decision.error
        if not isinstance(decision, Decided):
            decision = Decided(decision, ())
        events = _events_of(decision.events)
        await self._append(decider, loaded, events, decision.artifacts, now_ms, author)
        return decider.result(events, command)

    async def _first_events(self, author: Authorship, partition: str) -> Mapping[str, Sequence[Struct]] | None:
        """What this command id has written already. Raises: `command_id_conflict`, `event_corrupt`."""
        if author.command_id is None:
            return None
        [row] = await self._journal.store.index.get(partition, COMMAND_INDEX, [author.command_id])
        if row is None:
            return None
        try:
            known = msgspec.json.decode(row, type=CommandRow)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            raise EVENT_CORRUPT.error("the index row of this command id cannot be read") from None
        if known.digest != author.command_digest:
            raise COMMAND_ID_CONFLICT.error("this command id was used with other content")
        return {
            stream: await self._journal.records(stream, first, last, author.command_id)
            for stream, first, last in known.places
        }

    async def _rows(self, decider: Decider, command: Struct, partition: str) -> Mapping[tuple[str, str], bytes | None]:
        """The rows of the index that a decision rests on; read after the states that it is appended to."""
        if decider.rows is None:
            return {}
        return {
            (index, key): (await self._journal.store.index.get(partition, index, [key]))[0]
            for index, key in decider.rows(command)
        }

    async def _append(
        self,
        decider: Decider,
        loaded: Mapping[str, Loaded[Any]],
        events: Mapping[str, Sequence[Struct]],
        artifacts: Sequence[Artifact],
        now_ms: int,
        author: Authorship,
    ) -> None:
        """Append all of `events`, at the heads that were loaded, and keep the states that they lead to."""
        if not events:
            return
        appends: list[StreamAppend] = []
        rows: list[Row] = []
        author = msgspec.structs.replace(author, salt_key=self._journal.entropy.random_bytes(32))
        for stream, records in events.items():
            sealed = seal(self._journal.catalogue, stream, loaded[stream].head, records, now_ms, author)
            appends.append(sealed.append)
            rows.extend(sealed.rows)
            rows.extend(self._snapshot(decider, stream, loaded[stream], sealed.append.head))
        if author.command_id is not None and author.command_digest is not None:
            places = tuple((a.stream, a.expected.seq + 1, a.head.seq) for a in appends)
            value = msgspec.json.encode(CommandRow(author.command_digest, places))
            rows.append(IndexRow(COMMAND_INDEX, author.command_id, value, fresh=True))
        blobs = [Blob(digest(each.content), each.kind, each.content) for each in artifacts]
        await self._journal.commit(Append(appends, rows, blobs))
        for append in appends:
            self._advance(decider, append, loaded[append.stream], events[append.stream], now_ms, author.actor)

    def _snapshot(self, decider: Decider, stream: str, loaded: Loaded[Any], head: Head) -> list[IndexRow]:
        """The fold snapshot that goes with an append up to `head`, where it is time for one: of the state before."""
        snapshots = decider.snapshots
        if snapshots is None or snapshots.save is None or loaded.head.seq == 0:
            return []
        if loaded.head.seq // snapshots.every_events == head.seq // snapshots.every_events:
            return []
        return [self._journal.fold_row(fold_of(decider), stream, loaded)]

    async def _load(self, decider: Decider, streams: Sequence[str]) -> dict[str, Loaded[Any]]:
        """The states of the streams as they are now; of cached ones only new events are read."""
        fold = fold_of(decider)
        heads = await self._journal.store.events.heads(streams)
        loaded = {}
        for stream, head in zip(streams, heads, strict=True):
            cached = self._states.pop((decider.name, stream), None)
            loaded[stream] = await self._current(fold, stream, head, cached)
            self._keep((decider.name, stream), loaded[stream])
        return loaded

    async def _current(self, fold: Fold[Any], stream: str, head: Head, cached: Loaded[Any] | None) -> Loaded[Any]:
        """The state at `head` or after it. A cached one that does not lead there is not believed."""
        if cached is None or cached.head.seq > head.seq:
            return await self._journal.load(fold, stream)
        if cached.head != head:
            cached = await self._journal.catch_up(fold, stream, cached)
            if cached.head.seq <= head.seq and cached.head != head:
                return await self._journal.load(fold, stream)
        return cached

    def _advance(
        self,
        decider: Decider,
        append: StreamAppend,
        loaded: Loaded[Any],
        records: Sequence[Struct],
        now_ms: int,
        actor: str,
    ) -> None:
        """Evolve the state over what was just appended, so that the next command reads nothing."""
        # `evolve` may consume the state that it is given: nobody must find it half-way.
        self._states.pop((decider.name, append.stream), None)
        state = loaded.state
        for seq, record in enumerate(records, append.expected.seq + 1):
            state = decider.evolve(state, record, Place(append.stream, seq, now_ms, actor, None))
        self._keep((decider.name, append.stream), Loaded(state, append.head, now_ms))

    def _keep(self, key: tuple[str, str], loaded: Loaded[Any]) -> None:
        self._states[key] = loaded
        self._states.move_to_end(key)
        while len(self._states) > self._settings.cached_states_max:
            self._states.popitem(last=False)


def _events_of(events: Mapping[str, Sequence[Struct]]) -> dict[str, Sequence[Struct]]:
    """The streams that get events, in order: so that a first result and its recomputation see the same."""
    return {stream: events[stream] for stream in sorted(events) if events[stream]}


def _moved(conflict: Conflict) -> bool:
    """Whether deciding anew can help: a head moved, or another process wrote this command id.

    Any other key of the index that is taken stays taken at these heads, which were checked before it.
    """
    taken = conflict.kind is INDEX_KEY_TAKEN and conflict.details.get("index") == COMMAND_INDEX
    return taken or conflict.kind is HEAD_MOVED


def fold_of(decider: Decider) -> Fold[Any]:
    """The fold behind a decider's states, with the snapshots that it reads and writes, if it has any."""
    snapshots = decider.snapshots
    if snapshots is None:
        return Fold(decider.name, 1, decider.initial, decider.evolve)
    return Fold(snapshots.name, snapshots.version, decider.initial, decider.evolve, snapshots.save, snapshots.restore)
