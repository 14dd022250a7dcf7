"""Contexts of a run whose states run at once: where each starts from, and how what it wrote is joined.

What it does: computes the base of a state as the merge of what its plan ancestors wrote, joins the writes of a state
that completed into the checkpoint, and refuses two states with no path between them that write one key differently.
What it does not do: it appends nothing and starts nothing; the loop does. A sequential run never comes here.

Rules: the base of a state depends on its ancestors alone, whatever else has completed meanwhile; a conflict is found
whichever state completes first, because what states wrote is compared, not what it changed; the joined checkpoint
is the same for every order of completion.

How a base is made: it is the view of one predecessor (its own base with its writes), with the writes of all further
ancestors in plan order on top. A further ancestor cannot come before one that the view holds, so on top is right.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import msgspec
import orjson

from interlock.base.bounds import MAP_VALUE_BYTES_MAX
from interlock.base.canonical import canonical, digest
from interlock.base.merkle_map import ArtifactRef, MerkleMap, Value
from interlock.engine import events as e
from interlock.engine.context import RunContext
from interlock.engine.errors import CONTEXT_WRITE_CONFLICT
from interlock.engine.plan import ExecutionPlan
from interlock.engine.run_state import RunState
from interlock.journal.ports import Artifacts, Blob

WRITES_KIND = "ContextWrites"
RECENT_MAX = 1024
"""Views and writes that are kept at hand; far more than can wait for one append."""

Writes = Mapping[str, Value | None]
"""Keys and their new values; None deletes."""


class Joined(NamedTuple):
    """A state's writes, joined: the new checkpoint, the event to record before StateCompleted, and what to store."""

    checkpoint: RunContext
    record: e.BranchCompleted
    blobs: list[Blob]


class Ancestry:
    """Who comes before whom in a plan: a bit for each state, made once."""

    def __init__(self, plan: ExecutionPlan) -> None:
        self.before: list[tuple[int, ...]] = [() for _ in plan.states]
        self._masks = [0] * len(plan.states)
        waiting: list[list[int]] = [[] for _ in plan.states]
        for place in plan.order:
            for follower in plan.successors[place]:
                waiting[follower].append(place)
                self._masks[follower] |= self._masks[place] | (1 << place)
            self.before[place] = tuple(waiting[place])

    def mask(self, place: int) -> int:
        """The ancestors of a state, as bits."""
        return self._masks[place]


class Branches:
    """The joining of one run. `state` is asked for anew each time, because the session replaces it."""

    def __init__(self, plan: ExecutionPlan, artifacts: Artifacts, initial: RunContext) -> None:
        self._plan = plan
        self._artifacts = artifacts
        self._initial = initial
        self._written: dict[str, dict[str, int]] = {}
        self._recent: OrderedDict[int, tuple[RunContext, Writes]] = OrderedDict()
        self._seen = 0
        """Completed states whose writes are in `_written`, as bits."""

    @cached_property
    def _ancestry(self) -> Ancestry:
        return Ancestry(self._plan)

    @cached_property
    def _rank(self) -> dict[int, int]:
        return {place: rank for rank, place in enumerate(self._plan.order)}

    async def base_of(self, place: int, state: RunState) -> tuple[RunContext, list[Blob]]:
        """Where a state's first attempt starts from, and the nodes that this adds."""
        before = self._ancestry.before[place]
        if not before:
            return self._initial, []
        fullest = max(before, key=lambda each: (self._ancestry.mask(each).bit_count(), -self._rank[each]))
        held = self._ancestry.mask(fullest) | (1 << fullest)
        context = self._view(fullest, state)
        further = self._ancestry.mask(place) & ~held
        merged: dict[str, Value | None] = {}
        for writes in await self._writes_of(self._places(further), state):
            merged.update(writes)
        return await context.updated(merged)  # at once: a context between two of them is nobody's, and is not stored

    async def join(
        self, place: int, base: RunContext, checkpoint: RunContext, writes: Writes, state: RunState
    ) -> Joined:
        """What a state wrote, joined into the checkpoint. Raises: `context_write_conflict`."""
        await self._catch_up(state)
        named = _named(writes)
        self._check(place, named)
        view, blobs = await base.updated(writes)
        after, added = await checkpoint.updated(writes)
        content = canonical({key: _member(value, writes[key]) for key, value in named.items()})
        stored = Blob(digest(content), WRITES_KIND, content)
        record = e.BranchCompleted(self._plan.states[place].id, view.snapshot_id, stored.id)
        self._note(place, named)
        self._recent[place] = view, dict(writes)
        if len(self._recent) > RECENT_MAX:
            self._recent.popitem(last=False)
        return Joined(after, record, [*blobs, *added, stored])

    def _view(self, place: int, state: RunState) -> RunContext:
        if place in self._recent:
            return self._recent[place][0]
        branch = state.branches[self._plan.states[place].id]
        return RunContext(MerkleMap.load(branch.view_id), self._artifacts)

    def _places(self, mask: int) -> list[int]:
        places = [place for place in range(mask.bit_length()) if mask >> place & 1]
        return sorted(places, key=self._rank.__getitem__)

    async def _writes_of(self, places: Sequence[int], state: RunState) -> list[Writes]:
        stored = [place for place in places if place not in self._recent]
        ids = [state.branches[self._plan.states[place].id].writes_id for place in stored]
        contents = await self._artifacts.get(ids) if ids else []
        read = {place: read_writes(content) for place, content in zip(stored, contents, strict=True)}
        return [read[place] if place in read else self._recent[place][1] for place in places]

    async def _catch_up(self, state: RunState) -> None:
        """Learn what states wrote that completed under an earlier owner."""
        if self._seen.bit_count() == len(state.branches):
            return
        index = self._plan.index
        unseen = [place for name in state.branches if not self._seen >> (place := index[name]) & 1]
        for place, writes in zip(unseen, await self._writes_of(unseen, state), strict=True):
            self._note(place, _named(writes))

    def _note(self, place: int, named: Mapping[str, str]) -> None:
        self._seen |= 1 << place
        for key, value in named.items():
            by_value = self._written.setdefault(key, {})
            by_value[value] = by_value.get(value, 0) | (1 << place)

    def _check(self, place: int, named: Mapping[str, str]) -> None:
        """Refuse a key that a state neither before nor after this one wrote differently."""
        ordered = self._ancestry.mask(place)
        for key in sorted(named):
            for value, writers in sorted(self._written.get(key, {}).items()):
                others = writers & ~ordered
                if value != named[key] and others:
                    pair = self._places((others & -others) | (1 << place))
                    names = [self._plan.states[each].id for each in pair]
                    raise CONTEXT_WRITE_CONFLICT.error(
                        f"{names[0]} and {names[1]} write one key differently, and no edge orders them",
                        key=key,
                        states=names,
                    )


def _named(writes: Writes) -> dict[str, str]:
    """Each key with a short name of its new value."""
    return {key: _digest(value) for key, value in writes.items()}


def _digest(value: Value | None) -> str:
    if value is None:
        return ""
    return value.id if isinstance(value, ArtifactRef) else digest(value)


def _member(value_id: str, content: Value | None) -> object:
    """How a written value is kept: inline, by its artifact where it is large, or as a deletion."""
    if content is None:
        return ["d"]
    if isinstance(content, ArtifactRef) or len(content) > MAP_VALUE_BYTES_MAX:
        return ["a", value_id]
    return ["v", orjson.loads(content)]


def read_writes(content: bytes) -> dict[str, Value | None]:
    """The writes in a stored artifact."""
    members = msgspec.json.decode(content, type=dict[str, list[msgspec.Raw]])
    return {key: _value(bytes(kind), [bytes(each) for each in rest]) for key, (kind, *rest) in members.items()}


def _value(kind: bytes, rest: Sequence[bytes]) -> Value | None:
    if kind == b'"d"':
        return None
    return ArtifactRef(msgspec.json.decode(rest[0], type=str)) if kind == b'"a"' else rest[0]
