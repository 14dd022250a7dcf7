"""The data a run carries from state to state: a persistent map, and an overlay for each attempt.

What it does: `RunContext` is the checkpointed context, loaded node by node; `Context` is what a handler reads and
writes. What it does not do: it writes no event; the loop stores an overlay only when the attempt succeeds.

Rules: values are kept as canonical bytes and decoded anew on each read, so a handler that changes what it read changes
nothing else (P21); a snapshot is the root of the map, so its id depends on content alone; no secret enters; an
overlay of a failed attempt is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
import orjson

from interlock.base.bounds import JSON_BYTES_MAX
from interlock.base.canonical import Json, canonical
from interlock.base.errors import InterlockError
from interlock.base.ids import context_key
from interlock.base.merkle_map import ArtifactRef, MerkleMap, NodesMissing, Value
from interlock.base.secret_scan import refuse_secrets_under
from interlock.engine.errors import (
    CONTEXT_DESERIALIZE_FAILED,
    CONTEXT_MISSING_KEY,
    CONTEXT_SERIALIZE_FAILED,
    CONTEXT_VALUE_TOO_LARGE,
)
from interlock.journal.ports import Artifacts, Blob

SNAPSHOT_KIND = "ContextSnapshot"
T = TypeVar("T")


class RunContext:
    """The context at a checkpoint. Immutable, but for nodes that are loaded when first needed."""

    def __init__(self, content: MerkleMap, artifacts: Artifacts) -> None:
        self._map = content
        self._artifacts = artifacts

    @property
    def snapshot_id(self) -> str:
        """The artifact id of the map's root."""
        return self._map.root_id

    async def check(self) -> None:
        """Fetch and verify the root. Raises: `artifact_not_found`, `artifact_corrupt`, `map_node_corrupt`."""
        await self._loading(lambda content: content.get_raw("any key leads through the root"))

    async def value(self, key: str) -> bytes | None:
        """Canonical bytes of a value, or None. Raises: `artifact_not_found`, `artifact_corrupt`."""
        found = await self._loading(lambda content: content.get_raw(key))
        return await self._fetched(found) if isinstance(found, ArtifactRef) else found

    async def updated(self, writes: Mapping[str, Value | None]) -> tuple[RunContext, list[Blob]]:
        """The context after `writes` (None deletes), and the artifacts that it adds."""
        if not writes:
            return self, []
        content, blobs = await self._loading(lambda before: before.update(writes))
        return RunContext(content, self._artifacts), [Blob(i, SNAPSHOT_KIND, b) for i, b in blobs]

    async def changes(self, other: RunContext) -> dict[str, tuple[Value | None, Value | None]]:
        """Each key whose value differs, with the value here and in `other`: costs what differs."""
        while True:
            try:
                return {key: (mine, theirs) for key, mine, theirs in self._map.diff(other._map)}
            except NodesMissing as missing:
                found = dict(zip(missing.ids, await self._artifacts.get(missing.ids), strict=True))
                self._map, other._map = self._map.with_nodes(found), other._map.with_nodes(found)

    async def fetched(self, value: Value) -> bytes:
        """The canonical bytes of a value that may be in an artifact."""
        return await self._fetched(value) if isinstance(value, ArtifactRef) else value

    async def dump(self) -> dict[str, bytes]:
        """Every key with its canonical bytes: costs the size of the context."""
        entries = await self._loading(lambda content: list(content.items()))
        return {k: await self._fetched(v) if isinstance(v, ArtifactRef) else v for k, v in entries}

    async def _loading(self, operation: Callable[[MerkleMap], T]) -> T:
        """Run an operation on the map, fetching the nodes that it turns out to need."""
        while True:
            try:
                return operation(self._map)
            except NodesMissing as missing:
                contents = await self._artifacts.get(missing.ids)
                self._map = self._map.with_nodes(dict(zip(missing.ids, contents, strict=True)))

    async def _fetched(self, reference: ArtifactRef) -> bytes:
        [content] = await self._artifacts.get([reference.id])
        return content


class Context:
    """What a handler sees: the checkpoint under its own writes."""

    __slots__ = ("_base", "_bytes_max", "writes")

    def __init__(self, base: RunContext, bytes_max: int = JSON_BYTES_MAX) -> None:
        self._base = base
        self._bytes_max = bytes_max
        self.writes: dict[str, bytes | None] = {}

    async def read(self, key: str) -> Json:
        """A fresh copy of the value at `key`; None where there is none."""
        raw = await self._raw(key)
        return None if raw is None else orjson.loads(raw)

    async def read_typed(self, key: str, kind: type[T]) -> T | None:
        """The value at `key` as `kind`; None where there is none. Raises: `context_deserialize_failed`."""
        raw = await self._raw(key)
        if raw is None:
            return None
        try:
            return msgspec.json.decode(raw, type=kind)
        except msgspec.MsgspecError:
            raise CONTEXT_DESERIALIZE_FAILED.error("a context value has another type", key=key) from None

    async def require(self, key: str, kind: type[T]) -> T:
        """As `read_typed`, but raises `context_missing_key` where there is no value."""
        if await self._raw(key) is None:
            raise CONTEXT_MISSING_KEY.error(f"the context has no {key}", key=key)
        return await self.read_typed(key, kind)  # type: ignore[return-value]  # it is there; None may be a `kind`

    def write(self, key: str, value: Any) -> None:
        """Set `key` to a JSON value or a record that converts to one.

        Raises: `id_invalid`, `context_serialize_failed`, `context_value_too_large`, `secrets_detected`.
        """
        content = encoded(context_key(key), value, "context value")
        if len(content) > self._bytes_max:
            raise CONTEXT_VALUE_TOO_LARGE.error(
                f"a value of {len(content)} bytes, of {self._bytes_max} at most", limit_bytes=self._bytes_max
            )
        self.writes[key] = content

    def delete(self, key: str) -> None:
        """Remove `key`; no error where it is absent."""
        self.writes[context_key(key)] = None

    async def dump(self) -> dict[str, Json]:
        """All of the context as this attempt sees it: costs its whole size."""
        entries: dict[str, bytes | None] = {**await self._base.dump(), **self.writes}
        return {key: orjson.loads(raw) for key, raw in sorted(entries.items()) if raw is not None}

    async def _raw(self, key: str) -> bytes | None:
        if key in self.writes:
            return self.writes[key]
        return await self._base.value(key)


def encoded(key: str, value: Any, what: str) -> bytes:
    """Canonical bytes of a JSON value or record, scanned for secrets together with the key that it is kept under.

    Raises: `context_serialize_failed` (without the value's text), `secrets_detected`.
    """
    try:
        content = canonical(msgspec.to_builtins(value, str_keys=True, order="deterministic"))
    except (InterlockError, TypeError, ValueError, RecursionError) as fault:
        reason = fault.code if isinstance(fault, InterlockError) else type(fault).__name__
        raise CONTEXT_SERIALIZE_FAILED.error(f"{what} is not JSON ({reason})", reason=reason) from None
    refuse_secrets_under(key, content, what)
    return content
