"""The container of a pack: a strict subset of the ustar archive, in which content alone decides every byte.

What it does: writes the header of a member, and reads a file member by member, refusing every byte that the writer
would not have written. What it does not do: it knows no manifest and no event; it compresses nothing.

Rules (docs/decisions/0006, for ever): members are regular files under names of the one grammar; times, owners and
devices are zero and the mode is 0644; `manifest.json` comes first, `manifest.sha256` last, and between them names rise
in byte order; padding is zero; two zero blocks end the file, and nothing follows them. A header is never taken apart
and judged: it is made anew from the name and the size that it gives, and has to be equal.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from interlock.base.errors import InterlockError
from interlock.packs.errors import PACK_CONTAINER_INVALID, PACK_NOT_FOUND, PACK_TOO_LARGE, PACK_UNREADABLE

BLOCK = 512
END = bytes(2 * BLOCK)
"""What ends a container."""
MANIFEST = "manifest.json"
SEAL = "manifest.sha256"
NO_PACK = "this is not a pack"
NAME_BYTES_MAX = 100
MEMBER_BYTES_MAX = 8**11 - 1
"""The largest size that eleven octal digits hold."""
MEMBERS_MAX = 4_000_000
CHUNK = 1 << 20

_BEGINNING = f"{MANIFEST}\0".encode("ascii")
_PART = r"[a-z0-9][a-z0-9._-]*"
_NAME = re.compile(rf"\A{_PART}(?:/{_PART}){{0,7}}\Z", re.ASCII)
_OCTAL = re.compile(rb"\A[0-7]{11}\x00\Z")


class Walked(NamedTuple):
    """A member on the way through a pack: its bytes are `chunks`, to be taken before the next member."""

    name: str
    size: int
    at: int
    chunks: Iterator[bytes]


class Source(Protocol):
    """Where a pack is read from: a file, or a folder that one was unpacked to."""

    def walk(self) -> Iterator[Walked]:
        """Every member in the order of the container. Raises: `pack_container_invalid`, `pack_too_large`."""
        ...

    def read(self, name: str, at: int, size: int) -> bytes:
        """The bytes of a member that was walked, from offset `at` of its container or file; fewer at its end."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...


def is_name(name: str) -> bool:
    """Whether a member may be called so: one spelling, no way out of the folder it is unpacked to."""
    return len(name) <= NAME_BYTES_MAX and _NAME.match(name) is not None


def order(name: str) -> tuple[int, str]:
    """Where a member stands."""
    return (0, "") if name == MANIFEST else (2, "") if name == SEAL else (1, name)


def header(name: str, size: int) -> bytes:
    """The header of a member. Raises: `pack_too_large`."""
    if not is_name(name):
        raise ValueError(f"no name of a member: {name!r}")
    if not 0 <= size <= MEMBER_BYTES_MAX:
        raise PACK_TOO_LARGE.error(f"a member has more than {MEMBER_BYTES_MAX} bytes", member=name)
    zero = b"0000000\0"
    fields = b"".join(
        [
            name.encode("ascii").ljust(100, b"\0"),
            b"0000644\0",
            zero,  # user
            zero,  # group
            b"%011o\0" % size,
            b"00000000000\0",  # time
            b" " * 8,  # the checksum is counted with blanks in its place
            b"0",  # a regular file
            bytes(100),
            b"ustar\x0000",
            bytes(64),  # names of user and group
            zero,
            zero,  # devices
            bytes(167),
        ]
    )
    return fields[:148] + b"%06o\0 " % sum(fields) + fields[156:]


def padding(size: int) -> bytes:
    """The zeros behind a member of this size."""
    return bytes(-size % BLOCK)


def invalid(what: str, member: str | None = None, at: int | None = None) -> InterlockError:
    """The error of bytes that no container has."""
    return PACK_CONTAINER_INVALID.error(what, member=member, at_byte=at)


def _named(block: bytes, at: int) -> tuple[str, int]:
    """Name and size that a header gives, if it is the one header of that name and size."""
    raw = block[:100].rstrip(b"\0")
    size = block[124:136]
    name = raw.decode("ascii", "replace")
    if is_name(name) and _OCTAL.match(size):
        found = int(size[:11], 8)
        if header(name, found) == block:
            return name, found
    raise invalid(f"the header at byte {at} is not the one that its name and size have", None, at)


class FileSource:
    """A pack in one file."""

    def __init__(self, place: Path | int) -> None:
        """Read the file at a path, or one that is open; it is closed with the source."""
        self._file = place if isinstance(place, int) else open_regular(place)
        self._size = os.fstat(self._file).st_size

    def walk(self) -> Iterator[Walked]:
        """Every member; the file has to end where the container does."""
        at, last, count = 0, (-1, ""), 0
        if _pread(self._file, len(_BEGINNING), 0) != _BEGINNING:
            raise invalid(f"{NO_PACK}: it does not begin as every pack does", None, 0)
        while (block := self._exactly(at, BLOCK)) != bytes(BLOCK):
            name, size = _named(block, at)
            count += 1
            if count > MEMBERS_MAX:
                raise PACK_TOO_LARGE.error(f"the pack has more than {MEMBERS_MAX} members")
            if order(name) <= last:
                raise invalid("it stands twice, or out of order", name, at)
            last = order(name)
            at += BLOCK
            if at + size > self._size:
                raise invalid("the file ends inside of it", name, at)
            yield Walked(name, size, at, self._chunks(at, size))
            at += size
            if self._exactly(at, -size % BLOCK) != padding(size):
                raise invalid("what fills its last block is not zero", name, at)
            at += -size % BLOCK
        if self._exactly(at, len(END)) != END:
            raise invalid("the container does not end with two zero blocks", None, at)
        if at + len(END) != self._size or os.fstat(self._file).st_size != self._size:
            raise invalid("something stands behind the end of the container", None, at + len(END))

    def _chunks(self, at: int, size: int) -> Iterator[bytes]:
        end = at + size
        while at < end:
            chunk = self._exactly(at, min(CHUNK, end - at))
            at += len(chunk)
            yield chunk

    def _exactly(self, at: int, size: int) -> bytes:
        found = _pread(self._file, size, at) if size else b""
        if len(found) != size:
            raise invalid("the file ends too early", None, at)
        return found

    def read(self, name: str, at: int, size: int) -> bytes:  # noqa: ARG002 - a folder needs the name
        """The bytes at a place."""
        return _pread(self._file, size, at)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _pread(file: int, size: int, at: int) -> bytes:
    found = os.pread(file, size, at)
    while len(found) < size and (more := os.pread(file, size - len(found), at + len(found))):
        found += more
    return found


def open_regular(path: Path | str, folder: int | None = None) -> int:
    """A descriptor of a regular file. Raises: `pack_not_found`, `pack_unreadable`, `pack_container_invalid`.

    In a `folder` no link is followed; a path that a person gave may be one.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_NOFOLLOW if folder is not None else 0)
    try:
        file = os.open(path, flags, dir_fd=folder)
    except FileNotFoundError:
        raise PACK_NOT_FOUND.error("there is no such file") from None
    except OSError as fault:
        raise PACK_UNREADABLE.error(f"it cannot be read: {fault.strerror}") from None
    if stat.S_ISREG(os.fstat(file).st_mode):
        return file
    os.close(file)
    raise invalid("it is not a regular file")
