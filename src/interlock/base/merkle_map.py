"""The persistent map: a history-independent hash trie whose root id names its whole content.

What it does: `MerkleMap` is an immutable map from keys to canonical JSON bytes; an update costs what changed, and gives
the blobs to store; diff and merge cost the differences. What it does not do: it stores and fetches nothing.

Rules: the shape is a function of content alone, also after deletions, so equal contents have equal ids whatever their
history; nodes are loaded when first needed: an operation that meets one that is not in memory raises `NodeNeeded`, is
supplied with its bytes (`supply`), and is tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from interlock.base.canonical import digest
from interlock.base.merkle_node import (
    EMPTY_LEAF,
    EMPTY_NODE,
    HEXADECIMAL,
    LEAF_BYTES_MAX,
    LEAF_ENTRIES_MAX,
    VALUE_BYTES_MAX,
    ArtifactRef,
    Inner,
    Leaf,
    Node,
    entry,
    parse_node,
    path_of,
    value_of,
)

Value = bytes | ArtifactRef
Write = tuple[str, str, bytes | None]
"""Key, its path, its entry (None: remove)."""

_NIBBLE: Final = {character: place for place, character in enumerate(HEXADECIMAL)}


class NodeNeeded(LookupError):
    """An operation needs the node `id`: fetch its bytes, `supply` them, and try again."""

    def __init__(self, node_id: str) -> None:
        super().__init__(node_id)
        self.id = node_id


class MerkleMap:
    """An immutable map. Changing it gives another one that shares what did not change."""

    __slots__ = ("_root", "_supplied")

    def __init__(self, root: Node | str) -> None:
        self._root = root
        self._supplied: dict[str, bytes] = {}

    @classmethod
    def empty(cls) -> MerkleMap:
        """The map without entries."""
        return cls(EMPTY_LEAF)

    @classmethod
    def load(cls, root_id: str) -> MerkleMap:
        """The map of this root id; nothing is loaded yet."""
        return cls(root_id)

    @property
    def root_id(self) -> str:
        """SHA-256 of the root node: the name of the content."""
        return self._root if isinstance(self._root, str) else self._root.id

    def supply(self, node_id: str, content: bytes) -> None:
        """Give the bytes of a node that was needed; they are checked when they are used."""
        self._supplied[node_id] = content

    def get(self, key: str) -> Value | None:
        """The canonical bytes of a value, the artifact that holds them, or None. Raises: `NodeNeeded`."""
        path = path_of(key)
        node, depth = self._top(), 0
        while isinstance(node, Inner):
            child = self._child(node, _NIBBLE[path[depth]], path[: depth + 1])
            if child is None:
                return None
            node, depth = child, depth + 1
        part = node.find(key)
        return None if part is None else value_of(part)

    def update(self, writes: Mapping[str, bytes | None]) -> tuple[MerkleMap, list[tuple[str, bytes]]]:
        """The map after `writes` (canonical bytes; None removes), and the (id, bytes) to store for it.

        Raises: `NodeNeeded`; `map_key_invalid`. The blobs are the changed nodes and the values above 4 KiB; the map
        must not be read by others before they are durable.
        """
        blobs: list[tuple[str, bytes]] = []
        held: dict[str, Value | None] = {}
        for key, value in writes.items():
            held[key] = value
            if value is not None and len(value) > VALUE_BYTES_MAX:
                reference = held[key] = ArtifactRef(digest(value))
                blobs.append((reference.id, value))
        after, nodes = self.with_values(held)
        return after, blobs + nodes

    def with_values(self, values: Mapping[str, Value | None]) -> tuple[MerkleMap, list[tuple[str, bytes]]]:
        """As `update`, for values that are small or stored already. Raises: `NodeNeeded`; `map_key_invalid`."""
        prepared = [(k, path_of(k), None if v is None else entry(k, v)) for k, v in values.items()]
        before = self._top()
        root = self._changed(before, "", prepared) or EMPTY_LEAF
        if root.id == before.id:
            return self, []
        return MerkleMap(root), [(node.id, node.content()) for node in _fresh(root, before)]

    def items(self) -> Iterator[tuple[str, Value]]:
        """Every key with its value, in the order of the tree. Raises: `NodeNeeded`."""
        for leaf in self._leaves(self._top(), ""):
            for key, part in zip(leaf.keys, leaf.parts, strict=True):
                yield key, value_of(part)

    def load_all(self, fetch: Callable[[str], bytes]) -> MerkleMap:
        """Load every node through `fetch`, so that nothing needs one any more."""
        while True:
            try:
                for _ in self._leaves(self._top(), ""):
                    pass
            except NodeNeeded as missing:
                self.supply(missing.id, fetch(missing.id))
            else:
                return self

    def diff(self, other: MerkleMap) -> Iterator[tuple[str, Value | None, Value | None]]:
        """Each key whose value differs, with ours and theirs: costs the differences. Raises: `NodeNeeded`."""
        yield from self._diff(self._top(), other, other._top(), "")

    def _diff(
        self, ours: Node | None, other: MerkleMap, theirs: Node | None, prefix: str
    ) -> Iterator[tuple[str, Value | None, Value | None]]:
        if ours is not None and theirs is not None and ours.id == theirs.id:
            return
        if isinstance(ours, Inner) and isinstance(theirs, Inner):
            for place in range(16):
                if _id_at(ours, place) != _id_at(theirs, place):
                    path = prefix + HEXADECIMAL[place]
                    yield from self._diff(
                        self._child(ours, place, path), other, other._child(theirs, place, path), path
                    )
            return
        left = dict(self._entries(ours, prefix))
        right = dict(other._entries(theirs, prefix))
        for key in sorted(left.keys() | right.keys()):
            mine, yours = left.get(key), right.get(key)
            if mine != yours:
                yield key, mine and value_of(mine), yours and value_of(yours)

    def _entries(self, node: Node | None, prefix: str) -> Iterator[tuple[str, bytes]]:
        if node is not None:
            for leaf in self._leaves(node, prefix):
                yield from zip(leaf.keys, leaf.parts, strict=True)

    def _leaves(self, node: Node, prefix: str) -> Iterator[Leaf]:
        if isinstance(node, Leaf):
            yield node
            return
        for place in range(16):
            path = prefix + HEXADECIMAL[place]
            child = self._child(node, place, path)
            if child is not None:
                yield from self._leaves(child, path)

    def _top(self) -> Node:
        if isinstance(self._root, str):
            self._root = self._loaded(self._root, "")
        return self._root

    def _child(self, node: Inner, place: int, path: str) -> Node | None:
        """The child at `place`, loading it into its parent: that changes what is in memory, not what it means."""
        child = node.children[place]
        if isinstance(child, str):
            child = node.children[place] = self._loaded(child, path)
        return child

    def _loaded(self, node_id: str, path: str) -> Node:
        if node_id == EMPTY_LEAF.id and not path:
            return EMPTY_LEAF
        content = self._supplied.pop(node_id, None)
        if content is None:
            raise NodeNeeded(node_id)
        return parse_node(node_id, content, path)

    def _changed(self, node: Node | None, prefix: str, writes: list[Write]) -> Node | None:
        """The subtree at `prefix` after `writes`; None when it has no entry left."""
        if node is None or isinstance(node, Leaf):
            leaf = (node or EMPTY_LEAF).changed((key, part) for key, _, part in writes)
            if leaf.fits():
                return leaf if leaf.keys else None
            return _split(zip(leaf.keys, leaf.parts, strict=True), len(prefix))
        children = node.children[:]
        shrunk = False
        depth = len(prefix)
        for place, group in _grouped(writes, depth).items():
            path = prefix + HEXADECIMAL[place]
            before = self._child(node, place, path)
            children[place] = after = self._changed(before, path, group)
            shrunk |= after is None or isinstance(after, Leaf)
        return (self._collapsed(children, prefix) if shrunk else None) or Inner(children)

    def _collapsed(self, children: list[Node | str | None], prefix: str) -> Leaf | None:
        """One leaf of all that stands below, if it fits: then the shape must be that leaf."""
        entries = size = 0
        # What is in memory is counted first: most often it decides, and nothing has to be loaded.
        for place in sorted(range(16), key=lambda p: isinstance(children[p], str)):
            child = children[place]
            if isinstance(child, str):
                child = children[place] = self._loaded(child, prefix + HEXADECIMAL[place])
            if isinstance(child, Inner):
                return None
            if child is not None:
                entries += len(child.keys)
                size += child.size - 1  # without its braces, with a comma
            if entries > LEAF_ENTRIES_MAX or size + 1 > LEAF_BYTES_MAX:
                return None
        leaves = [child for child in children if isinstance(child, Leaf)]
        return EMPTY_LEAF.changed(pair for leaf in leaves for pair in zip(leaf.keys, leaf.parts, strict=True))


def _grouped(writes: list[Write], depth: int) -> dict[int, list[Write]]:
    groups: dict[int, list[Write]] = {}
    for write in writes:
        groups.setdefault(_NIBBLE[write[1][depth]], []).append(write)
    return groups


def _split(entries: Iterator[tuple[str, bytes]], depth: int) -> Inner:
    """The subtree of entries that do not fit one leaf."""
    groups: dict[int, list[tuple[str, bytes]]] = {}
    for key, part in entries:
        groups.setdefault(_NIBBLE[path_of(key)[depth]], []).append((key, part))
    children: list[Node | str | None] = [None] * 16
    for place, group in groups.items():
        leaf = EMPTY_LEAF.changed(group)
        children[place] = leaf if leaf.fits() else _split(iter(group), depth + 1)
    return Inner(children)


def _id_at(node: Inner, place: int) -> str | None:
    child = node.children[place]
    return child.id if isinstance(child, (Leaf, Inner)) else child


def _fresh(after: Node, before: Node | None) -> Iterator[Node]:
    """The nodes of `after` that `before` does not have at the same place."""
    if before is not None and after.id == before.id:
        return
    yield after
    if isinstance(after, Inner):
        for place, child in enumerate(after.children):
            if isinstance(child, (Leaf, Inner)):
                known = before.children[place] if isinstance(before, Inner) else None
                if (known if isinstance(known, str) else known and known.id) != child.id:
                    yield from _fresh(child, None if isinstance(known, str) else known)


class MergeConflict(Exception):  # noqa: N818 - a result of merging, with all keys that clash
    """Both sides wrote these keys differently."""

    def __init__(self, keys: list[str]) -> None:
        super().__init__(", ".join(keys))
        self.keys = keys


def merge(base: MerkleMap, ours: MerkleMap, theirs: MerkleMap) -> tuple[MerkleMap, list[tuple[str, bytes]]]:
    """`ours` with what `theirs` changed since `base`, and the blobs to store: costs the differences.

    Raises: `MergeConflict` with every key that both changed to different values; `NodeNeeded`.
    """
    mine = {key: after for key, _, after in base.diff(ours)}
    conflicts, writes = [], dict[str, Value | None]()
    for key, _, after in base.diff(theirs):
        if key in mine and mine[key] != after:
            conflicts.append(key)
        writes[key] = after
    if conflicts:
        raise MergeConflict(sorted(conflicts))
    return ours.with_values(writes)


__all__ = ["EMPTY_NODE", "ArtifactRef", "MergeConflict", "MerkleMap", "NodeNeeded", "Value", "merge"]
