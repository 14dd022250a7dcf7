"""Nodes of the persistent map: their bytes, their limits, and how strictly they are read.

What it does: builds leaf and inner nodes as canonical JSON, names them by SHA-256, and parses stored ones. What it does
not do: it knows no tree; `merkle_map` does.

Format 1, for ever: a leaf is `{key: ["v", value] | ["a", artifact id]}`, an inner node `{hex digit: ["n", node id]}`.
A leaf holds at most 64 entries and 8 KiB; a value above 4 KiB is always an artifact. The tags keep the two apart, and
`{}` is the empty leaf, which is only ever a root.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from interlock.base.bounds import NAME_CHARACTERS_MAX
from interlock.base.canonical import canonical, digest, parse
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import artifact_id

LEAF_ENTRIES_MAX: Final = 64
LEAF_BYTES_MAX: Final = 8192
VALUE_BYTES_MAX: Final = 4096
EMPTY_NODE: Final = b"{}"
HEXADECIMAL: Final = "0123456789abcdef"

MAP_NODE_INVALID = ErrorCode(
    "map_node_invalid", Category.CORRUPT, "The stored map is damaged or forged: restore a backup."
)
MAP_KEY_INVALID = ErrorCode(
    "map_key_invalid", Category.INVALID, f"Use keys of 1 to {NAME_CHARACTERS_MAX} characters."
)
ERRORS = (MAP_NODE_INVALID, MAP_KEY_INVALID)

_encode_text = msgspec.json.Encoder().encode
_decode_members = msgspec.json.Decoder(dict[str, tuple[str, msgspec.Raw]]).decode


class ArtifactRef(msgspec.Struct, frozen=True):
    """A large value: the artifact that holds its canonical bytes."""

    id: str


def path_of(key: str) -> str:
    """The place of a key in the tree: the hexadecimal digits of its SHA-256.

    Raises: `map_key_invalid` for a key that is empty, too long or not whole characters.
    """
    try:
        content = key.encode("utf-8")
    except UnicodeEncodeError:
        raise MAP_KEY_INVALID.error("a key has a lone surrogate") from None
    if not 0 < len(key) <= NAME_CHARACTERS_MAX:
        raise MAP_KEY_INVALID.error(f"a key has {len(key)} characters", characters=len(key))
    return hashlib.sha256(content).hexdigest()


def entry(key: str, value: bytes | ArtifactRef) -> bytes:
    """One entry of a leaf as it stands in the node's bytes."""
    if isinstance(value, ArtifactRef):
        return b'%b:["a","%b"]' % (_encode_text(key), value.id.encode("ascii"))
    return b'%b:["v",%b]' % (_encode_text(key), value)


class Leaf:
    """Entries in the order of RFC 8785: by UTF-16 code units of their keys. Never changed once made."""

    __slots__ = ("id", "keys", "orders", "parts", "size")

    def __init__(self, keys: list[str], orders: list[bytes], parts: list[bytes], size: int) -> None:
        self.keys = keys
        self.orders = orders
        self.parts = parts
        self.size = size
        self.id = digest(self.content())

    def content(self) -> bytes:
        """The node's bytes."""
        return b"{%b}" % b",".join(self.parts)

    def fits(self) -> bool:
        """Whether its entries may stand in one leaf."""
        return len(self.keys) <= LEAF_ENTRIES_MAX and self.size <= LEAF_BYTES_MAX

    def find(self, key: str) -> bytes | None:
        """The entry of `key`, or None."""
        order = key.encode("utf-16-be")
        place = bisect_left(self.orders, order)
        found = place < len(self.orders) and self.orders[place] == order
        return self.parts[place] if found else None

    def changed(self, writes: Iterable[tuple[str, bytes | None]]) -> Leaf:
        """A leaf with these entries put or (None) removed; it may not fit."""
        keys, orders, parts, size = self.keys[:], self.orders[:], self.parts[:], self.size
        for key, part in writes:
            order = key.encode("utf-16-be")
            place = bisect_left(orders, order)
            if place < len(orders) and orders[place] == order:
                size -= len(parts[place])
                if part is None:
                    size -= len(keys) > 1  # its comma
                    del keys[place], orders[place], parts[place]
                else:
                    size += len(part)
                    parts[place] = part
            elif part is not None:
                size += len(part) + (len(keys) > 0)
                keys.insert(place, key)
                orders.insert(place, order)
                parts.insert(place, part)
        return Leaf(keys, orders, parts, size)


EMPTY_LEAF: Final = Leaf([], [], [], len(EMPTY_NODE))


class Inner:
    """Sixteen places, each empty, a node that is in memory, or the id of one that is not (yet)."""

    __slots__ = ("children", "id")

    def __init__(self, children: list[Node | str | None]) -> None:
        self.children = children
        self.id = digest(self.content())

    def content(self) -> bytes:
        """The node's bytes."""
        members = [
            b'"%b":["n","%b"]' % (HEXADECIMAL[place].encode(), (c if isinstance(c, str) else c.id).encode())
            for place, c in enumerate(self.children)
            if c is not None
        ]
        return b"{%b}" % b",".join(members)


Node = Leaf | Inner


def _fault(why: str) -> InterlockError:
    return MAP_NODE_INVALID.error(f"a node of the map breaks a rule: {why}", why=why)


def parse_node(node_id: str, content: bytes, prefix: str) -> Node:
    """The node in stored bytes, which stands in the tree at the hexadecimal path `prefix`.

    Raises: `map_node_invalid` if the bytes are not those of `node_id`, not canonical, or not a node for that place.
    """
    if digest(content) != node_id:
        raise _fault("its bytes are not those of its id")
    try:
        if canonical(parse(content)) != content:
            raise _fault("it is not canonical")
        members = _decode_members(content)
    except (msgspec.MsgspecError, InterlockError) as fault:
        raise _fault("it is not a node") from fault
    tags = {tag for tag, _ in members.values()}
    if tags == {"n"}:
        return _inner(members)
    if tags <= {"v", "a"} and (members or not prefix):
        return _leaf(members, prefix)
    raise _fault("it is neither leaf nor inner node")


def _inner(members: Mapping[str, tuple[str, msgspec.Raw]]) -> Inner:
    children: list[Node | str | None] = [None] * 16
    for name, (_, raw) in members.items():
        if len(name) != 1 or name not in HEXADECIMAL:
            raise _fault("a place of an inner node is not a hexadecimal digit")
        children[HEXADECIMAL.index(name)] = _named_id(raw)
    return Inner(children)


def _leaf(members: Mapping[str, tuple[str, msgspec.Raw]], prefix: str) -> Leaf:
    keys, parts = [], []
    for key, (tag, raw) in members.items():
        if not path_of(key).startswith(prefix):
            raise _fault("a key stands in the wrong place")
        value: bytes | ArtifactRef = ArtifactRef(_named_id(raw)) if tag == "a" else bytes(raw)
        if isinstance(value, bytes) and len(value) > VALUE_BYTES_MAX:
            raise _fault("a value is too large to stand in a leaf")
        keys.append(key)
        parts.append(entry(key, value))
    leaf = Leaf(keys, [key.encode("utf-16-be") for key in keys], parts, len(b",".join(parts)) + 2)
    if not leaf.fits():
        raise _fault("a leaf is too large")
    return leaf


def _named_id(raw: msgspec.Raw) -> str:
    try:
        return artifact_id(msgspec.json.decode(raw, type=str))
    except (msgspec.MsgspecError, InterlockError):
        raise _fault("it names something that is not an id") from None


def value_of(part: bytes) -> bytes | ArtifactRef:
    """The value in an entry of a leaf."""
    [(tag, raw)] = _decode_members(b"{%b}" % part).values()
    return ArtifactRef(msgspec.json.decode(raw, type=str)) if tag == "a" else bytes(raw)
