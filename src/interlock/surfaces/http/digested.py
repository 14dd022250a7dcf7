"""A file whose bytes are digested as they are written, so that nothing is read twice to be named.

What it does: writes through to a file, and keeps the SHA-256 of what was written. What it does not do: it opens and
closes no file.

Rule: it is written from its beginning to its end, once.
"""

from __future__ import annotations

import hashlib
from typing import BinaryIO


class Digested:
    """The writing half of a file, with a digest."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        """Write bytes behind those before. Raises: `OSError`."""
        self._digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        """Hand what was written to the system. Raises: `OSError`."""
        self._file.flush()

    @property
    def digest(self) -> str:
        """The SHA-256 of what was written, in lower-case hexadecimal."""
        return self._digest.hexdigest()

    def content(self) -> bytes:
        """All that was written. Raises: `OSError`."""
        self._file.seek(0)
        return self._file.read()
