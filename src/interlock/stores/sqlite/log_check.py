"""Looks for damage in the middle of a write-ahead log that SQLite itself would pass over in silence.

What it does: compares what SQLite takes from the log with what the file holds after that. SQLite stops at the
first frame that fails its checksum; at the end of the log that is an unfinished commit, but with a later
commit behind it, acknowledged work would vanish. What it does not do: it repairs and writes nothing.

Rules: each frame's checksum continues that of the frame before it, so later frames can be believed one from
the other even when an earlier one is damaged; a commit is synced before the next begins, so a frame behind a
commit frame proves that the commit was whole once. The format is described in section 4 of SQLite's "Database
File Format".
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import apsw

from interlock.journal.errors import STORE_CORRUPT

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682
_FORMAT = 3007000


@dataclass(frozen=True, slots=True)
class _Frame:
    commit: bool
    salts: tuple[int, int]
    checksum: tuple[int, int]
    content: bytes


def check_log(path: Path, connection: apsw.Connection) -> None:
    """Raise `store_corrupt` if commits lie behind a damaged frame of the log of `path`.

    `connection` is an open one. A writer that is at work meanwhile moves the end of the log and ends the
    check.
    """
    log = Path(f"{path}-wal")
    if not log.exists() or log.stat().st_size <= _HEADER.size:
        return
    taken = _frames_taken(connection)
    if _commits_behind(log, taken, int(connection.pragma("page_size"))) and _frames_taken(connection) == taken:
        raise STORE_CORRUPT.error(
            f"the write-ahead log of {path.name} is damaged behind frame {taken}, and commits stand behind that",
            frame=taken,
        )


def _frames_taken(connection: apsw.Connection) -> int:
    """How many frames of the log SQLite uses, once it has read the log."""
    connection.pragma("schema_version")
    return max(connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0], 0)


def _commits_behind(log: Path, taken: int, page_bytes: int) -> bool:
    """Whether the log holds, behind the `taken` frames, what was once a finished commit."""
    with log.open("rb") as file:
        salts, orders = _header(file.read(_HEADER.size), page_bytes)
        frame_bytes = _FRAME.size + page_bytes
        file.seek(_HEADER.size + taken * frame_bytes)
        before, strangers = None, 0
        while strangers < 2 and len(raw := file.read(frame_bytes)) == frame_bytes:
            frame = _read(raw)
            # One frame of other salts may be a damaged one; two are left from before the log began anew.
            strangers = strangers + 1 if salts is not None and frame.salts != salts else 0
            finished = before is not None and (before.commit or (salts is None and frame.commit))
            if before is not None and finished and any(_continues(frame, before, raw, order) for order in orders):
                return True
            before = frame
    return False


def _header(raw: bytes, page_bytes: int) -> tuple[tuple[int, int] | None, tuple[str, ...]]:
    """The salts of the log and the byte order of its checksums; no salts and both orders if it is damaged.

    SQLite syncs the header before the first frame, so that a damaged header with a commit behind it is no
    accident of an unfinished write either.
    """
    magic, version, page, _, salt, salt2, sum1, sum2 = _HEADER.unpack(raw)
    order = ">" if magic & 1 else "<"
    fits = (magic & ~1, version, page) == (_MAGIC, _FORMAT, page_bytes)
    if fits and _checksum((0, 0), raw[:24], order) == (sum1, sum2):
        return (salt, salt2), (order,)
    return None, ("<", ">")


def _read(raw: bytes) -> _Frame:
    _, pages, salt, salt2, sum1, sum2 = _FRAME.unpack_from(raw)
    return _Frame(pages != 0, (salt, salt2), (sum1, sum2), raw[_FRAME.size :])


def _continues(frame: _Frame, before: _Frame, raw: bytes, order: str) -> bool:
    """Whether the frame was written behind `before`."""
    if frame.salts != before.salts:
        return False
    return _checksum(_checksum(before.checksum, raw[:8], order), frame.content, order) == frame.checksum


def _checksum(start: tuple[int, int], content: bytes, order: str) -> tuple[int, int]:
    """SQLite's checksum of a multiple of 8 bytes, continued from `start`."""
    one, two = start
    for first, second in struct.iter_unpack(f"{order}2I", content):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
