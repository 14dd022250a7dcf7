"""Who is alive: one locked file for each owner of claims, beside the store.

What it does: gives this process a name and a lock that the kernel drops when it dies, and tells whether
another owner still lives. What it does not do: it changes no claim.

Rules: only a lock file that is there and free proves a death, and so it stays as long as a claim names its owner; a
lock file appears only when it is locked already; without one, an owner counts as alive until its claims expire, on
whichever computer it is. An owner whose own file was taken away puts another in its place.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from interlock.base.clock import Entropy

_LOG = logging.getLogger("interlock.stores")
_SUFFIX = ".lock"
_RANDOM_BYTES = 6
_OWNER = re.compile(r"\A[a-z0-9.-]{1,100}-[0-9]{1,10}-[0-9a-f]{12}\Z")


class Owners:
    """The lock files of one store; holds that of this process until `close`."""

    def __init__(self, folder: Path, entropy: Entropy, *, lock: bool) -> None:
        self._folder = folder
        self.name = f"{_host()}-{os.getpid()}-{entropy.random_bytes(_RANDOM_BYTES).hex()}"
        self._path = folder / (self.name + _SUFFIX)
        self._lock: int | None = None
        if lock:
            self._lock = self._locked()

    def _locked(self) -> int:
        """Lock a file beside, then give it its name."""
        self._folder.mkdir(exist_ok=True)
        beside = self._folder / f".{self.name}"
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        beside.rename(self._path)
        return lock

    def is_alive(self, owner: str) -> bool:
        """Whether an owner may still hold its claims."""
        if owner == self.name or _OWNER.match(owner) is None:
            return True  # of a name that is not one of ours only its expiry says
        return not _is_free(self._folder / (owner + _SUFFIX))

    def sweep(self, is_named: Callable[[str], bool]) -> None:
        """Take away the files of dead owners whom no claim names any more."""
        for path in self._folder.glob("*" + _SUFFIX):
            if _is_free(path) and not is_named(path.name.removesuffix(_SUFFIX)):
                path.unlink(missing_ok=True)

    def keep(self) -> None:
        """Make sure that others find the lock of this process; put it back if somebody took it away."""
        if self._lock is None or _is_at(self._path, self._lock):
            return
        _LOG.warning("the lock file of this process was taken away: it is made anew")
        with suppress(OSError):  # without it the claims live until they expire, and they are renewed
            lost, self._lock = self._lock, self._locked()
            os.close(lost)

    def close(self, *, named: bool = False) -> None:
        """End this owner: its claims can be taken at once. As long as one is `named`, the free file says so."""
        if self._lock is None:
            return
        if not named and _is_at(self._path, self._lock):
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def _is_free(path: Path) -> bool:
    """Whether a lock file is there and nobody holds it. Several may ask at once."""
    try:
        probe = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(probe, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(probe)
    return True


def _is_at(path: Path, lock: int) -> bool:
    """Whether the file that is held stands under its name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(lock))
    except OSError:
        return False


def _host() -> str:
    """The computer's name in the letters of an owner's name."""
    return re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower())[:100] or "localhost"
