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
from interlock.stores.sqlite.connection import log_bytes

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC = 0x377F0682
_FORMAT = 3007000


@dataclass(frozen=True, slots=True)
class _Header:
    """Salts of the log, and the byte order of its checksums; no salts and both orders if it is damaged."""

    salts: tuple[int, int] | None
    orders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Frame:
    """`numbers` are the checksummed beginning; `commit` says whether it ends a transaction."""

    numbers: bytes
    commit: bool
    salts: tuple[int, int]
    checksum: tuple[int, int]
    page: bytes


def check_log(path: Path, connection: apsw.Connection) -> None:
    """Raise `store_corrupt` if commits lie behind a damaged frame of the log of `path`.

    `connection` is an open one. Damage is seen twice at the same place; what a writer is changing is not.
    """
    sound = _sound_frames(path, connection)
    if sound is not None and _sound_frames(path, connection) == sound:
        raise STORE_CORRUPT.error(
            f"the write-ahead log of {path.name} is damaged behind frame {sound}, and commits stand behind that",
            frame=sound,
        )


def _sound_frames(path: Path, connection: apsw.Connection) -> int | None:
    """How many frames of the log SQLite uses though commits stand behind them; None if the log is whole."""
    if (log_bytes(path) or 0) <= _HEADER.size:
        return None
    connection.pragma("schema_version")  # SQLite has then read the log
    log, page_bytes = Path(f"{path}-wal"), int(connection.pragma("page_size"))
    try:
        used = _used(log, connection, page_bytes)
        return used if used is not None and _commits_behind(log, used, page_bytes) else None
    except FileNotFoundError:
        return None  # who had it open until now has copied it whole and taken it away


def _used(log: Path, connection: apsw.Connection, page_bytes: int) -> int | None:
    """How many frames SQLite takes from the log; None while a writer is at work."""
    try:
        return max(connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)[0], 0)
    except apsw.BusyError:
        return None
    except apsw.ReadOnlyError:
        return _counted(log, page_bytes)  # SQLite tells it only to who may write


def _counted(log: Path, page_bytes: int) -> int:
    """The same, counted as SQLite counts: up to the last commit before the first frame that is not sound."""
    with log.open("rb") as file:
        raw = file.read(_HEADER.size)
        header = _header(raw, page_bytes)
        if header.salts is None:
            return 0
        before = _Frame(b"", commit=False, salts=header.salts, checksum=_HEADER.unpack(raw)[6:], page=b"")
        used = seen = 0
        while len(raw := file.read(_FRAME.size + page_bytes)) == _FRAME.size + page_bytes:
            frame = _frame(raw)
            if not _continues(frame, before, header.orders[0]):
                break
            before, seen = frame, seen + 1
            used = seen if frame.commit else used
    return used


def _commits_behind(log: Path, used: int, page_bytes: int) -> bool:
    """Whether the log holds, behind the `used` frames, what was once a finished commit."""
    with log.open("rb") as file:
        header = _header(file.read(_HEADER.size), page_bytes)
        frame_bytes = _FRAME.size + page_bytes
        file.seek(_HEADER.size + used * frame_bytes)
        before, strangers = None, 0
        while strangers < 2 and len(raw := file.read(frame_bytes)) == frame_bytes:
            frame = _frame(raw)
            if header.salts not in (None, frame.salts):
                # One such frame may be a damaged one; two are left from before the log was begun anew.
                strangers += 1
            elif before is not None and _proves_a_commit(header, before, frame):
                return True
            before = frame
    return False


def _proves_a_commit(header: _Header, before: _Frame, frame: _Frame) -> bool:
    """Whether `frame` was written behind a finished commit.

    SQLite syncs the header before the first frame; so behind a damaged header any whole commit is proof enough.
    """
    finished = before.commit or (header.salts is None and frame.commit)
    return finished and any(_continues(frame, before, order) for order in header.orders)


def _header(raw: bytes, page_bytes: int) -> _Header:
    magic, version, page, _, salt, salt2, sum1, sum2 = _HEADER.unpack(raw)
    order = ">" if magic & 1 else "<"
    fits = (magic & ~1, version, page) == (_MAGIC, _FORMAT, page_bytes)
    if fits and _checksum((0, 0), raw[:24], order) == (sum1, sum2):
        return _Header((salt, salt2), (order,))
    return _Header(None, ("<", ">"))


def _frame(raw: bytes) -> _Frame:
    _, pages, salt, salt2, sum1, sum2 = _FRAME.unpack_from(raw)
    return _Frame(raw[:8], pages != 0, (salt, salt2), (sum1, sum2), raw[_FRAME.size :])


def _continues(frame: _Frame, before: _Frame, order: str) -> bool:
    """Whether the checksum of a frame continues that of the frame before it."""
    if frame.salts != before.salts:
        return False
    return _checksum(_checksum(before.checksum, frame.numbers, order), frame.page, order) == frame.checksum


def _checksum(start: tuple[int, int], content: bytes, order: str) -> tuple[int, int]:
    """SQLite's checksum of a multiple of 8 bytes, continued from `start`."""
    one, two = start
    for first, second in struct.iter_unpack(f"{order}2I", content):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return one, two
