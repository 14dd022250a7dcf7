"""What a server of this machine has beside its store: a lock that says that there is one, and its file.

What it does: holds the lock for as long as the server stands, says who holds it, and writes the file by which the user
of this machine is known. What it does not do: it opens no socket and no store.

Rules: only the lock that the kernel keeps for a living process refuses another server, whatever the files say that dead
ones left; the lock file goes with its holder, while it is held; the file holds a token, and nobody else can read it.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.journal.errors import STORE_UNWRITABLE
from interlock.journal.store_name import MEMORY, StoreName, is_url
from interlock.surfaces.http.errors import SERVER_RUNNING

FILE: Final = "server.json"
LOCK: Final = "server.lock"
_HOLDER_BYTES_MAX: Final = 4_096
_ATTEMPTS_MAX: Final = 10


class ServerFile(Struct, frozen=True):
    """What the file of a server says to programs of the same user; `pid` is the process that holds the address."""

    url: str
    token: str
    pid: int


class Holder(Struct, frozen=True):
    """Who holds the lock, and where it is reached."""

    pid: int
    url: str


def folder_beside(store: StoreName) -> Path | None:
    """The folder for what a server leaves; None for a store that is no file."""
    return None if is_url(store) or str(store) == MEMORY else Path(store).parent


class Standing:
    """The place of the one server beside a store; without a folder it leaves nothing anywhere."""

    def __init__(self, folder: Path | None, lock: int | None) -> None:
        self._folder = folder
        self._lock = lock

    def reached_at(self, url: str) -> None:
        """Say in the lock file who stands here, for whoever is refused."""
        if self._lock is not None:
            os.pwrite(self._lock, msgspec.json.encode(Holder(os.getpid(), url)), 0)

    @contextmanager
    def file(self, url: str, token: str) -> Iterator[Path | None]:
        """The file of the server while the context lasts; it takes the place of one that is left over.

        Raises: `store_unwritable`.
        """
        if self._folder is None:
            yield None
            return
        place, told = self._folder / FILE, ServerFile(url, token, os.getpid())
        _write(place, told)
        try:
            yield place
        finally:
            with suppress(OSError, InterlockError, msgspec.MsgspecError):
                if msgspec.json.decode(place.read_bytes(), type=ServerFile) == told:
                    place.unlink()


@contextmanager
def standing(folder: Path | None) -> Iterator[Standing]:
    """The place of the one server beside a store, for as long as the context lasts.

    Raises: `server_running`, `store_unwritable`.
    """
    if folder is None:
        yield Standing(None, None)
        return
    lock = _locked(folder / LOCK)
    try:
        os.ftruncate(lock, 0)  # who held it before is no more
        yield Standing(folder, lock)
    finally:
        with suppress(OSError):
            (folder / LOCK).unlink()  # while it is held: who opened it meanwhile sees that it lost its name
        os.close(lock)


def _locked(path: Path) -> int:
    """The lock, held. Raises: `server_running`, `store_unwritable`."""
    for _ in range(_ATTEMPTS_MAX):
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as fault:
            raise STORE_UNWRITABLE.error(f"{path} cannot be written: {fault.strerror}") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            who = _who(lock)
            os.close(lock)
            raise SERVER_RUNNING.error(f"{path.parent} has a server already: {who}") from None
        with suppress(OSError):
            if os.path.samestat(path.lstat(), os.fstat(lock)):
                return lock
        os.close(lock)  # its holder took it away while it ended
    raise SERVER_RUNNING.error(f"{path.parent} has a server already: others come and go")


def _who(lock: int) -> str:
    """Who holds a lock, as far as it has said so."""
    try:
        holder = msgspec.json.decode(os.pread(lock, _HOLDER_BYTES_MAX, 0), type=Holder)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return "it is just being started, or ends"
    return f"{holder.url}, process {holder.pid}"


def _write(place: Path, told: ServerFile) -> None:
    """Write the file whole, and for this user alone. Raises: `store_unwritable`."""
    made = place.with_name(f".{FILE}.{told.pid}")
    try:
        with suppress(FileNotFoundError):
            made.unlink()
        descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(told))
        made.replace(place)
    except OSError as fault:
        raise STORE_UNWRITABLE.error(f"{place} cannot be written: {fault.strerror}") from None
