"""How an artifact looks to people: text made safe on a terminal, and its very bytes elsewhere.

Rule: what is no text is refused on a terminal, where it would be noise at best.
"""

from __future__ import annotations

import base64
import sys

from msgspec import Struct

from interlock.engine.reports.artifact_commands import ARTIFACT_UNSHOWABLE, ArtifactContent
from interlock.surfaces.cli.presentation import Presentation
from interlock.surfaces.cli.text import safe


def _shown(output: Struct) -> bytes:
    if not isinstance(output, ArtifactContent):
        return b""
    if output.out is not None:
        return f"{output.bytes} bytes of {output.id} are in {safe(output.out)}\n".encode()
    is_terminal = sys.stdout.isatty()
    if output.text is None:
        if is_terminal:
            raise ARTIFACT_UNSHOWABLE.error(f"{output.bytes} bytes that are no text do not go to a terminal")
        return base64.b64decode(output.base64 or "")
    return _on_terminal(output.text).encode() if is_terminal else output.text.encode()


def _on_terminal(text: str) -> str:
    """The text with its lines and tabs, and every other control character as an escape."""
    lines = text.replace("\r\n", "\n").split("\n")
    return "\n".join("\t".join(map(safe, line.split("\t"))) for line in lines)


PRESENTATION = Presentation(text={"show": _shown})
