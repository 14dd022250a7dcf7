"""Members on their way into a container: made in any order, kept in files without a name, copied in the one order.

What it does: takes members of several channels at once, each channel in a file of its own, and assembles the container.
What it does not do: it knows nothing of runs.

Rules: nothing is held in memory but names and places; the files vanish with the process; a container is complete and
durable before it gets its name, and takes the name of another only where that was asked for.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple, Self

from interlock.base.errors import ErrorCode, InterlockError
from interlock.packs.container import (
    CHUNK,
    END,
    MANIFEST,
    MEMBERS_MAX,
    SEAL,
    header,
    order,
    padding,
)
from interlock.packs.errors import PACK_EXISTS, PACK_TOO_LARGE, PACK_UNWRITABLE
from interlock.packs.manifest import (
    ARTIFACTS,
    ArtifactsEntry,
    Manifest,
    MemberEntry,
    artifact_member,
    manifest_bytes,
    seal_of,
)


class _Kept(NamedTuple):
    channel: str
    at: int
    size: int


class _Writer:
    """A member that is being spooled."""

    def __init__(self, spool: Spool, name: str, channel: str) -> None:
        self._spool, self._name, self._channel = spool, name, channel
        self._file = spool.channel(channel)
        self._at = self._file.tell()
        self._digest = hashlib.sha256()
        self._size = 0

    def write(self, content: bytes) -> None:
        """Add bytes."""
        self._spool.grow(len(content))
        self._digest.update(content)
        self._size += len(content)
        self._file.write(content)

    def close(self) -> MemberEntry:
        """End it."""
        self._spool.kept[self._name] = _Kept(self._channel, self._at, self._size)
        return MemberEntry(self._size, self._digest.hexdigest(), self._name)


class Spool:
    """Members of one pack, of no more than `bytes_max` together; use it as a context manager."""

    def __init__(self, folder: Path, bytes_max: int | None = None) -> None:
        self._folder = folder
        self._bytes_max = bytes_max
        self._bytes = 0
        self._channels: dict[str, IO[bytes]] = {}
        self.kept: dict[str, _Kept] = {}
        self._ids: list[bytes] = []
        self._sizes = array("Q")
        self._listing = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_fault: object) -> None:
        for file in self._channels.values():
            with suppress(OSError):
                file.close()

    def channel(self, name: str) -> IO[bytes]:
        """The file of a channel; it has no name, and is closed with the spool."""
        if name not in self._channels:
            import tempfile

            self._channels[name] = tempfile.TemporaryFile(dir=self._folder, buffering=CHUNK)  # noqa: SIM115
        return self._channels[name]

    def member(self, name: str, channel: str) -> _Writer:
        """Begin a member; the one before it in the channel has ended."""
        return _Writer(self, name, channel)

    def grow(self, size: int) -> None:
        """So much more is spooled. Raises: `pack_too_large`."""
        self._bytes += size
        if self._bytes_max is not None and self._bytes > self._bytes_max:
            raise PACK_TOO_LARGE.error(f"the pack would have more than {self._bytes_max} bytes")

    def artifact(self, artifact: bytes, content: bytes) -> None:
        """Add the next artifact; ids rise. Raises: `pack_too_large`."""
        self.grow(len(content))
        self.channel(ARTIFACTS).write(content)
        self._ids.append(artifact)
        self._sizes.append(len(content))
        self._listing.update(f"{artifact.hex()} {len(content)}\n".encode())

    def artifacts_entry(self) -> ArtifactsEntry:
        """What the manifest says of the artifacts so far."""
        return ArtifactsEntry(sum(self._sizes), len(self._ids), self._listing.hexdigest())

    def assemble(self, out: BinaryIO, manifest: Manifest) -> tuple[int, str]:
        """Write the container; return its size and its digest. Raises: `pack_too_large`."""
        if len(self._ids) + len(self.kept) + 2 > MEMBERS_MAX:
            raise PACK_TOO_LARGE.error(f"the pack would have more than {MEMBERS_MAX} members")
        whole = _Hashed(out)
        content = manifest_bytes(manifest)
        whole.member(MANIFEST, len(content), iter([content]))
        names = sorted((entry.name for entry in manifest.members), key=order)
        before = [name for name in names if name < ARTIFACTS]
        for name in before:
            self._copy(whole, name)
        at = 0
        for artifact, size in zip(self._ids, self._sizes, strict=True):
            whole.member(artifact_member(artifact.hex()), size, self._read(ARTIFACTS, at, size))
            at += size
        for name in names[len(before) :]:
            self._copy(whole, name)
        seal = seal_of(content)
        whole.member(SEAL, len(seal), iter([seal]))
        whole.write(END)
        return whole.size, whole.digest.hexdigest()

    def _copy(self, whole: _Hashed, name: str) -> None:
        kept = self.kept[name]
        whole.member(name, kept.size, self._read(kept.channel, kept.at, kept.size))

    def _read(self, channel: str, at: int, size: int) -> Iterator[bytes]:
        file = self.channel(channel)
        file.seek(at)
        while size:
            chunk = file.read(min(CHUNK, size))
            if not chunk:
                raise PACK_UNWRITABLE.error("a temporary file of the pack became shorter")
            size -= len(chunk)
            yield chunk


class _Hashed:
    """A file whose bytes are counted and hashed as they are written."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.size = 0
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> None:
        self._out.write(content)
        self.digest.update(content)
        self.size += len(content)

    def member(self, name: str, size: int, chunks: Iterator[bytes]) -> None:
        self.write(header(name, size))
        for chunk in chunks:
            self.write(chunk)
        self.write(padding(size))


@contextmanager
def new_file(
    path: Path, *, force: bool, exists: InterlockError | None = None, unwritable: ErrorCode = PACK_UNWRITABLE
) -> Iterator[BinaryIO]:
    """A file that gets its name once it is complete and durable; only its owner may read it.

    What was written can be read through its descriptor. Raises: `pack_exists` (or `exists`) unless `force`,
    `pack_unwritable` (or `unwritable`).
    """
    taken = exists or PACK_EXISTS.error(f"there is a file of this name already: {path.name}")
    if not force and os.path.lexists(path):
        raise taken
    try:
        beside = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
        file = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or "not a path of a file"
        raise unwritable.error(f"no file can be written there: {reason}") from None
    try:
        with os.fdopen(file, "wb", buffering=CHUNK) as out:
            yield out
            out.flush()
            os.fsync(out.fileno())
        _name(beside, path, force=force, taken=taken)
        _sync_folder(path.parent)
    except OSError as fault:
        raise unwritable.error(f"the file cannot be written: {fault.strerror}") from None
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _name(beside: Path, path: Path, *, force: bool, taken: InterlockError) -> None:
    """Give a finished file its name; without `force` never that of another, even one that came meanwhile."""
    if force:
        beside.replace(path)
        return
    try:
        os.link(beside, path)
    except FileExistsError:
        raise taken from None
    except OSError as fault:
        if fault.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        if os.path.lexists(path):  # a file system without links: the rest of the race cannot be closed
            raise taken from None
        beside.replace(path)


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
