"""How the verbs about the machine itself answer people: texts are written exactly as they are."""

from __future__ import annotations

from msgspec import Struct

from interlock.surfaces.cli.presentation import Presentation
from interlock.surfaces.part import CanonicalOutput, CompletionOutput


def _canonical(output: Struct) -> bytes:
    match output:
        case CanonicalOutput(digest=str(digest)):
            return digest.encode() + b"\n"
        case CanonicalOutput(canonical=str(text)):
            return text.encode()
        case _:
            return b""


def _completion(output: Struct) -> bytes:
    return output.script.encode() if isinstance(output, CompletionOutput) else b""


PRESENTATION = Presentation(text={"canonical": _canonical, "completion": _completion})
