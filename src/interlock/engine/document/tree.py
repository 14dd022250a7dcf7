"""A document as values with their places.

What it does: declares `Node`, the one shape in which YAML and JSON documents are checked, and turns it into plain JSON.
What it does not do: it reads nothing.

Rules: a mapping keeps its members in order, with the place of each key; nothing in a tree is shared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from interlock.base.canonical import Json
from interlock.engine.document.findings import Place

Path = tuple[str | int, ...]
"""Keys and indexes from the top of a document to a value."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a mapping: where its key stands, and its value."""

    place: Place
    value: Node


@dataclass(frozen=True, slots=True)
class Node:
    """A value: a scalar, a list of nodes, or members by key."""

    place: Place
    value: str | int | float | bool | list[Node] | dict[str, Member] | None

    def member(self, key: str) -> Node | None:
        """The value of a member; None where there is none."""
        found = self.value.get(key) if isinstance(self.value, dict) else None
        return None if found is None else found.value

    def items(self) -> list[Node]:
        """The elements of a list; none of anything else."""
        return self.value if isinstance(self.value, list) else []

    def members(self) -> dict[str, Member]:
        """The members of a mapping; none of anything else."""
        return self.value if isinstance(self.value, dict) else {}

    def text(self) -> str | None:
        """The value, if it is a text."""
        return self.value if isinstance(self.value, str) else None

    def texts(self, path: Path = ()) -> Iterator[tuple[Path, Node]]:
        """Every text below, with its path from here."""
        if isinstance(self.value, str):
            yield path, self
        elif isinstance(self.value, list):
            for index, item in enumerate(self.value):
                yield from item.texts((*path, index))
        elif isinstance(self.value, dict):
            for key, member in self.value.items():
                yield from member.value.texts((*path, key))


def plain(node: Node) -> Json:
    """The value without its places."""
    if isinstance(node.value, list):
        return [plain(item) for item in node.value]
    if isinstance(node.value, dict):
        return {key: plain(member.value) for key, member in node.value.items()}
    return node.value


def place_at(node: Node, path: Iterable[str | int], *, key: bool = False) -> Place:
    """Where the value at `path` stands, or its nearest ancestor that exists; `key` asks for the place of its key."""
    place = node.place
    for part in path:
        if isinstance(node.value, dict) and isinstance(part, str) and part in node.value:
            member = node.value[part]
            node, place = member.value, member.place if key else member.value.place
        elif isinstance(node.value, list) and isinstance(part, int) and part < len(node.value):
            node = node.value[part]
            place = node.place
        else:
            break
    return place


def pointed(tree: Node, pointer: str) -> Iterator[str | int]:
    """The path of an RFC 6901 pointer in a tree."""
    node: Node | None = tree
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if node is not None and isinstance(node.value, list) and key.isdigit():
            node = node.value[int(key)] if int(key) < len(node.value) else None
            yield int(key)
        else:
            node = None if node is None else node.member(key)
            yield key


def dotted(path: Iterable[str | int]) -> str:
    """A path for people: `steps[0].with.argv`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")
