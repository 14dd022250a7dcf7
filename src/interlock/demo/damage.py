"""Damage on purpose, to a copy: one flipped byte in a stored event, as a failing disk would leave it."""

from __future__ import annotations

from pathlib import Path

import apsw


def flip_one_byte(store: Path) -> str:
    """Flip the lowest bit of a byte in the middle of a middle event's data; return its place, `stream#seq`."""
    connection = apsw.Connection(str(store))
    try:
        rows = "SELECT e.place, e.data, s.id, e.seq FROM event AS e JOIN stream AS s ON s.no = e.stream"
        found = list(connection.execute(f"{rows} WHERE length(e.data) > 8 ORDER BY e.place"))
        place, data, stream, seq = found[len(found) // 2]
        damaged = bytearray(data)
        damaged[len(damaged) // 2] ^= 1
        connection.execute("UPDATE event SET data = ? WHERE place = ?", (bytes(damaged), place))
    finally:
        connection.close()
    return f"{stream}#{seq}"
