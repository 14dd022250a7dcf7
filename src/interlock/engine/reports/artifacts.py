"""What a run has stored: its artifacts and the payloads of its facts, with their steps; and one of them.

What it does: lists them from the history, page by page, and finds an artifact by its id or the beginning of it, or
among those of one run. What it does not do: it unseals nothing, so that of an answer that is secret only the ciphertext
is ever given.

Rules: a page looks through a bounded number of events, so that it may hold fewer rows than asked for; its `next` goes
on where it stopped; each content is loaded and verified for its size, one at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import step_name
from interlock.engine import events as e
from interlock.engine.errors import RUN_NOT_FOUND
from interlock.engine.io.secret_facts import SEALED, SEALED_KIND
from interlock.engine.run_state import WAIT_PREFIX
from interlock.journal.journal import PAGE_EVENTS, Journal
from interlock.journal.ports import Artifacts

EXAMINED_MAX: Final = 10_000
"""Events that one page looks through."""

FACT: Final = "Fact"
NAME_CHARACTERS_MAX: Final = 200
ID_DIGITS: Final = 64

ARTIFACT_UNKNOWN = ErrorCode(
    "artifact_unknown",
    Category.NOT_FOUND,
    "Give an id, or at least 8 of its first digits, as `interlock run artifacts RUN` lists it.",
)
ARTIFACT_AMBIGUOUS = ErrorCode("artifact_ambiguous", Category.INVALID, "Give more digits of the id.")
ERRORS = (ARTIFACT_UNKNOWN, ARTIFACT_AMBIGUOUS)


class ArtifactRow(Struct, frozen=True):
    """Something that a run stored.

    `kind` is the one that its author gave it, `Fact` for a recorded answer, and `SecretPayload` for what is sealed;
    `name` is the key of a fact, or the `name` in the author's remarks. `bytes` are those that are stored.
    """

    seq: int
    step: str | None
    kind: str
    bytes: int
    name: str | None
    id: str


class ArtifactPage(Struct, frozen=True):
    """A page of what a run stored; `next` continues it."""

    items: list[ArtifactRow]
    next: int | None


async def artifacts_of(journal: Journal, stream: str, after: int, limit: int) -> ArtifactPage:
    """What the run of a stream stored after an event. Raises: `run_not_found`, `artifact_…`."""
    rows: list[ArtifactRow] = []
    seen = after
    while seen < after + EXAMINED_MAX:
        page = await journal.page(stream, seen)
        if not page and seen == 0:
            raise RUN_NOT_FOUND.error("there is no such run")
        for event in page:
            seen = event.envelope.seq
            for row in _rows(seen, event.record):
                [content] = await journal.store.artifacts.get([row.id])
                rows.append(msgspec.structs.replace(row, bytes=len(content)))
            if len(rows) >= limit:
                return ArtifactPage(rows, seen)
        if len(page) < PAGE_EVENTS - 1:
            return ArtifactPage(rows, None)
    return ArtifactPage(rows, seen)


async def artifact_of(journal: Journal, stream: str, artifact_id: str) -> bytes:
    """The verified bytes of an artifact that the run of a stream stored, by its whole id.

    Raises: `run_not_found`, `artifact_unknown` for every other id, `artifact_corrupt`.
    """
    seen = 0
    while page := await journal.page(stream, seen):
        seen = page[-1].envelope.seq
        if any(row.id == artifact_id for event in page for row in _rows(seen, event.record)):
            [content] = await journal.store.artifacts.get([artifact_id])
            return content
    if seen == 0:
        raise RUN_NOT_FOUND.error("there is no such run")
    raise ARTIFACT_UNKNOWN.error("this run names no artifact of that id")


def _rows(seq: int, record: Any) -> Iterator[ArtifactRow]:
    match record:
        case e.ArtifactWritten():
            yield ArtifactRow(seq, _step(record.state_id), record.kind, 0, _named(record.meta), record.artifact_id)
        case e.FactRecorded():
            kind = SEALED_KIND if record.kind == SEALED else FACT
            state_id = record.key.split(":", 2)[1] if record.key.startswith(WAIT_PREFIX) else record.state_id
            yield ArtifactRow(seq, _step(state_id), kind, 0, record.key[:NAME_CHARACTERS_MAX], record.payload_id)


def _step(state_id: str | None) -> str | None:
    return None if state_id is None else step_name(state_id)


def _named(meta: msgspec.Raw) -> str | None:
    value = msgspec.json.decode(meta)
    name = value.get("name") if isinstance(value, dict) else None
    return name[:NAME_CHARACTERS_MAX] if isinstance(name, str) else None


async def artifact_named(artifacts: Artifacts, begins: str) -> tuple[str, bytes]:
    """The id and the verified bytes of the artifact whose id is, or begins with, `begins`.

    Raises: `artifact_unknown`, `artifact_ambiguous`, `artifact_corrupt`.
    """
    found = [begins]
    if len(begins) < ID_DIGITS:
        found = [each for each in await artifacts.scan(begins, 2) if each.startswith(begins)]
    elif not (await artifacts.exists(found))[0]:
        found = []
    if not found:
        raise ARTIFACT_UNKNOWN.error("this store has no artifact of that id")
    if len(found) > 1:
        raise ARTIFACT_AMBIGUOUS.error("several artifacts have ids that begin like this")
    [content] = await artifacts.get(found)
    return found[0], content
