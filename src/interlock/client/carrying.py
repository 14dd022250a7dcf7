"""What a client carries between files of this machine and its server: files for a run, artifacts, packs.

What it does: gives each of these calls a request, a place for the answer, and the answer as its record, and reads the
inputs of the verbs that do the same from a line. What it does not do: it makes no connection and repeats nothing
(`remote`).

Rules: everything that this machine can refuse is refused before anything is sent; what a server cannot do for a verb is
refused too, and never left out.
"""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from interlock.base.bounds import ARTIFACT_BYTES_MAX, JSON_BYTES_MAX
from interlock.base.errors import InterlockError
from interlock.base.part import Command
from interlock.client.downloads import (
    PACK_BYTES_MAX,
    Landing,
    artifact_of,
    check_announced,
    check_artifact,
    check_run,
    landing,
    pack_of,
)
from interlock.client.errors import CLIENT_ANSWER_INVALID, CLIENT_ANSWER_TOO_LARGE
from interlock.client.exchange import PACK_SECONDS, Received, Sending, Taking
from interlock.client.uploads import Source, attaching, proving
from interlock.engine.control.attach_command import COMMANDS as ATTACHING
from interlock.engine.control.attach_command import Attached, AttachInput
from interlock.engine.reports.artifact_commands import (
    ARTIFACT_OUT_UNWRITABLE,
    ARTIFACT_RUN_NEEDED,
    ArtifactContent,
    ShowInput,
    content_of,
    out_taken,
    unshowable,
)
from interlock.engine.reports.artifact_commands import COMMANDS as ARTIFACTS
from interlock.packs.commands import COMMANDS as PACKS
from interlock.packs.commands import Exported, ExportInput, Verification, VerifyInput
from interlock.packs.errors import PACK_UNWRITABLE
from interlock.packs.exporting import exported, key_for
from interlock.surfaces.errors import INPUT_INVALID

HELD_BYTES_MAX: Final = 64 * 1024 * 1024
"""How much of an artifact is given as bytes; more is for a file."""

_COMMANDS: Final = {command.name: command for command in (*ATTACHING, *ARTIFACTS, *PACKS)}
_ALONE: Final = ("trust", "signature", "manifest", "evidence_keys")
"""What proving a pack takes beside the pack, which a server is not sent."""

Answer = TypeVar("Answer", bound=Struct)


class Ask(Protocol):
    """Sends a request, again where that is right, and gives the answer that grants it."""

    async def __call__(
        self, sending: Sending, command: Command, timeout_s: float | None = None, taking: Taking | None = None
    ) -> Received:
        """The answer. Raises: what the server refuses, `client_…`."""
        ...


class Carrier:
    """The calls of one client that carry bytes."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def run(self, given: Any, command_id: str | None) -> Struct:
        """What the verb of an input does, for its line. Raises: as the call that is meant; `input_invalid`."""
        match given:
            case AttachInput():
                said = (given.name, given.kind, given.media_type)
                return await self.attach(given.run, given.file, said, command_id)
            case ShowInput():
                return await self._shown(given)
            case ExportInput():
                return await self.pack(given, PACK_SECONDS)
            case VerifyInput():
                for name in _ALONE:
                    if getattr(given, name):
                        raise INPUT_INVALID.error(f"`{name}`: a server is sent the pack alone", place=name)
                return await self.verify(given.path, PACK_SECONDS)
        raise TypeError(type(given).__name__)

    async def attach(
        self, run: str, source: Source, said: tuple[str | None, str | None, str | None], command_id: str | None
    ) -> Attached:
        """Send a file to a run; `said` is its name, its kind and its media type."""
        sending = await asyncio.to_thread(attaching, run, source, *said, command_id)
        return _read("run.attach", await self._ask(sending, _COMMANDS["run.attach"]), Attached)

    async def verify(self, source: Source, timeout_s: float) -> Verification:
        """Have a pack proved."""
        sending = await asyncio.to_thread(proving, source)
        found = _read("pack.verify", await self._ask(sending, _COMMANDS["pack.verify"], timeout_s), Verification)
        return replace(found, path=str(source)) if isinstance(source, str | Path) else found

    async def pack(self, given: ExportInput, timeout_s: float) -> Exported:
        """Write the pack of a run to a file of this machine."""
        sending = pack_of(given)
        key = await asyncio.to_thread(key_for, given)
        async with landing(Path(given.out), PACK_BYTES_MAX, PACK_UNWRITABLE, force=given.force) as place:
            received = await self._ask(sending, _COMMANDS["pack.export"], timeout_s, place.taking)
            check_announced(received, place.digest)
            made = await asyncio.to_thread(place.pack)
            check_run(given, made)
        return await asyncio.to_thread(exported, given, key, made)

    async def artifact(self, run: str, artifact_id: str, seq: int | None, bytes_max: int = HELD_BYTES_MAX) -> bytes:
        """The bytes of an artifact."""
        sending, held = artifact_of(run, artifact_id, seq), BytesIO()
        await self._take(sending, artifact_id, Landing(held, bytes_max, ARTIFACT_OUT_UNWRITABLE))
        return held.getvalue()

    async def save_artifact(self, run: str, artifact_id: str, path: Path, seq: int | None) -> int:
        """Write the bytes of an artifact to a new file; how many they are."""
        sending, limit = artifact_of(run, artifact_id, seq), ARTIFACT_BYTES_MAX
        async with landing(path, limit, ARTIFACT_OUT_UNWRITABLE, exists=out_taken(path)) as place:
            await self._take(sending, artifact_id, place)
        return place.size

    async def _take(self, sending: Sending, artifact_id: str, place: Landing) -> None:
        await self._ask(sending, _COMMANDS["artifact.show"], taking=place.taking)
        check_artifact(artifact_id, place.digest)

    async def _shown(self, given: ShowInput) -> ArtifactContent:
        if given.run is None:
            raise ARTIFACT_RUN_NEEDED.error("a server gives an artifact only as something that a run stored")
        if given.out is not None:
            size = await self.save_artifact(given.run, given.id, Path(given.out), given.seq)
            return ArtifactContent(given.id, size, out=given.out)
        try:
            content = await self.artifact(given.run, given.id, given.seq, JSON_BYTES_MAX)
        except InterlockError as fault:
            if fault.kind is not CLIENT_ANSWER_TOO_LARGE:
                raise
            raise unshowable() from None
        return content_of(given.id, content)


def _read(name: str, received: Received, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(received.body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise CLIENT_ANSWER_INVALID.error(f"the answer to {name} has not the form of this version") from None
