"""A document that was checked: what a run keeps of it.

What it does: declares the records of a compiled document and its canonical bytes, and reads them again. What it does
not do: it checks no document (`lint`), and builds no plan (`plans`).

Rules: the bytes are canonical JSON and name the format; they hold the children's documents, so that a run needs no file
after its start; they hold no path of the machine, so that a document is the same wherever it stands.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from interlock.base.canonical import canonical
from interlock.base.errors import Category, ErrorCode

FORMAT: Final = "interlock.plan_document/1"
DOCUMENT_UNREADABLE = ErrorCode(
    "document_unreadable",
    Category.CORRUPT,
    "Restore the store; or let the run go on with its file: `interlock run migrate RUN --plan FILE`.",
)


class CompiledStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"with_": "with"}):
    """A step with everything that its author left out."""

    name: str
    handler: str
    with_: dict[str, Any]
    needs: tuple[str, ...]
    side_effects: Literal["pure", "read_only_io", "apply_side_effect"] | None
    idempotency_key: str | None
    skip_when: str | None
    retry: dict[str, Any] | None
    timeout_ms: int | None
    tags: tuple[str, ...]
    outputs: dict[str, Any]


class CompiledDocument(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, dict=True):
    """A document and those of its children, by their path as the document writes it."""

    format: Literal["interlock.plan_document/1"] = FORMAT
    pipeline: str
    version: str
    input: dict[str, Any]
    steps: tuple[CompiledStep, ...]
    children: dict[str, CompiledDocument] = {}

    @cached_property
    def content(self) -> bytes:
        """The canonical bytes."""
        return canonical(msgspec.to_builtins(self))


def read_compiled(content: bytes) -> CompiledDocument:
    """The document in stored bytes. Raises: `document_unreadable`."""
    try:
        return msgspec.json.decode(content, type=CompiledDocument)
    except msgspec.MsgspecError as fault:
        raise DOCUMENT_UNREADABLE.error("the stored plan document cannot be read") from fault
