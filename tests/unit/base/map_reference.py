"""Format 1 of the persistent map once more, the slow way.

It builds all nodes from a whole dict and shares nothing with the product but `canonical`. Its store keeps nodes for
tests and remembers which were read.
"""

from __future__ import annotations

import hashlib

from interlock.base.canonical import Json, canonical
from interlock.base.errors import Category, ErrorCode
from interlock.base.merkle_map import ArtifactRef, MerkleMap, Value

MISSING = ErrorCode("artifact_not_found", Category.NOT_FOUND, "Look elsewhere.")


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def reference_nodes(content: dict[str, Json]) -> tuple[str, dict[str, bytes]]:
    """The id of the root of a map with this content, and all its nodes."""
    nodes = reference_places(content)
    return sha(nodes[""]), {sha(written): written for written in nodes.values()}


def reference_places(content: dict[str, Json], path: str = "") -> dict[str, bytes]:
    """The nodes of the map by the hex digits that lead to them."""
    leaf = canonical({key: tagged(value) for key, value in content.items()})
    if len(content) <= 64 and len(leaf) <= 8192:
        return {path: leaf}
    parts = {path + digit: {} for digit in "0123456789abcdef"}  # type: dict[str, dict[str, Json]]
    for key, value in content.items():
        parts[sha(key.encode())[: len(path) + 1]][key] = value
    below = [reference_places(part, place) for place, part in parts.items() if part]
    children = {place[-1]: ["n", sha(nodes[place])] for nodes in below for place in [min(nodes, key=len)]}
    return {path: canonical(children), **{place: node for nodes in below for place, node in nodes.items()}}


def tagged(value: Json) -> Json:
    written = canonical(value)
    return ["a", sha(written)] if len(written) > 4096 else ["v", value]


def stored(value: Json) -> Value:
    """How a map gives `value` back."""
    written = canonical(value)
    return ArtifactRef(sha(written)) if len(written) > 4096 else written


def writes(content: dict[str, Json]) -> dict[str, Value | None]:
    return {key: canonical(value) for key, value in content.items()}


class Store:
    """Blobs by id, and which were asked for."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}
        self.fetched: list[str] = []

    def put(self, content: dict[str, Json]) -> str:
        """Store the map of `content`; return the id of its root."""
        made, blobs = MerkleMap.empty().update(writes(content))
        self.blobs.update(blobs)
        return made.root_id

    def load(self, root_id: str) -> MerkleMap:
        return MerkleMap.load(root_id, self.fetch)

    def fetch(self, node_id: str) -> bytes:
        self.fetched.append(node_id)
        if node_id not in self.blobs:
            raise MISSING.error("there is no such artifact")
        return self.blobs[node_id]
