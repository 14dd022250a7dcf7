"""The one call that writes a batch: its values in the order of the functions `write_batch` and `write_rows`.

What it does: turns staged changes into the arrays that the functions take. What it does not do: it sends nothing and
checks nothing.

Rule: the order here is that of the migrations, whatever the names say.
"""

from __future__ import annotations

from collections.abc import Sequence

from interlock.base.events import SetTimer
from interlock.stores.postgres.arrays import bools, byteas, int4s, int8s, texts
from interlock.stores.postgres.staging import PARTITION_SHIFT, Changes, Known, KnownActivation

_ANY, _NONE, _VERSION = 0, 1, 2

PREPARE_EVENTS = b"""PREPARE write_events (
    bigint[], bigint[], bytea[], bigint[], bytea[], bigint[], text[], integer[], bigint[], bytea[], integer[], bigint[],
    bigint[], integer[], bigint[], bigint[], bytea[], bytea[], bytea[], bytea[]
) AS SELECT write_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)"""

PREPARE_ALL = b"""PREPARE write_all (
    bigint[], bigint[], bytea[], bigint[], bytea[], bigint[], text[], integer[], bigint[], bytea[], integer[], bigint[],
    bigint[], integer[], bigint[], bigint[], bytea[], bytea[], bytea[], bytea[],
    text[], integer[], bigint[], boolean[], text[], text[], bigint[], bigint[], text[], bigint[],
    integer[], text[], bytea[], integer[], text[], bytea[], bytea[], integer[], text[], bytea[],
    integer[], bytea[], text[], bigint[], bytea[], integer[], bytea[], bytea[], text[], bigint[], bytea[]
) AS SELECT write_rows(
    write_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20),
    $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40,
    $41, $42, $43, $44, $45, $46, $47, $48, $49, $50, $51
)"""


def call_of(changes: Changes, known: Known, inline_bytes_max: int) -> tuple[bytes, list[bytes], list[str]]:
    """The prepared statement for the changes, its values, and the partitions in the order of the positions given."""
    partitions = sorted(changes.counts, key=known.partitions.__getitem__)
    values = _event_values(changes, known, partitions)
    if not changes.has_rows:
        return b"write_events", values, partitions
    values += _activation_values(changes, known.activations)
    values += _index_values(changes)
    values += _timer_values(changes)
    values += _artifact_values(changes, inline_bytes_max)
    return b"write_all", values, partitions


def _event_values(changes: Changes, known: Known, partitions: Sequence[str]) -> list[bytes]:
    before, after = changes.before, changes.after
    streams = list(after)
    # In the order of their numbers, in which the server locks and compares them.
    old = sorted((stream for stream in streams if not before[stream].new), key=lambda stream: before[stream].no)
    new = [stream for stream in streams if before[stream].new]
    place, part, number, seq = list[int](), list[int](), list[int](), list[int]()
    digest, envelope, data, salt = list[bytes](), list[bytes](), list[bytes | None](), list[bytes]()
    fromhex = bytes.fromhex
    for at, partition in enumerate(partitions, 1):
        position = known.partitions[partition] << PARTITION_SHIFT
        for each in changes.events[partition]:
            no = before[each.stream].no
            for event in each.events:
                position += 1
                place.append(position)
                part.append(at)
                number.append(no)
                seq.append(event.seq)
                digest.append(fromhex(event.digest))
                envelope.append(event.envelope)
                data.append(event.data)
                salt.append(event.salt)
    return [
        int8s([before[stream].no for stream in old]),
        int8s([before[stream].seq for stream in old]),
        byteas([fromhex(before[stream].digest) for stream in old]),
        int8s([after[stream].head.seq for stream in old]),
        byteas([fromhex(after[stream].head.digest) for stream in old]),
        int8s([before[stream].no for stream in new]),
        texts(new),
        int4s([known.partitions[after[stream].partition] for stream in new]),
        int8s([after[stream].head.seq for stream in new]),
        byteas([fromhex(after[stream].head.digest) for stream in new]),
        int4s([known.partitions[partition] for partition in partitions]),
        int8s([changes.counts[partition] for partition in partitions]),
        int8s(place),
        int4s(part),
        int8s(number),
        int8s(seq),
        byteas(digest),
        byteas(envelope),
        byteas(data),
        byteas(salt),
    ]


def _activation_values(changes: Changes, known: dict[str, KnownActivation]) -> list[bytes]:
    streams = list(changes.activations)
    after = [changes.activations[stream] for stream in streams]
    before = [known.get(stream, KnownActivation(read=False)) for stream in streams]
    checks = [_ANY if not each.read else _NONE if each.activation is None else _VERSION for each in before]
    return [
        texts(streams),
        int4s(checks),
        int8s([each.version for each in before]),
        bools([each is None for each in after]),
        texts([None if each is None else each.partition for each in after]),
        texts([None if each is None else each.kind for each in after]),
        int8s([None if each is None else each.due_ms for each in after]),
        int8s([None if each is None else each.epoch for each in after]),
        texts([None if each is None else each.owner for each in after]),
        int8s([None if each is None else each.expires_ms for each in after]),
    ]


def _index_values(changes: Changes) -> list[bytes]:
    puts = [(place, value) for place, value in changes.index.items() if value is not None]
    drops = [place for place, value in changes.index.items() if value is None]
    values: list[bytes] = []
    for places in (sorted(changes.fresh), [place for place, _ in puts]):
        values += _places(places)
    return [*values, byteas([value for _, value in puts]), *_places(drops)]


def _places(places: Sequence[tuple[int, str, str]]) -> list[bytes]:
    return [
        int4s([no for no, _, _ in places]),
        texts([name for _, name, _ in places]),
        byteas([key.encode() for _, _, key in places]),
    ]


def _timer_values(changes: Changes) -> list[bytes]:
    puts: list[tuple[int, SetTimer]] = [(no, timer) for (no, _), timer in changes.timers.items() if timer is not None]
    drops = [place for place, timer in changes.timers.items() if timer is None]
    return [
        int4s([no for no, _ in puts]),
        byteas([timer.timer_id.encode() for _, timer in puts]),
        texts([timer.stream for _, timer in puts]),
        int8s([timer.due_ms for _, timer in puts]),
        byteas([timer.payload for _, timer in puts]),
        int4s([no for no, _ in drops]),
        byteas([timer_id.encode() for _, timer_id in drops]),
    ]


def _artifact_values(changes: Changes, inline_bytes_max: int) -> list[bytes]:
    blobs = list(changes.blobs.values())
    return [
        byteas([bytes.fromhex(blob.id) for blob in blobs]),
        texts([blob.kind for blob in blobs]),
        int8s([len(blob.content) for blob in blobs]),
        byteas([blob.content if len(blob.content) <= inline_bytes_max else None for blob in blobs]),
    ]
