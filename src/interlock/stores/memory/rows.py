"""Rows in the order of their keys: the one table that the store in memory is made of.

What it does: finds by key in constant time and walks in key order from any place. What it does not do: it
keeps no history and no transactions; who writes several rows at once does so without awaiting in between.

Rule: strings are in the order of their code points, which is the order of their UTF-8 bytes in other stores.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", str, tuple[int, str])
Value = TypeVar("Value")


class SortedRows(Generic[Key, Value]):
    """A dictionary that is walked in key order. Its keys may not change during a walk."""

    def __init__(self) -> None:
        self._keys: list[Key] = []
        self._rows: dict[Key, Value] = {}

    def get(self, key: Key) -> Value | None:
        """The value at `key`, None if there is none."""
        return self._rows.get(key)

    def __contains__(self, key: object) -> bool:
        return key in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, key: Key, value: Value) -> None:
        """Set the value at `key`."""
        if key not in self._rows:
            insort(self._keys, key)
        self._rows[key] = value

    def drop(self, key: Key) -> None:
        """Take the row at `key` away, if there is one."""
        if key in self._rows:
            del self._rows[key]
            del self._keys[bisect_left(self._keys, key)]

    def first(self) -> Key | None:
        """The least key."""
        return self._keys[0] if self._keys else None

    def since(self, key: Key) -> Iterator[tuple[Key, Value]]:
        """Rows from `key` on, in order."""
        for place in range(bisect_left(self._keys, key), len(self._keys)):
            found = self._keys[place]
            yield found, self._rows[found]

    def below(self, key: Key | None) -> Iterator[tuple[Key, Value]]:
        """Rows whose key is less than `key`, greatest first; all of them where `key` is None."""
        end = len(self._keys) if key is None else bisect_left(self._keys, key)
        for place in range(end - 1, -1, -1):
            found = self._keys[place]
            yield found, self._rows[found]


def next_text(text: str) -> str:
    """The least string that is greater than `text`."""
    return text + "\0"
