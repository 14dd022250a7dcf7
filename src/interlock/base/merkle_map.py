"""The one persistent map: immutable, named by its content, and equal where its content is.

What it does: reads, writes, compares and merges maps from keys to canonical JSON values at a cost of what
changed. A map is named by the id of its root node; a change gives a new map and the blobs that it adds. What
it does not do: it stores nothing and waits for nothing. Nodes that it did not make come from `fetch`, or from
the caller by `with_nodes` after `NodesMissing` said which.

Rules: a node, once held, stays held as long as a map that leads to it; every node that comes in is verified
against its id and the rules of `merkle_node`; values are trusted to be canonical when written.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from interlock.base.bounds import MAP_VALUE_BYTES_MAX
from interlock.base.canonical import digest
from interlock.base.ids import artifact_id, context_key
from interlock.base.merkle_node import (
    EMPTY_LEAF,
    EMPTY_NODE,
    HEX_DIGITS,
    ArtifactRef,
    Child,
    Inner,
    Leaf,
    Node,
    Value,
    corrupt,
    id_of,
    in_order,
    is_leaf_in_parts,
    member_of,
    path_of,
    read_node,
    shaped,
    spread,
    value_of,
)

__all__ = ["EMPTY_NODE", "ArtifactRef", "MapConflict", "Merged", "MerkleMap", "NodesMissing", "Value"]


class NodesMissing(Exception):
    """Not an error but a question: an operation needs the nodes `ids`, which are not held.

    Bring them, give them to `with_nodes`, and repeat the operation on the map that it returns.
    """

    def __init__(self, ids: tuple[str, ...]) -> None:
        super().__init__(f"{len(ids)} nodes of a map are not held")
        self.ids = ids


@dataclass(frozen=True, slots=True)
class MapConflict:
    """A key that both sides changed, differently; None where it is absent."""

    key: str
    base: Value | None
    ours: Value | None
    theirs: Value | None


@dataclass(frozen=True, slots=True)
class Merged:
    """A three-way merge: `content` is ours with all that only they changed, `blobs` what that adds to ours.

    At a key in `conflicts`, sorted by key, `content` keeps our value.
    """

    content: MerkleMap
    blobs: list[tuple[str, bytes]]
    conflicts: tuple[MapConflict, ...]


Fetch = Callable[[str], bytes]
"""Gives the stored bytes of a node; raises where there are none."""

_Change = tuple[str, str, bytes | None]
"""Path, key, and the new member of the leaf; None deletes."""

_Place = tuple[Inner, int, str]
"""A child: its parent, its hex digit, and its path."""


class MerkleMap:
    """An immutable map from keys (as `ids.context_key` has them) to canonical JSON values.

    Whatever reads raises `NodesMissing` where it needs a node that is not held and there is no `fetch`,
    `map_node_corrupt` where a node is not what its id and its place say, and what `fetch` raises.
    """

    __slots__ = ("_fetch", "_given", "_root")

    def __init__(self, root: Node | str, fetch: Fetch | None, given: dict[str, bytes]) -> None:
        self._root = root
        self._fetch = fetch
        self._given = given

    @classmethod
    def empty(cls) -> MerkleMap:
        """The map without entries; its one node is `EMPTY_NODE`, which nobody has stored yet."""
        return cls(EMPTY_LEAF, None, {})

    @classmethod
    def load(cls, root_id: str, fetch: Fetch | None = None) -> MerkleMap:
        """The stored map `root_id`; nothing is read before it is needed. Raises: `id_invalid`."""
        return cls(EMPTY_LEAF if root_id == EMPTY_LEAF.id else artifact_id(root_id), fetch, {})

    @property
    def root_id(self) -> str:
        """The id of the root node: equal for equal content, and only then."""
        return id_of(self._root)

    def with_nodes(self, nodes: Mapping[str, bytes]) -> MerkleMap:
        """The same map with stored nodes, by id, at hand; they are verified when they are used."""
        return MerkleMap(self._root, self._fetch, {**self._given, **nodes})

    def needed(self, key: str) -> str | None:
        """The id of the next node without which `get_raw(key)` cannot answer; None when it can."""
        try:
            self._leaf(key)
        except NodesMissing as missing:
            return missing.ids[0]
        return None

    def missing(self, keys: Iterable[str] | None = None) -> list[str]:
        """The ids of the nodes to bring next for `keys`, or for the whole map; empty when all are held.

        What lies below them is not known yet: bring them, call `with_nodes`, and ask again.
        """
        if keys is not None:
            return sorted({node_id for key in keys if (node_id := self.needed(key)) is not None})
        try:
            waiting = [("", self._root_node())]
        except NodesMissing as missing:
            return list(missing.ids)
        absent: list[str] = []
        while waiting:
            path, node = waiting.pop()
            if isinstance(node, Inner):
                absent += self._absent(_places(node, path))
                waiting += [(path + HEX_DIGITS[index], child) for index, child in node.held()]
        return absent

    def get_raw(self, key: str) -> Value | None:
        """The canonical bytes of the value at `key`, or the artifact that holds them; None if there is none.

        Raises: `id_invalid`.
        """
        member = self._leaf(key).entries.get(key)
        return None if member is None else value_of(key, member)

    def update(self, writes: Mapping[str, Value | None]) -> tuple[MerkleMap, list[tuple[str, bytes]]]:
        """The map after `writes` (None deletes), and the blobs, by id, that it adds to those of this one.

        Values are canonical bytes, or references that another map gave. Blobs are new nodes, and values of
        more than 4 KiB. Taking content away may need nodes beside the paths of its keys.

        Raises: `id_invalid`.
        """
        if not writes:
            return self, []
        blobs: dict[str, bytes] = {}
        changes = [(path_of(context_key(key)), key, self._member(key, value, blobs)) for key, value in writes.items()]
        old = self._root_node()
        new = self._changed(old, changes, 0)
        if new is old:
            return self, []
        new.seal(blobs)
        return MerkleMap(new, self._fetch, self._given), list(blobs.items())

    def items(self) -> Iterator[tuple[str, Value]]:
        """Every entry, in an order fixed by the keys. Reads and thereby verifies the whole map."""
        waiting: list[tuple[str, Node]] = [("", self._root_node())]
        while waiting:
            path, node = waiting.pop()
            if isinstance(node, Inner):
                _ask(self._absent(_places(node, path)))
                if is_leaf_in_parts(node.children):
                    raise corrupt(node.id, "an inner node holds no more than a leaf may")
                waiting += [(path + HEX_DIGITS[index], child) for index, child in reversed(node.held())]
            else:
                yield from ((key, value_of(key, node.entries[key])) for key in in_order(node.entries))

    def diff(self, other: MerkleMap) -> Iterator[tuple[str, Value | None, Value | None]]:
        """Each key that differs with its value here and in `other`, in an order fixed by the keys.

        Costs what differs: equal nodes are never read. `NodesMissing` asks at once for all nodes of a level, of
        both maps; give them to both, and begin again.
        """
        pairs = [("", self._root_node(), other._root_node())] if self.root_id != other.root_id else []
        while pairs:
            below: list[tuple[_Place, _Place]] = []
            for path, left, right in pairs:
                if isinstance(left, Leaf) and isinstance(right, Leaf):
                    yield from _leaf_differences(left, right)
                else:
                    below += _unequal_places(path, left, right)
            _ask([*self._absent(mine for mine, _ in below), *other._absent(its for _, its in below)])
            pairs = [(path, mine.node_at(index), its.node_at(index)) for (mine, index, path), (its, _, _) in below]

    @staticmethod
    def merge(base: MerkleMap, ours: MerkleMap, theirs: MerkleMap) -> Merged:
        """What both sides made of `base`, key by key, at a cost of what they changed; equal changes agree.

        Nodes that `NodesMissing` asks for may belong to any of the three.
        """
        our_changes = {key: value for key, _, value in base.diff(ours)}
        writes: dict[str, Value | None] = {}
        conflicts = []
        for key, before, value in base.diff(theirs):
            if key not in our_changes:
                writes[key] = value
            elif our_changes[key] != value:
                conflicts.append(MapConflict(key, before, our_changes[key], value))
        content, blobs = ours.update(writes)
        return Merged(content, blobs, tuple(sorted(conflicts, key=lambda conflict: conflict.key)))

    def _member(self, key: str, value: Value | None, blobs: dict[str, bytes]) -> bytes | None:
        """The member for `value`; one that is too large for a node goes to `blobs`, if it is new."""
        if value is None:
            return None
        if isinstance(value, bytes) and len(value) > MAP_VALUE_BYTES_MAX:
            reference = ArtifactRef(digest(value))
            if self.get_raw(key) != reference:
                blobs[reference.id] = value
            value = reference
        return member_of(key, value)

    def _changed(self, node: Node, changes: Sequence[_Change], depth: int) -> Node:
        """`node` after `changes`, whose paths all lead to it; itself if they change nothing, else unsealed."""
        if isinstance(node, Leaf):
            return _leaf_changed(node, changes, depth)
        groups: dict[int, list[_Change]] = {}
        for change in changes:
            groups.setdefault(int(change[0][depth], 16), []).append(change)
        path = changes[0][0][:depth]
        _ask(self._absent((node, index, path + HEX_DIGITS[index]) for index in groups))
        children = node.children.copy()
        unsealed, smaller = [], False
        for index, group in groups.items():
            old = node.node_at(index)
            new = self._changed(old, group, depth + 1)
            if new is not old:
                children[index] = None if _is_empty(new) else new
                unsealed.append(index)
                smaller = smaller or _is_smaller(new, old)
        if not unsealed:
            return node
        if smaller and self._fits_leaf(node, children, path):
            return shaped(_entries(children), depth)
        return Inner(children, node.members.copy(), unsealed)

    def _fits_leaf(self, old: Inner, children: list[Child], path: str) -> bool:
        """Whether `children`, which come from `old` at `path`, fit one leaf; holds all of them if they do."""
        unheld = [index for index, child in enumerate(children) if isinstance(child, str)]
        if unheld and is_leaf_in_parts(children):
            _ask(self._absent((old, index, path + HEX_DIGITS[index]) for index in unheld))
            for index in unheld:
                children[index] = old.children[index]
        return is_leaf_in_parts(children)

    def _leaf(self, key: str) -> Leaf:
        """The leaf where `key` stands, or would."""
        path = path_of(context_key(key))
        node, depth = self._root_node(), 0
        while isinstance(node, Inner):
            index = int(path[depth], 16)
            depth += 1
            if isinstance(node.children[index], str):
                _ask(self._absent([(node, index, path[:depth])]))
            node = node.node_at(index)
        return node

    def _root_node(self) -> Node:
        if isinstance(self._root, str):
            root = self._read(self._root, "")
            if root is None:
                raise NodesMissing((self._root,))
            self._root = root
        return self._root

    def _absent(self, places: Iterable[_Place]) -> list[str]:
        """Read the children at `places` that are not held yet; return the ids of those that are not to be had."""
        absent: list[str] = []
        for inner, index, path in places:
            child = inner.children[index]
            if isinstance(child, str):
                node = self._read(child, path)
                if node is None:
                    absent.append(child)
                else:
                    inner.children[index] = node
        return absent

    def _read(self, node_id: str, path: str) -> Node | None:
        content = self._given.pop(node_id, None)
        if content is None and self._fetch is not None:
            content = self._fetch(node_id)
        return None if content is None else read_node(node_id, content, path)


def _ask(absent: list[str]) -> None:
    if absent:
        raise NodesMissing(tuple(absent))


def _leaf_changed(leaf: Leaf, changes: Sequence[_Change], depth: int) -> Node:
    if all(leaf.entries.get(key) == member for _, key, member in changes):
        return leaf
    entries = leaf.entries.copy()
    for _, key, member in changes:
        if member is None:
            entries.pop(key, None)
        else:
            entries[key] = member
    return shaped(entries, depth)


def _is_empty(node: Node) -> bool:
    return isinstance(node, Leaf) and not node.entries


def _is_smaller(new: Node, old: Node) -> bool:
    """Whether content went away, so that the parent may have to become a leaf."""
    if isinstance(old, Inner) or isinstance(new, Inner):
        return isinstance(new, Leaf)
    return len(new.entries) < len(old.entries) or new.size_bytes < old.size_bytes


def _entries(leaves: Iterable[Child]) -> dict[str, bytes]:
    """The entries of children that are all leaves."""
    return {key: member for leaf in leaves if isinstance(leaf, Leaf) for key, member in leaf.entries.items()}


def _leaf_differences(left: Leaf, right: Leaf) -> Iterator[tuple[str, Value | None, Value | None]]:
    for key in in_order(left.entries.keys() | right.entries.keys()):
        mine, theirs = left.entries.get(key), right.entries.get(key)
        if mine != theirs:
            yield key, mine and value_of(key, mine), theirs and value_of(key, theirs)


def _unequal_places(path: str, left: Node, right: Node) -> list[tuple[_Place, _Place]]:
    """The places below two nodes at `path` where they differ."""
    mine, theirs = [node if isinstance(node, Inner) else spread(node, len(path)) for node in (left, right)]
    return [
        ((mine, index, path + digit), (theirs, index, path + digit))
        for index, digit in enumerate(HEX_DIGITS)
        if mine.id_at(index) != theirs.id_at(index)
    ]


def _places(inner: Inner, path: str) -> list[_Place]:
    return [(inner, index, path + digit) for index, digit in enumerate(HEX_DIGITS)]
