"""What a run has stored: its artifacts and the payloads of its facts, with their steps; and one of them.

What it does: lists them from the history, page by page, finds an artifact by its id or the beginning of it, and says
whether a run names one. What it does not do: it unseals nothing, so that of an answer that is secret only the
ciphertext is ever given.

Rules: a page looks through a bounded number of events, so that it may hold fewer rows than asked for; its `next` goes
on where it stopped; each content is loaded and verified for its size, one at a time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import step_name
from interlock.engine import events as e
from interlock.engine.attachments import is_attachment
from interlock.engine.control.inbox_events import ATTACHED_INDEX, attached_prefix
from interlock.engine.errors import RUN_NOT_FOUND
from interlock.engine.io.secret_facts import SEALED, SEALED_KIND
from interlock.engine.run_state import WAIT_PREFIX
from interlock.journal.chain import Recorded
from interlock.journal.journal import PAGE_EVENTS, Journal
from interlock.journal.ports import Artifacts
from interlock.journal.streams import parse_stream, tenant_of

EXAMINED_MAX: Final = 10_000
"""Events that one page looks through."""

SEARCHED_MAX: Final = 20_000
"""Events in which one artifact is looked for by its id alone."""

FACT: Final = "Fact"
NAME_CHARACTERS_MAX: Final = 200
ID_DIGITS: Final = 64

ARTIFACT_UNKNOWN = ErrorCode(
    "artifact_unknown",
    Category.NOT_FOUND,
    "Give an id, or at least 8 of its first digits, as `interlock run artifacts RUN` lists it.",
)
ARTIFACT_AMBIGUOUS = ErrorCode("artifact_ambiguous", Category.INVALID, "Give more digits of the id.")
ARTIFACT_SEQ_NEEDED = ErrorCode(
    "artifact_seq_needed", Category.INVALID, "Give `seq` too: the number of the event, as `run artifacts` lists it."
)
ERRORS = (ARTIFACT_UNKNOWN, ARTIFACT_AMBIGUOUS, ARTIFACT_SEQ_NEEDED)
_ID = re.compile(r"[0-9a-f]{64}")


class ArtifactRow(Struct, frozen=True):
    """Something that a run stored.

    `kind` is the one that its author gave it, `Fact` for a recorded answer, and `SecretPayload` for what is sealed;
    `name` is the key of a fact, or the `name` in the author's remarks; what was attached from outside has no step, and
    a `media_type` that its sender gave. `bytes` are those that are stored.
    """

    seq: int
    step: str | None
    kind: str
    bytes: int
    name: str | None
    id: str
    media_type: str | None = None


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


async def check_named(journal: Journal, stream: str, artifact_id: str, seq: int | None = None) -> None:
    """Refuse an id that the run of a stream does not name; nothing is loaded.

    What was attached from outside has a row of an index, from the moment at which that was acknowledged. Anything else
    is looked for in the history: in the event `seq`, or from the beginning as far as one request may look.
    Raises: `run_not_found`, `artifact_unknown`, `artifact_seq_needed`.
    """
    [head] = await journal.store.events.heads([stream])
    if head.seq == 0:
        raise RUN_NOT_FOUND.error("there is no such run")
    if not _ID.fullmatch(artifact_id):
        raise ARTIFACT_UNKNOWN.error("this run names no artifact of that id")
    if await _is_attached(journal, stream, artifact_id):
        return
    if seq is None:
        found = await _is_among_first(journal, stream, artifact_id, head.seq)
    else:
        found = seq <= head.seq and _names((await journal.tail(stream, seq - 1))[:1], artifact_id)
    if not found:
        where = "this run" if seq is None else "this event of the run"
        raise ARTIFACT_UNKNOWN.error(f"{where} names no artifact of that id")


async def _is_attached(journal: Journal, stream: str, artifact_id: str) -> bool:
    prefix = attached_prefix(parse_stream(stream).id, artifact_id)
    return bool(await journal.store.index.scan(tenant_of(stream), ATTACHED_INDEX, prefix, "", 1))


async def _is_among_first(journal: Journal, stream: str, artifact_id: str, end: int) -> bool:
    """Whether one of the first events names it. Raises: `artifact_seq_needed` where that is not the whole answer."""
    seen = 0
    while seen < SEARCHED_MAX:
        page = await journal.page(stream, seen)
        if not page:
            return False
        if _names(page, artifact_id):
            return True
        seen = page[-1].envelope.seq
    if seen >= end:
        return False
    raise ARTIFACT_SEQ_NEEDED.error(f"the first {seen} events of the run, of {end}, do not name it", seen=seen)


def _names(page: Sequence[Recorded], artifact_id: str) -> bool:
    return any(row.id == artifact_id for event in page for row in _rows(event.envelope.seq, event.record))


def _rows(seq: int, record: Any) -> Iterator[ArtifactRow]:
    match record:
        case e.ArtifactWritten():
            meta = msgspec.json.decode(record.meta)
            row = ArtifactRow(seq, _step(record.state_id), record.kind, 0, _said(meta, "name"), record.artifact_id)
            from_outside = is_attachment(record)
            yield msgspec.structs.replace(row, media_type=_said(meta, "media_type")) if from_outside else row
        case e.FactRecorded():
            kind = SEALED_KIND if record.kind == SEALED else FACT
            state_id = record.key.split(":", 2)[1] if record.key.startswith(WAIT_PREFIX) else record.state_id
            yield ArtifactRow(seq, _step(state_id), kind, 0, record.key[:NAME_CHARACTERS_MAX], record.payload_id)


def _step(state_id: str | None) -> str | None:
    return None if state_id is None else step_name(state_id)


def _said(meta: Any, member: str) -> str | None:
    text = meta.get(member) if isinstance(meta, dict) else None
    return text[:NAME_CHARACTERS_MAX] if isinstance(text, str) else None


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
