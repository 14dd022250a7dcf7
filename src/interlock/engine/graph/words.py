"""The words of a node, the same in every way of drawing.

What it does: writes status, duration and attempts as short pieces of text, and measures texts. What it does not do: it
escapes nothing; who writes the text into a language does.
"""

from __future__ import annotations

from collections import Counter
from unicodedata import east_asian_width

from interlock.base.ids import first_names
from interlock.engine.graph.looks import attention
from interlock.engine.graph.model import Node, counted, counts_text

MEMBERS_NAMED_MAX = 5


def label(node: Node) -> str:
    """The name of a node; a group says how many states it stands for."""
    return f"×{node.size} {node.name}" if node.members else node.name


def pieces(node: Node) -> list[str]:
    """What is said below the name: the status first; of a group, how many states have which."""
    if node.members:
        return [counts_text(Counter(member.status for member in node.members))]
    found = [node.status]
    if node.took_ms is not None:
        found.append(duration(node.took_ms))
    if node.attempts > 1:
        found.append(counted(node.attempts, "attempt"))
    return found


def notes(node: Node) -> list[str]:
    """Further lines, where there is more to say: why, and where it goes on."""
    found = list(node.notes)
    if named := _named(node):
        found.append(named)
    return found + [f"run {child}" for child in node.children[:MEMBERS_NAMED_MAX]]


def _named(node: Node) -> str:
    """The members of a group that need attention, where not all of them do."""
    names = [member.name for member in node.members if member.status == node.status]
    if len(names) == len(node.members) or attention(node.status) >= attention("running"):
        return ""
    return f"{node.status}: {first_names(names, MEMBERS_NAMED_MAX)}"


def wide(text: str) -> int:
    """The columns that a text takes where every character has one or two."""
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def duration(took_ms: int) -> str:
    """A length of time in at most two units."""
    if took_ms < 1000:
        return f"{took_ms} ms"
    if took_ms < 59_950:  # what rounds to 60.0 s is a minute
        return f"{took_ms / 1000:.1f} s"
    minutes, seconds = divmod(round(took_ms / 1000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min"
    return f"{hours // 24} d {hours % 24} h"
