"""The file by which a server of this machine lets its own user in.

What it does: reads the token that `interlock up` has left beside its store. What it does not do: it writes nothing, and
starts nothing.

Rules: the file counts only for the address that it names, with its path (`localhost` is that address, since a name may
lead to another user's server), while its process lives and is this user's, and only if it is a plain file of this user
that nobody else can read. A store without one asks for nothing.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from interlock.base.errors import InterlockError
from interlock.base.secrets import Secret
from interlock.client.addresses import Address, address_of, token_of
from interlock.client.errors import SERVER_FILE_INVALID, SERVER_FILE_UNSAFE

FILE_NAME: Final = "server.json"
FILE_BYTES_MAX: Final = 64 * 1024


class ServerFile(Struct, frozen=True, kw_only=True):
    """What the file says: where the server listens, the token of its user, and its process."""

    url: Annotated[str, Meta(max_length=2_000)]
    token: Annotated[str, Meta(min_length=1, max_length=8_192)]
    pid: int | None = None


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A server of this machine, and the token of its user."""

    address: Address
    token: Secret


def server_beside(store_folder: Path, address: Address) -> Neighbour | None:
    """The server of this store, if it is meant by `address`. Raises: `server_file_unsafe`, `server_file_invalid`."""
    path = store_folder / FILE_NAME
    content = _content(path)
    if content is None:
        return None
    try:
        found = msgspec.json.decode(content, type=ServerFile)
        named, token = address_of(found.url), token_of(found.token)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InterlockError):
        raise SERVER_FILE_INVALID.error(f"{path} does not say where a server is") from None
    if token is None or not _is_meant(named, address) or not _lives(found.pid):
        return None
    return Neighbour(named, token)


def _is_meant(named: Address, address: Address) -> bool:
    if not named.is_loopback or (named.port, named.is_plain) != (address.port, address.is_plain):
        return False
    return address.host in {named.host, "localhost"} and address.path == named.path


def _lives(pid: int | None) -> bool:
    """Whether the server's process is there and this user's; where it has ended, another may listen in its place."""
    if pid is None:
        return True
    try:
        os.kill(pid, 0)
    except (OSError, OverflowError):
        return False
    return pid > 0


def _content(path: Path) -> bytes | None:
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as fault:
        raise SERVER_FILE_UNSAFE.error(f"{path} cannot be read: {fault.strerror}") from None
    with os.fdopen(number, "rb") as file:
        found = os.fstat(number)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise SERVER_FILE_UNSAFE.error(f"{path} is not a file of this user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise SERVER_FILE_UNSAFE.error(f"{path} can be read or changed by others")
        content = file.read(FILE_BYTES_MAX + 1)
    if len(content) > FILE_BYTES_MAX:
        raise SERVER_FILE_INVALID.error(f"{path} has more than {FILE_BYTES_MAX} bytes")
    return content
