"""Whether every artifact is what its id says, and everything that events name is there.

What it does: finds the artifacts that a record names by the types of its members, looks them up, walks the context
maps, and reads every stored artifact once. What it does not do: it knows no event by name.

Rules: a member of the type `ArtifactId` names an artifact, whatever record it stands in, unless its name ends in
`digest`; one whose name ends in `snapshot_id` or `view_id` names the root of a persistent map. What was looked up
lately is not looked up again, in bounded memory: the maps of a stream share nearly all their nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

from msgspec import Struct, inspect

from interlock.base.errors import Corruption, NotFound
from interlock.base.ids import ArtifactId
from interlock.base.merkle_node import HEX_DIGITS, ArtifactRef, Inner, Node, read_node, value_of
from interlock.journal.chain import Recorded
from interlock.journal.errors import ARTIFACT_NOT_FOUND
from interlock.journal.verify.report import PAGE, Examination

RECENT_MAX = 200_000
"""Ids that are remembered as looked up."""

_PATTERN: str = ArtifactId.__metadata__[0].pattern  # type: ignore[attr-defined]
_MAP_ROOTS = ("snapshot_id", "view_id")
_NO_ARTIFACT = "digest"


def named_artifacts(record: Struct) -> list[tuple[str, str]]:
    """The artifacts that a record names, each with the member that names it, in the order of the members."""
    return [
        named
        for attribute, member, kind in _naming_members(type(record))
        for named in _ids(kind, getattr(record, attribute), member)
    ]


@cache
def _naming_members(record: type[Struct]) -> tuple[tuple[str, str, inspect.Type], ...]:
    """Attribute, name and type of the members of a record that can name artifacts, here or further in."""
    kind = inspect.type_info(record)
    assert isinstance(kind, inspect.StructType)  # noqa: S101 - a Struct has no other
    return tuple(
        (field.name, field.encode_name, field.type)
        for field in kind.fields
        if not field.encode_name.endswith(_NO_ARTIFACT) and _can_name(field.type)
    )


def _can_name(kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.Metadata):
        return _can_name(kind.type)
    if isinstance(kind, inspect.StrType):
        return kind.pattern == _PATTERN
    if isinstance(kind, inspect.UnionType):
        return any(_can_name(option) for option in kind.types)
    if isinstance(kind, inspect.VarTupleType | inspect.ListType):
        return _can_name(kind.item_type)
    if isinstance(kind, inspect.TupleType):
        return any(_can_name(item) for item in kind.item_types)
    return isinstance(kind, inspect.StructType) and bool(_naming_members(kind.cls))


def _ids(kind: inspect.Type, value: Any, member: str) -> Iterator[tuple[str, str]]:
    """The artifacts in a value of this type; of a union only the option that the value has."""
    if isinstance(kind, inspect.Metadata):
        yield from _ids(kind.type, value, member)
    elif isinstance(kind, inspect.UnionType):
        for option in kind.types:
            yield from _ids(option, value, member)
    elif isinstance(kind, inspect.StrType):
        if kind.pattern == _PATTERN and isinstance(value, str):
            yield member, value
    elif isinstance(kind, inspect.StructType):
        if isinstance(value, kind.cls):
            yield from named_artifacts(value)
    elif isinstance(kind, inspect.TupleType) and isinstance(value, tuple):
        for item_kind, item in zip(kind.item_types, value, strict=True):
            yield from _ids(item_kind, item, member)
    elif isinstance(kind, inspect.VarTupleType | inspect.ListType) and isinstance(value, tuple | list):
        for item in value:
            yield from _ids(kind.item_type, item, member)


class Recent:
    """A set that forgets: it holds what was added lately, at most twice `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._young: set[str] = set()
        self._old: set[str] = set()

    def add(self, item: str) -> bool:
        """Add an item; return whether it was new."""
        if item in self._young:
            return False
        if len(self._young) >= self._limit:
            self._old, self._young = self._young, set()
        self._young.add(item)
        return item not in self._old


Reached = Callable[[str, bool], None]
"""Told of every artifact that is named, and whether as a node of a map; of some more than once."""


def _unheard(_artifact: str, _is_node: bool) -> None:  # noqa: FBT001 - the shape of `Reached`
    """For those who only look things up."""


class NamedArtifacts:
    """Looks up what the events of streams name."""

    def __init__(self, examination: Examination, recent_max: int = RECENT_MAX, reached: Reached = _unheard) -> None:
        self._reached = reached
        self._examination = examination
        self._artifacts = examination.store.artifacts
        self._looked_up = Recent(recent_max)
        self._nodes = Recent(recent_max)

    async def check(self, events: Sequence[Recorded]) -> None:
        """Examine everything that a page of events names."""
        wanted: dict[str, str] = {}
        roots: dict[str, str] = {}
        for event in events:
            for member, artifact in () if event.record is None else named_artifacts(event.record):
                place = f"{event.envelope.stream}#{event.envelope.seq}"
                by = f"event {place} names it as {member}"
                wanted.setdefault(artifact, by)
                if member.endswith(_MAP_ROOTS):
                    roots.setdefault(artifact, by)
        missing = await self._missing(wanted)
        for root, by in roots.items():
            if root not in missing:
                await self._walk(root, by)

    async def _missing(self, wanted: dict[str, str]) -> list[str]:
        """Which of these are not there; each is a finding."""
        unknown = [artifact for artifact in wanted if self._looked_up.add(artifact)]
        for artifact in unknown:
            self._reached(artifact, False)  # noqa: FBT003 - the shape of `Reached`
        there = await self._artifacts.exists(unknown) if unknown else []
        missing = [artifact for artifact, present in zip(unknown, there, strict=True) if not present]
        for artifact in missing:
            self._examination.found(ARTIFACT_NOT_FOUND.code, artifact, f"it is not there; {wanted[artifact]}")
        return missing

    async def _walk(self, root: str, by: str) -> None:
        """Examine the nodes of a map, and what its values name."""
        waiting = [(root, "")]
        values: dict[str, str] = {}
        while waiting:
            node_id, path = waiting.pop()
            node = await self._node(node_id, path, by) if self._nodes.add(path + node_id) else None
            if isinstance(node, Inner):
                waiting += [
                    (child, path + digit)
                    for digit, child in zip(HEX_DIGITS, node.children, strict=True)
                    if isinstance(child, str)
                ]
            elif node is not None:
                found = (value_of(key, member) for key, member in node.entries.items())
                values |= {value.id: f"{by}, in its map" for value in found if isinstance(value, ArtifactRef)}
            if len(values) >= PAGE or not waiting:
                await self._missing(values)
                values = {}

    async def _node(self, node_id: str, path: str, by: str) -> Node | None:
        self._reached(node_id, True)  # noqa: FBT003 - the shape of `Reached`
        try:
            [content] = await self._artifacts.get([node_id])
            return read_node(node_id, content, path)
        except (Corruption, NotFound) as fault:
            self._examination.found(fault.code, node_id, f"{fault.message}; {by}, in its map")
            return None


async def check_artifacts(examination: Examination) -> None:
    """Read every artifact, one at a time: they may be large."""
    after = ""
    artifacts = examination.store.artifacts
    while ids := await artifacts.scan(after, PAGE):
        for artifact in ids:
            await examination.reading(artifact, artifacts.get([artifact]))
        examination.counts["artifacts"] += len(ids)
        examination.step("artifacts", len(ids), of_events=False)
        after = ids[-1]
