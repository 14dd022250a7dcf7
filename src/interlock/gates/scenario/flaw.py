"""What a check of a scenario finds, by its path in the document.

It is a record; `lint` gives it the place of what stands at the path.
"""

from __future__ import annotations

from typing import NamedTuple

from interlock.engine.document.findings import Hint, Rule

Path = tuple[str | int, ...]
"""Keys and indexes from the top of a document to a value."""


class Flaw(NamedTuple):
    """A breach of a rule; None as `hint` stands for that of the rule."""

    rule: Rule
    path: Path
    message: str
    hint: str | Hint | None = None
