"""What an append must look like before any store takes it, whatever the store holds.

What it does: `checked_partition` refuses what no head could make right: no events, gaps, a head that is not
the last event's, a stream twice, two partitions. What it does not do: it reads no store, and it does not
look into envelopes; those who seal and those who read do.

Rule: every adapter of `EventLog` calls it first, so that all refuse the same and none writes a part of it.
"""

from __future__ import annotations

from interlock.base.bounds import EVENTS_PER_APPEND_MAX
from interlock.journal.errors import APPEND_MALFORMED, PARTITION_MIXED
from interlock.journal.ports import Append, Head, StreamAppend


def checked_partition(append: Append, *, erased: bool = False) -> str:
    """The partition of a well-formed append; with `erased`, events may come without their data, as in a copy.

    Raises: `append_malformed`, `partition_mixed` (Invalid).
    """
    streams, events = append.streams, 0
    if not streams:
        raise APPEND_MALFORMED.error("an append names no stream")
    if len(streams) > 1:
        if len({each.stream for each in streams}) != len(streams):
            raise APPEND_MALFORMED.error("an append names a stream twice")
        if len({each.partition for each in streams}) != 1:
            raise PARTITION_MIXED.error("an append names streams of several partitions")
    for each in streams:
        events += len(each.events)
    if events > EVENTS_PER_APPEND_MAX:
        raise APPEND_MALFORMED.error(f"an append has more than {EVENTS_PER_APPEND_MAX} events", events=events)
    for each in streams:
        _check_events(each, erased=erased)
    return streams[0].partition


def _check_events(append: StreamAppend, *, erased: bool) -> None:
    stream = append.stream
    if not append.events:
        raise APPEND_MALFORMED.error(f"an append has no event for {stream}", stream=stream)
    if append.expected.seq < 0 or (append.expected.seq == 0) != (append.expected.digest == ""):
        raise APPEND_MALFORMED.error(f"the expected head of {stream} is no head", stream=stream)
    for seq, event in enumerate(append.events, append.expected.seq + 1):
        if (event.stream, event.seq) != (stream, seq):
            raise APPEND_MALFORMED.error(f"an event does not stand at {seq} of {stream}", stream=stream, seq=seq)
        if event.data is None and not erased:
            raise APPEND_MALFORMED.error(f"event {seq} of {stream} has no data", stream=stream, seq=seq)
    last = append.events[-1]
    if append.head != Head(last.seq, last.digest):
        raise APPEND_MALFORMED.error(f"the new head of {stream} is not its last event", stream=stream)
