"""Contexts of operations: each has its part of the run's context and reads what it imports from others.

What it does: gives the states of an operation a context of their own keys, and wraps a state so that it gets one.
What it does not do: it keeps no values; every write goes to the attempt's own context.

Rules: a key of an operation is stored as `<op_path>.<key>`, which no other op path can begin; a read of an imported key
goes to the operation that exports it, even where this one has written the same key; writes and deletes stay local;
`dump` shows the local keys alone; `input` is the run's input for every operation, and nobody's to write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlock.base.canonical import Json
from interlock.base.ids import ContextKey, OpPath, context_key
from interlock.engine.context import Context
from interlock.engine.errors import CONTEXT_KEY_RESERVED
from interlock.engine.meta import StateMeta
from interlock.engine.plan import State, StateOutcome

RUN_INPUT = "input"
"""The key under which every operation reads the input of the run."""


class OpContext(Context):
    """What a state of an operation sees of an attempt's context. `exporters` are the op paths of imported keys."""

    __slots__ = ("_exporters", "_path", "_whole")

    def __init__(self, whole: Context, path: OpPath, exporters: Mapping[ContextKey, OpPath]) -> None:
        super().__init__(whole._base)  # noqa: SLF001 - the same attempt's context, seen through other keys
        self.writes = whole.writes
        self._whole = whole
        self._path = path
        self._exporters = exporters

    def write(self, key: str, value: Any) -> None:
        """As `Context.write`, into this operation's part. Raises also: `context_key_reserved`."""
        self._whole.write(self._own(key), value)

    def delete(self, key: str) -> None:
        """As `Context.delete`, from this operation's part. Raises also: `context_key_reserved`."""
        self._whole.delete(self._own(key))

    async def dump(self) -> dict[str, Json]:
        """The keys that this operation has written: costs the size of the run's whole context."""
        prefix = f"{self._path}."
        entries = await self._whole.dump()
        return {key.removeprefix(prefix): value for key, value in entries.items() if key.startswith(prefix)}

    async def _raw(self, key: str) -> bytes | None:
        if key == RUN_INPUT:
            return await super()._raw(RUN_INPUT)
        return await super()._raw(f"{self._exporters.get(key, self._path)}.{key}")

    def _own(self, key: str) -> str:
        if key == RUN_INPUT:
            raise CONTEXT_KEY_RESERVED.error(f"{RUN_INPUT} is the run's input", key=key)
        return f"{self._path}.{context_key(key)}"


class OpState:
    """A state of an operation in its place: the same behaviour, with the operation's context."""

    def __init__(self, state: State, path: OpPath, exporters: Mapping[ContextKey, OpPath]) -> None:
        self.state = state
        self._path = path
        self._exporters = exporters

    def meta(self) -> StateMeta:
        """That of the state itself."""
        return self.state.meta()

    async def handle(self, ctx: Context, io: Any, rec: Any) -> StateOutcome | None:
        """Let the state work on the operation's part of the context."""
        return await self.state.handle(OpContext(ctx, self._path, self._exporters), io, rec)
