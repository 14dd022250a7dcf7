"""Where a plan's code came from: source commit, lock file, interpreter, platform.

What it does: reads `.git` and the nearest lock file as plain files, once per folder. What it does not do: it starts no
process, and it records names of environment variables at most, never values.
"""

from __future__ import annotations

import hashlib
import platform
import sys
from functools import lru_cache
from pathlib import Path

from interlock.engine.config import BuildProvenance

_LOCK_FILES = (
    "uv.lock",
    "poetry.lock",
    "pdm.lock",
    "pylock.toml",
    "requirements.lock",
    "requirements/lock.txt",
)
_LOCK_BYTES_MAX = 16 * 1024 * 1024
_PARENTS_MAX = 32


@lru_cache(maxsize=256)
def provenance(folder: str | None = None) -> BuildProvenance:
    """The provenance of code in `folder` (None: the interpreter and platform alone)."""
    commit = lock = None
    if folder is not None:
        parents = [Path(folder), *Path(folder).parents][:_PARENTS_MAX]
        root = next((p for p in parents if (p / ".git").exists()), None)
        if root is not None:
            commit, lock = _commit(root / ".git"), _lock_digest(root)
    return BuildProvenance(
        git_commit=commit,
        cargo_lock_hash=lock,
        rustc_version=f"{sys.implementation.name} {platform.python_version()}",
        target_triple=f"{platform.machine()}-{sys.platform}",
    )


def _commit(git: Path) -> str | None:
    """The commit that is checked out, from `.git/HEAD`, a loose ref or the packed ones."""
    try:
        if git.is_file():
            git = (git.parent / git.read_text("utf-8").removeprefix("gitdir:").strip()).resolve()
        head = (git / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return _hexadecimal(head)
        name = head.removeprefix("ref: ")
        if (git / "commondir").is_file():  # a linked work tree keeps its branches in the main one's folder
            git = (git / (git / "commondir").read_text("utf-8").strip()).resolve()
        if (git / name).is_file():
            return _hexadecimal((git / name).read_text("utf-8").strip())
        for line in (git / "packed-refs").read_text("utf-8").splitlines():
            if line.endswith(f" {name}"):
                return _hexadecimal(line.partition(" ")[0])
    except (OSError, UnicodeDecodeError):
        return None
    return None


def _hexadecimal(text: str) -> str | None:
    return text if len(text) in (40, 64) and set(text) <= set("0123456789abcdef") else None


def _lock_digest(root: Path) -> str | None:
    for name in _LOCK_FILES:
        path = root / name
        if path.is_file() and path.stat().st_size <= _LOCK_BYTES_MAX:
            return hashlib.sha256(path.read_bytes()).hexdigest()
    return None
