"""Bytes that a server gives: an artifact, or a pack, held or written to a file.

What it does: makes the requests for them, takes the pieces of an answer into a new file, and holds what came against
its digest. What it does not do: it sends nothing, and signs no pack.

Rules: a file has its name once all of it is there, proved and durable, and nothing is left of one that was not; the
digest of an artifact is the id that was asked for, that of a pack the `ETag` of the answer; a pack is a sound container
of the run that was asked for; what comes is bounded.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote, urlencode

from interlock.base import ids
from interlock.base.errors import ErrorCode, InterlockError
from interlock.client.errors import CLIENT_ANSWER_INVALID, CLIENT_CONTENT_WRONG
from interlock.client.exchange import Received, Sending, Taking
from interlock.engine.attachments import MEDIA_TYPE
from interlock.engine.reports.artifacts import ARTIFACT_AMBIGUOUS, ID_DIGITS
from interlock.packs.commands import ExportInput
from interlock.packs.errors import PACK_SCENARIO_NEEDED
from interlock.packs.export import Made
from interlock.packs.exporting import made_of, scenario_run
from interlock.packs.spool import new_file
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.content_paths import ARTIFACT, RUN_PACK, SCENARIO_PACK

PACK_BYTES_MAX: Final = 128 * 1024**3
"""More than any server makes of what it may send."""

_HEADERS: Final = {"accept": f"{MEDIA_TYPE}, application/problem+json"}
_ID: Final = re.compile(rf"[0-9a-f]{{{ID_DIGITS}}}")
_TAG: Final = re.compile(rf'"([0-9a-f]{{{ID_DIGITS}}})"')


def artifact_of(run: str, artifact_id: str, seq: int | None) -> Sending:
    """The request for an artifact of a run. Raises: `artifact_ambiguous` for a part of an id, `id_invalid`."""
    if _ID.fullmatch(artifact_id) is None:
        raise ARTIFACT_AMBIGUOUS.error(f"a server finds an artifact by all {ID_DIGITS} digits of its id")
    path = ARTIFACT.format(run=ids.run_id(run), id=artifact_id)
    return Sending("GET", path, "" if seq is None else urlencode({"seq": seq}), _HEADERS)


def pack_of(given: ExportInput) -> Sending:
    """The request for a pack. Raises: `…_invalid`, `pack_scenario_needed`, `scenario_run_not_found`."""
    if given.scenario is None and ":" not in given.run:
        flags = {"contract": given.contract, "without_children": given.without_children}
        query = urlencode({name: "true" for name, is_set in flags.items() if is_set})
        return Sending("GET", RUN_PACK.format(run=ids.run_id(given.run)), query, _HEADERS)
    tenant, namespace, run = scenario_run(given.run)
    if given.scenario is None:
        raise PACK_SCENARIO_NEEDED.error("a server finds a scenario's run by its scenario")
    for name in ("contract", "without_children"):
        if getattr(given, name):
            raise INPUT_INVALID.error(f"`{name}`: a server has no such pack of a scenario's run", place=name)
    path = SCENARIO_PACK.format(scenario=_segment("scenario", given.scenario), run=_segment("run", run))
    return Sending("GET", path, urlencode({"tenant": tenant, "namespace": namespace}), _HEADERS)


def _segment(name: str, text: str) -> str:
    if text in {"", ".", ".."}:
        raise INPUT_INVALID.error(f"`{name}`: nothing has this name", place=name)
    return quote(text, safe="")


class Landing:
    """What takes the pieces of one answer, and knows their digest."""

    def __init__(self, file: BinaryIO, bytes_max: int, unwritable: ErrorCode) -> None:
        self.taking = Taking(self._write, bytes_max)
        self.size = 0
        self._file = file
        self._unwritable = unwritable
        self._digest = hashlib.sha256()

    @property
    def digest(self) -> str:
        """The SHA-256 of what came so far."""
        return self._digest.hexdigest()

    async def _write(self, piece: bytes) -> None:
        try:
            await asyncio.to_thread(self._put, piece)
        except OSError as fault:  # told here: for the connection it would be a fault of its own
            raise self._unwritable.error(f"the file cannot be written: {fault.strerror}") from None

    def _put(self, piece: bytes) -> None:
        self._file.write(piece)
        self._digest.update(piece)
        self.size += len(piece)

    def pack(self) -> Made:
        """The pack that came. Raises: `pack_container_invalid`, `pack_unwritable`; what cannot be read."""
        try:
            self._file.flush()
            return made_of(os.dup(self._file.fileno()))
        except OSError as fault:
            raise self._unwritable.error(f"the file cannot be written: {fault.strerror}") from None


@asynccontextmanager
async def landing(
    path: Path, bytes_max: int, unwritable: ErrorCode, *, force: bool = False, exists: InterlockError | None = None
) -> AsyncIterator[Landing]:
    """A new file for an answer, which has its name when all within has gone well. Raises: as `new_file`."""
    made = new_file(path, force=force, exists=exists, unwritable=unwritable)
    file = made.__enter__()
    try:
        yield Landing(file, bytes_max, unwritable)
    except BaseException as fault:
        made.__exit__(type(fault), fault, fault.__traceback__)
        raise
    await asyncio.to_thread(made.__exit__, None, None, None)  # to make much durable takes a while


def check_artifact(asked: str, digest: str) -> None:
    """Refuse other bytes than those of the id. Raises: `client_content_wrong`."""
    if digest != asked:
        raise CLIENT_CONTENT_WRONG.error("the bytes that came are not those of this id")


def check_announced(received: Received, digest: str) -> None:
    """Refuse other bytes than the answer announced. Raises: `client_answer_invalid`, `client_content_wrong`."""
    tag = _TAG.fullmatch(received.headers.get("etag", ""))
    if tag is None:
        raise CLIENT_ANSWER_INVALID.error("the answer does not say what the digest of the pack is")
    if tag[1] != digest:
        raise CLIENT_CONTENT_WRONG.error("the bytes that came are not those that the server announced")


def check_run(asked: ExportInput, made: Made) -> None:
    """Refuse the pack of another run. Raises: `client_content_wrong`."""
    if made.manifest.root.id != (asked.run if ":" in asked.run else ids.run_id(asked.run)):
        raise CLIENT_CONTENT_WRONG.error("the pack that came is of another run")
