"""Nodes of the persistent map: their bytes, the rule of their shape, and the strict reading of stored ones.

What it does: format 1, for ever. A leaf is `{key: ["v", value] | ["a", artifact id]}`, an inner node
`{hex digit: ["n", node id]}`, both canonical JSON; the id of a node is the SHA-256 of its bytes. What it does
not do: it walks no tree and fetches nothing; that is `merkle_map`.

Rules: the node at a place holds exactly the keys whose SHA-256 begins with the hex digits that lead there, and
is a leaf exactly when they fit one: so the shape is a function of the content alone. One entry always fits (a
key is at most 2 KiB of JSON, a value in a node 4 KiB), so what does not fit has two keys and can be divided.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import orjson

from interlock.base.bounds import MAP_LEAF_ENTRIES_MAX, MAP_NODE_BYTES_MAX, MAP_VALUE_BYTES_MAX
from interlock.base.canonical import digest, is_canonical
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import context_key

MAP_NODE_CORRUPT = ErrorCode(
    "map_node_corrupt", Category.CORRUPT, "Run `interlock doctor`, and restore the store from a backup."
)

ERRORS = (MAP_NODE_CORRUPT,)

HEX_DIGITS = "0123456789abcdef"
EMPTY_NODE = b"{}"
"""The bytes of the root of the empty map."""


@dataclass(frozen=True, slots=True)
class ArtifactRef:
    """A value that is too large for a node: its canonical bytes are the artifact `id`."""

    id: str


Value = bytes | ArtifactRef
"""Canonical bytes, or where they are."""


class Leaf:
    """A node that holds entries, each as its member of the node's JSON object. Never changed once made."""

    __slots__ = ("content", "entries", "id", "size_bytes")

    def __init__(self, entries: dict[str, bytes]) -> None:
        content = b",".join([entries[key] for key in sorted(entries)])
        if not content.isascii():
            content = b",".join([entries[key] for key in in_order(entries)])
        self.entries = entries
        self.content = b"{" + content + b"}"
        self.size_bytes = len(self.content)
        self.id = ""

    def seal(self, blobs: dict[str, bytes]) -> None:
        """Give the node its id, and its bytes to `blobs`."""
        self.id = digest(self.content)
        blobs[self.id] = self.content
        self.content = b""


class Inner:
    """A node that leads to others: at each hex digit nothing, a node, or the id of one that is not held.

    Once made, a child changes only from an id to the node of that id. `members` are the texts of the node's JSON
    object, by place; those at `unsealed` are made when the node is sealed.
    """

    __slots__ = ("children", "id", "members", "unsealed")

    def __init__(self, children: list[Child], members: list[str], unsealed: Iterable[int]) -> None:
        self.children = children
        self.members = members
        self.unsealed = unsealed
        self.id = ""

    def seal(self, blobs: dict[str, bytes]) -> None:
        """Give every new node from here down its id, and its bytes to `blobs`, children first."""
        for index in self.unsealed:
            child = self.children[index]
            if isinstance(child, Leaf | Inner) and not child.id:
                child.seal(blobs)
            self.members[index] = f'"{HEX_DIGITS[index]}":["n","{id_of(child)}"]' if child else ""
        self.unsealed = ()
        content = ("{" + ",".join(filter(None, self.members)) + "}").encode("ascii")
        self.id = digest(content)
        blobs[self.id] = content

    def node_at(self, index: int) -> Node:
        """The child at a place that is empty or held."""
        child = self.children[index]
        if isinstance(child, Leaf | Inner):
            return child
        if child is None:
            return EMPTY_LEAF
        raise LookupError(child)

    def id_at(self, index: int) -> str:
        """The id of the sealed child at a place; empty where there is none."""
        child = self.children[index]
        return "" if child is None else id_of(child)

    def held(self) -> list[tuple[int, Node]]:
        """The children that are nodes, with their places."""
        return [(i, child) for i, child in enumerate(self.children) if isinstance(child, Leaf | Inner)]


Node = Leaf | Inner
Child = Leaf | Inner | str | None


def inner_of(children: list[Child]) -> Inner:
    """A new inner node over `children`, not sealed."""
    return Inner(children, [""] * len(HEX_DIGITS), range(len(HEX_DIGITS)))


def id_of(child: Leaf | Inner | str) -> str:
    """The id of a sealed node, or of one that is not held."""
    return child if isinstance(child, str) else child.id


def path_of(key: str) -> str:
    """The 64 hex digits that lead to `key`."""
    return hashlib.sha256(key.encode("utf-8")).hexdigest()


def member_of(key: str, value: Value) -> bytes:
    """How an entry stands in its leaf: `"key":["v",value]` or `"key":["a",artifact id]`."""
    if isinstance(value, bytes):
        return b'%b:["v",%b]' % (orjson.dumps(key), value)
    return b'%b:["a","%b"]' % (orjson.dumps(key), value.id.encode("ascii"))


def value_of(key: str, member: bytes) -> Value:
    """The value in what `member_of` made."""
    start = len(orjson.dumps(key)) + len(b':["v",')
    if member[start - 3] == ord("v"):
        return member[start:-1]
    return ArtifactRef(member[start + 1 : -2].decode("ascii"))


def shaped(entries: dict[str, bytes], depth: int) -> Node:
    """The one node for `entries`, not sealed; `depth` hex digits of their paths led here."""
    if len(entries) <= MAP_LEAF_ENTRIES_MAX:
        leaf = Leaf(entries)
        if leaf.size_bytes <= MAP_NODE_BYTES_MAX:
            return leaf
    return inner_of([shaped(part, depth + 1) if part else None for part in _divided(entries, depth)])


def spread(leaf: Leaf, depth: int) -> Inner:
    """The entries of a leaf at `depth` as they would stand one level below, sealed."""
    inner = inner_of([Leaf(part) if part else None for part in _divided(leaf.entries, depth)])
    inner.seal({})
    return inner


def _divided(entries: dict[str, bytes], depth: int) -> list[dict[str, bytes]]:
    parts: list[dict[str, bytes]] = [{} for _ in HEX_DIGITS]
    for key, member in entries.items():
        parts[int(path_of(key)[depth], 16)][key] = member
    return parts


def is_leaf_in_parts(children: Iterable[Child]) -> bool:
    """Whether these children, as far as they are held, would together fit one leaf."""
    entries, size_bytes = 0, 1
    for child in children:
        if isinstance(child, Inner):
            return False
        if isinstance(child, Leaf):
            entries += len(child.entries)
            size_bytes += child.size_bytes - 1  # of all braces only two stay; a comma stands between two
    return entries <= MAP_LEAF_ENTRIES_MAX and size_bytes <= MAP_NODE_BYTES_MAX


def in_order(keys: Iterable[str]) -> list[str]:
    """`keys` in the order of RFC 8785: by UTF-16 units, which for ASCII is the order of code points."""
    return sorted(keys, key=lambda key: key.encode("utf-16-be"))


def read_node(node_id: str, content: bytes, path: str) -> Node:
    """The sealed node `node_id` from its stored bytes, for the place to which the hex digits `path` lead.

    Whether an inner node should be a leaf shows only when its children are held: see `is_leaf_in_parts`.

    Raises: `map_node_corrupt`, where the bytes are not those of the id or break a rule of the format.
    """
    if digest(content) != node_id:
        raise corrupt(node_id, "its bytes have another digest")
    if len(content) > MAP_NODE_BYTES_MAX:
        raise corrupt(node_id, "it is too large")
    try:
        members = _DECODER.decode(content)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise corrupt(node_id, "it is no node of a map") from None
    tags = {tag for tag, _ in members.values()}
    raws = {key: bytes(raw) for key, (_, raw) in members.items()}
    if tags == {"n"}:
        node: Node = _read_inner(node_id, raws, path)
    elif tags <= {"a", "v"}:
        entries = {key: _read_entry(node_id, path, key, tag, raws[key]) for key, (tag, _) in members.items()}
        node = Leaf(entries)
        if len(entries) > MAP_LEAF_ENTRIES_MAX or (path and not entries):
            raise corrupt(node_id, "a leaf has too many entries, or none")
    else:
        raise corrupt(node_id, "it is neither leaf nor inner node")
    written: dict[str, bytes] = {}
    node.seal(written)
    if node_id not in written:
        raise corrupt(node_id, "its bytes are not canonical")
    return node


def _read_inner(node_id: str, raws: dict[str, bytes], path: str) -> Inner:
    known = all(key in HEX_DIGITS and len(key) == 1 for key in raws)
    if not known or len(path) >= _PATH_DIGITS or not all(map(_QUOTED_DIGEST.fullmatch, raws.values())):
        raise corrupt(node_id, "an inner node leads nowhere")
    return inner_of([raws[digit][1:-1].decode("ascii") if digit in raws else None for digit in HEX_DIGITS])


def _read_entry(node_id: str, path: str, key: str, tag: str, raw: bytes) -> bytes:
    try:
        context_key(key)
    except InterlockError:
        raise corrupt(node_id, "a key is not one") from None
    if not path_of(key).startswith(path):
        raise corrupt(node_id, "an entry stands in the wrong place")
    if tag == "a" and not _QUOTED_DIGEST.fullmatch(raw):
        raise corrupt(node_id, "an artifact id is not one")
    if tag == "v" and (len(raw) > MAP_VALUE_BYTES_MAX or not is_canonical(raw)):
        raise corrupt(node_id, "a value is too large or not canonical")
    return b'%b:["%b",%b]' % (orjson.dumps(key), tag.encode("ascii"), raw)


def corrupt(node_id: str, why: str) -> InterlockError:
    """The error of a stored node that breaks the format."""
    return MAP_NODE_CORRUPT.error(f"node {node_id} of a map is damaged: {why}", node=node_id)


EMPTY_LEAF = Leaf({})
EMPTY_LEAF.seal({})

_PATH_DIGITS = 64
_DECODER = msgspec.json.Decoder(dict[str, tuple[str, msgspec.Raw]])
_QUOTED_DIGEST = re.compile(rb'"[0-9a-f]{64}"')
