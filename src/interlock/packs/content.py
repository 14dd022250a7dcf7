"""The first pass over a pack: every byte of the container, against the manifest.

What it does: reads all members once, hashes each and the whole, compares them with the manifest, and keeps where each
stands. What it does not do: it understands no event; `survey` does.

Rules: the manifest is read first and bounded; a fault of the container ends the pass, since nothing behind it can be
told apart; what differs from its digest is named, and the pass goes on. Nothing is held but names and places.
"""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from interlock.base.bounds import ARTIFACT_BYTES_MAX
from interlock.base.errors import InterlockError
from interlock.packs.container import (
    END,
    MANIFEST,
    SEAL,
    FileSource,
    Source,
    Walked,
    header,
    invalid,
    padding,
)
from interlock.packs.errors import (
    PACK_MANIFEST_INVALID,
    PACK_MANIFEST_WRONG,
    PACK_MEMBER_EXTRA,
    PACK_MEMBER_MISSING,
    PACK_MEMBER_WRONG,
    PACK_NOT_FOUND,
    PACK_TOO_LARGE,
)
from interlock.packs.folder import FolderSource
from interlock.packs.manifest import (
    ARTIFACTS,
    MANIFEST_BYTES_MAX,
    Manifest,
    MemberEntry,
    artifact_member,
    read_manifest,
    seal_of,
)
from interlock.packs.report import Errors

ID_BYTES = 32
Progress = Callable[[str, int, int | None], None]
"""What is looked at, how much of it is done, and of how much (None: not known)."""


class Place(NamedTuple):
    """Where a member's bytes stand."""

    at: int
    size: int


class ArtifactPlaces:
    """Where each artifact stands, by id: about fifty bytes for each."""

    def __init__(self) -> None:
        self._ids = bytearray()
        self._at = array("Q")
        self._sizes = array("Q")

    def __len__(self) -> int:
        return len(self._sizes)

    def add(self, artifact: bytes, at: int, size: int) -> None:
        """Add the next artifact; ids rise."""
        self._ids += artifact
        self._at.append(at)
        self._sizes.append(size)

    def __getitem__(self, place: int) -> bytes:
        return bytes(self._ids[place * ID_BYTES : (place + 1) * ID_BYTES])

    def after(self, artifact: bytes) -> int:
        """The place of the first id that is not below this one."""
        return bisect_left(range(len(self)), artifact, key=self.__getitem__)

    def find(self, artifact: str) -> Place | None:
        """Where an artifact stands, if it is there."""
        wanted = bytes.fromhex(artifact)
        place = self.after(wanted)
        if place == len(self) or self[place] != wanted:
            return None
        return Place(self._at[place], self._sizes[place])


class Content:
    """A pack whose container was read: its manifest, and where everything stands."""

    def __init__(self, source: Source, manifest: Manifest, digest: str) -> None:
        self.source = source
        self.manifest = manifest
        self.manifest_digest = digest
        self.digest = ""
        """The SHA-256 of the whole container; that of a folder is the one that it would have."""
        self.bytes = 0
        self.places: dict[str, Place] = {}
        self.artifacts = ArtifactPlaces()

    def read(self, name: str, at: int, size: int) -> bytes:
        """Bytes of a member, from offset `at` within it."""
        place = self.places[name]
        return self.source.read(name, place.at + at, min(size, place.size - at))

    def artifact(self, artifact: str) -> bytes | None:
        """The bytes of an artifact, if it is there."""
        place = self.artifacts.find(artifact)
        if place is None:
            return None
        return self.source.read(artifact_member(artifact), place.at, place.size)


def opened(path: Path) -> Source:
    """The file or folder at a path. Raises: `pack_not_found`, `pack_unreadable`, `pack_container_invalid`."""
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise PACK_NOT_FOUND.error("there is no such file or folder")
    return FileSource(path)


def checked(source: Source, progress: Progress | None = None) -> Content:
    """What a pack holds whose container is sound; its source is closed. Raises: `pack_container_invalid`."""
    errors = Errors()
    try:
        content = ContainerCheck(source, errors, progress).run()
    finally:
        source.close()
    if content is None or errors:
        raise errors.first()
    return content


class ContainerCheck:
    """One pass over a source."""

    def __init__(self, source: Source, errors: Errors, progress: Progress | None = None) -> None:
        self._source = source
        self._errors = errors
        self._progress = progress
        self._whole = hashlib.sha256()
        self._bytes = 0
        self._told = 0
        self._content: Content | None = None
        self._seal = b""
        self._listing = hashlib.sha256()
        self._artifact_bytes = 0
        self._expected: Iterator[MemberEntry] = iter(())
        self._next: MemberEntry | None = None

    def run(self) -> Content | None:
        """What the pack holds; None where its container or its manifest is none."""
        try:
            walked = iter(self._source.walk())
            self._content = content = self._manifest(next(walked, None))
            self._expected = iter(content.manifest.members)
            self._next = next(self._expected, None)
            sealed = False
            for member in walked:
                if member.name == SEAL:
                    sealed = self._check_seal(member)
                elif member.name.startswith(f"{ARTIFACTS}/"):
                    self._artifact(content, member)
                else:
                    self._member(content, member)
            self._skip_to(None)
            if not sealed:
                self._errors.add(PACK_MEMBER_MISSING, "it is not there", member=SEAL)
        except InterlockError as fault:
            self._errors.fault(fault)
            return None
        self._finish(content)
        return content

    def _manifest(self, member: Walked | None) -> Content:
        if member is None or member.name != MANIFEST:
            raise PACK_MANIFEST_INVALID.error("the pack does not begin with its manifest", member=MANIFEST)
        if member.size > MANIFEST_BYTES_MAX:
            raise PACK_TOO_LARGE.error(f"the manifest has more than {MANIFEST_BYTES_MAX} bytes", member=MANIFEST)
        content = self._taken(member)
        self._seal = seal_of(content)
        return Content(self._source, read_manifest(content), hashlib.sha256(content).hexdigest())

    def _taken(self, member: Walked) -> bytes:
        """The bytes of a small member, hashed into the whole."""
        content = b"".join(member.chunks)
        self._whole.update(header(member.name, member.size) + content + padding(member.size))
        self._count(member)
        return content

    def _digest(self, member: Walked) -> str:
        """The digest of a member, which is hashed into the whole too."""
        own = hashlib.sha256()
        self._whole.update(header(member.name, member.size))
        for chunk in member.chunks:
            own.update(chunk)
            self._whole.update(chunk)
        self._whole.update(padding(member.size))
        self._count(member)
        return own.hexdigest()

    def _count(self, member: Walked) -> None:
        self._bytes += len(header(member.name, member.size)) + member.size + -member.size % 512
        if self._progress is not None and self._bytes - self._told > 1 << 24:
            self._told = self._bytes
            self._progress("MiB", self._bytes >> 20, None)

    def _check_seal(self, member: Walked) -> bool:
        if member.size != len(self._seal) or self._taken(member) != self._seal:
            raise invalid("it is not the digest of the manifest", SEAL)
        return True

    def _artifact(self, content: Content, member: Walked) -> None:
        name = member.name.removeprefix(f"{ARTIFACTS}/")
        if len(name) != 2 * ID_BYTES or not set(name) <= set("0123456789abcdef"):
            raise invalid("its name is no digest", member.name)
        if member.size > ARTIFACT_BYTES_MAX:
            raise PACK_TOO_LARGE.error(f"an artifact has more than {ARTIFACT_BYTES_MAX} bytes", member=member.name)
        if self._digest(member) != name:
            self._errors.add(PACK_MEMBER_WRONG, "its bytes are not those of its name", member=member.name)
        content.artifacts.add(bytes.fromhex(name), member.at, member.size)
        self._listing.update(f"{name} {member.size}\n".encode())
        self._artifact_bytes += member.size

    def _member(self, content: Content, member: Walked) -> None:
        self._skip_to(member.name)
        expected = self._next
        if expected is None or expected.name != member.name:
            self._digest(member)
            self._errors.add(PACK_MEMBER_EXTRA, "the manifest does not name it", member=member.name)
            return
        self._next = next(self._expected, None)
        digest = self._digest(member)
        content.places[member.name] = Place(member.at, member.size)
        if (expected.bytes, expected.digest) != (member.size, digest):
            self._errors.add(PACK_MEMBER_WRONG, "its bytes are not those of the manifest", member=member.name)

    def _skip_to(self, name: str | None) -> None:
        """Name the members that should have stood before this one."""
        while self._next is not None and (name is None or self._next.name < name):
            self._errors.add(PACK_MEMBER_MISSING, "it is not there", member=self._next.name)
            self._next = next(self._expected, None)

    def _finish(self, content: Content) -> None:
        self._whole.update(END)
        content.digest, content.bytes = self._whole.hexdigest(), self._bytes + len(END)
        said = content.manifest.artifacts
        found = (self._artifact_bytes, len(content.artifacts), self._listing.hexdigest())
        if (said.bytes, said.count, said.listing) != found:
            what = f"it names {said.count} artifacts of {said.bytes} bytes; there are {found[1]} of {found[0]}"
            self._errors.add(PACK_MANIFEST_WRONG, what, member=MANIFEST)
