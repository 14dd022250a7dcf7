"""How each status looks: one row for a status, read by every way of drawing.

What it does: gives a status its symbol, its colours, its Mermaid shape, and its place in the order of attention. What
it does not do: it draws nothing, and knows no run.

Rules: colour never stands alone, since symbol and word say the same; statuses are an open set, and one that has no row
here is shown by its own word with the look `other`.
"""

from __future__ import annotations

from msgspec import Struct

OTHER = "other"


class Look(Struct, frozen=True):
    """The look of a status.

    `light` and `dark` are (line, ground); `ansi` is the colour on a terminal, `shape` the pair of brackets in Mermaid.
    """

    symbol: str
    light: tuple[str, str]
    dark: tuple[str, str]
    ansi: str
    shape: tuple[str, str] = ("[", "]")
    dashes: str = ""


_RECTANGLE, _ROUND, _STADIUM, _HEXAGON, _SLANTED = ("[", "]"), ("(", ")"), ("([", "])"), ("{{", "}}"), ("[/", "/]")
_RED = ("#b42318", "#fef1f0"), ("#ff8a80", "#3a1a1a"), "31"
_VIOLET = ("#7a3fb0", "#f6f0fc"), ("#c9a2f2", "#2b1f3d"), "35"
_AMBER = ("#8a5a00", "#fff7e0"), ("#f0c04c", "#332a12"), "33"
_ORANGE = ("#b04a00", "#fff2e8"), ("#ffa869", "#38220f"), "33"
_BLUE = ("#0b61c4", "#eaf3ff"), ("#7ab7ff", "#14273f"), "34"
_TEAL = ("#2f6f7a", "#ecf7f8"), ("#86cdd8", "#14292d"), "36"
_GREY = ("#5f6873", "#f7f8fa"), ("#98a2b0", "#1e232b"), "2"
_GREEN = ("#177a3e", "#ecf8f0"), ("#6fce93", "#142b1e"), "32"

# In the order of attention: of the states in a group, the first that is present gives the group its look.
LOOKS: dict[str, Look] = {
    "failed": Look("✗", *_RED, _HEXAGON),
    "parked": Look("◆", *_VIOLET, _SLANTED),
    "suspended": Look("‖", *_AMBER, _SLANTED),
    "waiting": Look("‖", *_AMBER, _SLANTED),
    "backoff": Look("↻", *_ORANGE, _STADIUM),
    "queued": Look("◌", *_TEAL, _STADIUM, "6 3"),
    "running": Look("▶", *_BLUE, _STADIUM),
    OTHER: Look("•", *_TEAL, _RECTANGLE),
    "pending": Look("○", *_GREY, _RECTANGLE, "4 3"),
    "planned": Look("○", *_GREY, _RECTANGLE),
    "cancelled": Look("⊗", *_GREY, _ROUND, "1 3"),
    "skipped": Look("⊘", *_GREY, _ROUND, "1 3"),
    "completed": Look("✓", *_GREEN, _ROUND),
}
_ATTENTION = {name: place for place, name in enumerate(LOOKS)}


def name_of(status: str) -> str:
    """The name of the look of a status: its own, or `other`."""
    return status if status in LOOKS else OTHER


def look_of(status: str) -> Look:
    """The look of a status."""
    return LOOKS[name_of(status)]


def attention(status: str) -> tuple[int, str]:
    """A sort key: what needs a person's attention most comes first."""
    return _ATTENTION[name_of(status)], status
