"""The name that was meant: a suggestion for one that is not known.

What it does: finds the nearest of the known names, and puts it into the end of a message. What it does not do: it
accepts no wrong name in the place of a right one.
"""

from __future__ import annotations

from collections.abc import Iterable


def nearest(name: str, names: Iterable[str]) -> str | None:
    """The name that a person most likely meant, or None."""
    from difflib import get_close_matches

    found = get_close_matches(name[:80], list(names), n=1, cutoff=0.6)
    return found[0] if found else None


def suggestion(name: str, names: Iterable[str]) -> str:
    """`; did you mean X?`, or nothing where no name is near."""
    meant = nearest(name, names)
    return f"; did you mean {meant}?" if meant else ""
