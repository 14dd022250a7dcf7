"""Patterns of permissions: `run.read` is one, `run.*` all of a noun, `*` all that there are.

What it does: says whether a pattern takes a permission, and makes a set of patterns that answers in constant time. What
it does not do: it knows no role and no command.

Rule: a pattern is one of these three forms, so that a person sees at once what it takes.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

from msgspec import Struct

PATTERN = r"\A(\*|[a-z][a-z0-9_-]{0,62}(\.(\*|[a-z][a-z0-9_-]{0,62}))?)\Z"
ALL = "*"
_REST = ".*"


def takes(pattern: str, permission: str) -> bool:
    """Whether a pattern takes a permission."""
    if pattern == ALL:
        return True
    if pattern.endswith(_REST):
        return permission.startswith(pattern[:-1])
    return permission == pattern


class Patterns(Struct, frozen=True, dict=True):
    """Several patterns: together they take what any of them takes."""

    given: tuple[str, ...]

    def take(self, permission: str) -> bool:
        """Whether one of them takes a permission; costs the same however many there are."""
        noun, dot, _ = permission.partition(".")
        whole = self._whole
        return ALL in whole or permission in whole or (bool(dot) and noun + _REST in whole)

    def of(self, permissions: Iterable[str]) -> frozenset[str]:
        """Those of the permissions that are taken."""
        return frozenset(each for each in permissions if self.take(each))

    @cached_property
    def _whole(self) -> frozenset[str]:
        return frozenset(self.given)
