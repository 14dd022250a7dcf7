"""Who is alive: one locked file for each owner of claims, beside the store.

What it does: gives this process a name and a lock that the kernel drops when it dies, and tells whether
another owner still lives. What it does not do: it changes no claim.

Rules: a lock file appears only when it is locked already, so a free one is that of a dead owner; the file of
a dead owner is taken away; an owner of another computer whose file cannot be seen counts as alive until its
claims expire.
"""

from __future__ import annotations

import fcntl
import os
import re
import socket
from contextlib import suppress
from pathlib import Path

from interlock.base.clock import Entropy

_SUFFIX = ".lock"
_RANDOM_BYTES = 6
_OWNER = re.compile(r"\A[a-z0-9.-]{1,100}-[0-9]{1,10}-[0-9a-f]{12}\Z")


class Owners:
    """The lock files of one store; holds that of this process until `close`."""

    def __init__(self, folder: Path, entropy: Entropy, *, lock: bool) -> None:
        self._folder = folder
        self._host = _host()
        self.name = f"{self._host}-{os.getpid()}-{entropy.random_bytes(_RANDOM_BYTES).hex()}"
        self._path = folder / (self.name + _SUFFIX)
        self._lock: int | None = None
        if lock:
            folder.mkdir(exist_ok=True)
            self.sweep()
            self._lock = self._locked(self._path)

    def _locked(self, path: Path) -> int:
        """Lock a file beside, then give it its name."""
        beside = self._folder / f".{self.name}"
        lock = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        beside.rename(path)
        return lock

    def is_alive(self, owner: str) -> bool:
        """Whether an owner may still hold its claims."""
        if owner == self.name:
            return True
        if _OWNER.match(owner) is None:
            return True  # not a name of ours: only its expiry says
        return self._is_locked(self._folder / (owner + _SUFFIX), missing=owner.rsplit("-", 2)[0] != self._host)

    def sweep(self) -> None:
        """Take away the files of dead owners."""
        for path in self._folder.glob("*" + _SUFFIX):
            self._is_locked(path, missing=False)

    @staticmethod
    def _is_locked(path: Path, *, missing: bool) -> bool:
        """Whether somebody holds the lock, `missing` without a file; takes a dead owner's file away."""
        try:
            probe = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return missing
        except OSError:
            return True
        try:
            fcntl.flock(probe, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        else:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(probe)

    def close(self) -> None:
        """End this owner: its claims can be taken at once."""
        if self._lock is None:
            return
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
        os.close(self._lock)
        self._lock = None


def _host() -> str:
    """The computer's name in the letters of an owner's name."""
    return re.sub(r"[^a-z0-9.-]", "-", socket.gethostname().lower())[:100] or "localhost"
