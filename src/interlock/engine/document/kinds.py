"""Kinds of documents, as far as reading them differs.

What it does: declares how large documents of a kind may be, which numbers they hold, and which rules say so. What it
does not do: it reads nothing and knows no grammar.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from interlock.base.bounds import INTEGER_MAX
from interlock.engine.document import rules
from interlock.engine.document.findings import Rule


class DocumentKind(Struct, frozen=True, kw_only=True):
    """What a reader must know of a document before it reads it.

    `depth_max` counts levels of nesting, `values_max` values of any type, keys apart. With `wide`, an integer that 64
    bits hold is one, and a larger one is a double; without it, an integer beyond ±(2^53-1) is a finding.
    """

    json_bytes_max: int
    yaml_bytes_max: int
    depth_max: int
    values_max: int
    key_characters_max: int
    wide: bool = False
    too_large: Rule = rules.FILE_TOO_LARGE
    empty: Rule = rules.FILE_EMPTY

    def integer(self, value: int) -> int | float | None:
        """What an integer of a document is; None where it is out of range."""
        if self.wide:
            return value if -(2**63) <= value < 2**64 else float(value)
        return value if -INTEGER_MAX <= value <= INTEGER_MAX else None

    def bytes_max(self, *, is_json: bool) -> int:
        """Bytes of one document in its language."""
        return self.json_bytes_max if is_json else self.yaml_bytes_max


PLAN: Final = DocumentKind(
    json_bytes_max=256 * 1024,
    yaml_bytes_max=256 * 1024,
    depth_max=32,
    values_max=20_000,
    key_characters_max=256,
)
"""Plan documents."""
