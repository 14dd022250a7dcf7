"""What a verb that goes on for long says while it does.

What it does: declares `Narrator`, to which such a verb tells each thing that happens. What it does not do: it knows no
terminal; the surface that started the verb decides how it is shown.
"""

from __future__ import annotations

from msgspec import Struct


class Narrator:
    """Hears what happens; this one keeps it to itself."""

    def tell(self, happened: Struct, line: str, *, stays: bool = False) -> None:
        """Hear of something: the record for programs, and how it all stands in one line for people.

        A line that `stays` is worth reading later, too, and is kept where others are written over.
        """

    def close(self) -> None:
        """Nothing more is told."""
