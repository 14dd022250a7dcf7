"""Whether the index and the timers are what the events say.

What it does: computes the rows and timers that every event entails and the row of every command, and compares them
with those that are stored. What it does not do: it leaves fold snapshots to `folds`; activations have no port that
lists them: `interlock.doctor` compares those of a file with its runs.

Rule: where an event cannot be read, the rows that it may have entailed are not judged.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import msgspec

from interlock.base.errors import Corruption
from interlock.base.events import ClearTimer, EventType, IndexRow, SetTimer, Timer
from interlock.journal.chain import Envelope, read_envelope, read_record
from interlock.journal.journal import FOLD_INDEX
from interlock.journal.ports import StoredEvent
from interlock.journal.runner import COMMAND_INDEX, CommandRow
from interlock.journal.verify.feed import FeedReader
from interlock.journal.verify.report import FINDINGS_MAX, PAGE, Examination, Finding
from interlock.journal.verify.tables import Compared, Shard, settled

TIMERS = "timer"
"""How findings name the table of timers."""

# Rows of a shard are named `<index>\0<key>`; no index has the empty name.
_TIMERS = "\0"


async def check_index(examination: Examination, partition: str) -> None:
    """Compare the index and the timers of a partition with what its events entail."""

    async def compare(end: int) -> Compared:
        return await _Comparison(examination, partition, end).run()

    async def mark() -> int:
        return await examination.store.events.position(partition)

    await settled(examination, f"{partition}/index", "index_rows", mark, compare)


class _Command(NamedTuple):
    """The events of one command, which stand next to each other in the feed."""

    id: str
    digest: str
    places: list[tuple[str, int, int]]


class _Rebuild:
    """Computes the index rows of one shard from the feed."""

    def __init__(self, examination: Examination, partition: str, shard: Shard[bytes]) -> None:
        self._examination = examination
        self._partition = partition
        self._shard = shard
        self._command: _Command | None = None
        self.commands_known = True
        self.rows_known = True

    async def run(self, end: int) -> None:
        """Take all events up to a position."""
        feed = FeedReader(self._examination, self._partition, end)
        async for page in feed.pages():
            for event in page:
                self._take(event)
            if self._shard.number == 0:
                self._examination.step("index", len(page))
        self._end_command()
        if not feed.whole:
            self.commands_known = self.rows_known = False

    def _take(self, event: StoredEvent) -> None:
        try:
            envelope = read_envelope(event)
        except Corruption as fault:
            self._examination.damaged(fault, f"{event.stream}#{event.seq}")
            self.commands_known = self.rows_known = False
            return
        self._take_command(envelope)
        kind = self._examination.catalogue.type_of(envelope.type, envelope.version)
        if kind is None:
            self.rows_known = False
        elif kind.index is not None or kind.upcast is not None:
            self._take_rows(envelope, event)

    def _take_rows(self, envelope: Envelope, event: StoredEvent) -> None:
        try:
            record = read_record(self._examination.catalogue, envelope, event)
        except Corruption:
            record = None
        if record is None:
            self.rows_known = False
            return
        kind: EventType | None = self._examination.catalogue.current_type(type(record))
        if kind is None or kind.index is None:
            return
        for row in kind.index(envelope.place, record):
            if isinstance(row, IndexRow):
                self._put(f"{row.index}\0{row.key}", row.value)
            elif isinstance(row, SetTimer):
                timer = Timer(row.timer_id, row.stream, row.due_ms, row.payload)
                self._put(_TIMERS + row.timer_id, msgspec.msgpack.encode(timer))
            elif isinstance(row, ClearTimer):
                self._put(_TIMERS + row.timer_id, None)

    def _take_command(self, envelope: Envelope) -> None:
        command = self._command
        if command is not None and command.id != envelope.command_id:
            self._end_command()
            command = None
        if envelope.command_id is None:
            return
        if command is None:
            command = self._command = _Command(envelope.command_id, envelope.command_digest or "", [])
            self._refuse_repetition(envelope)
        if command.places and command.places[-1][0] == envelope.stream:
            stream, first, _ = command.places.pop()
            command.places.append((stream, first, envelope.seq))
        else:
            command.places.append((envelope.stream, envelope.seq, envelope.seq))

    def _refuse_repetition(self, envelope: Envelope) -> None:
        if f"{COMMAND_INDEX}\0{envelope.command_id}" in self._shard.rows:
            place = f"{envelope.stream}#{envelope.seq}"
            self._examination.found("command_repeated", place, "its command was done before")

    def _end_command(self) -> None:
        if self._command is not None:
            row = CommandRow(self._command.digest, tuple(self._command.places))
            self._put(f"{COMMAND_INDEX}\0{self._command.id}", msgspec.json.encode(row))
            self._command = None

    def _put(self, name: str, value: bytes | None) -> None:
        if self._shard.holds(name):
            self._shard.put(name, None if value is None else hashlib.sha256(value).digest())


class _Comparison:
    """Compares the stored rows with the rebuilt ones, shard by shard."""

    def __init__(self, examination: Examination, partition: str, end: int) -> None:
        self._examination = examination
        self._partition = partition
        self._end = end
        self._findings: list[Finding] = []
        self._rows = 0

    async def run(self) -> Compared:
        """Compare everything, or until there is more to name than is kept."""
        shard: Shard[bytes] | None = Shard()
        while shard is not None and len(self._findings) < FINDINGS_MAX:
            rebuild = _Rebuild(self._examination, self._partition, shard)
            await rebuild.run(self._end)
            await self._compare_timers(shard, rebuild)
            await self._compare(shard, rebuild)
            shard = shard.next()
        return Compared(self._findings, self._rows)

    async def _compare(self, shard: Shard[bytes], rebuild: _Rebuild) -> None:
        stored = await self._examination.store.index.names(self._partition)
        names = {*stored, *(name.partition("\0")[0] for name in shard.rows)} - {FOLD_INDEX}
        for index in sorted(names):
            if rebuild.commands_known if index == COMMAND_INDEX else rebuild.rows_known:
                await self._compare_index(index, shard)
            else:
                self._examination.not_judged.add(f"{self._partition}/{index}")

    async def _compare_index(self, index: str, shard: Shard[bytes]) -> None:
        """Name every row that is not stored as it should be; what is left in the shard is not stored at all."""
        after = ""
        prefix = f"{index}\0"
        while page := await self._examination.store.index.scan(self._partition, index, "", after, PAGE):
            for key, value in page:
                self._compare_row(shard, prefix, key, value)
            after = page[-1][0]
        self._name_missing(shard, prefix)

    async def _compare_timers(self, shard: Shard[bytes], rebuild: _Rebuild) -> None:
        """As `_compare_index`, and takes the timers out of the shard."""
        after = ""
        timers = self._examination.store.timers
        if not rebuild.rows_known:
            others = {name: row for name, row in shard.rows.items() if not name.startswith(_TIMERS)}
            if len(others) < len(shard.rows) or await timers.scan(self._partition, "", 1):
                self._examination.not_judged.add(f"{self._partition}/{TIMERS}")
            shard.rows = others
            return
        while page := await timers.scan(self._partition, after, PAGE):
            for timer in page:
                self._compare_row(shard, _TIMERS, timer.timer_id, msgspec.msgpack.encode(timer))
            after = page[-1].timer_id
        self._name_missing(shard, _TIMERS)

    def _compare_row(self, shard: Shard[bytes], prefix: str, key: str, value: bytes) -> None:
        name = prefix + key
        if not shard.holds(name):
            return
        self._rows += 1
        expected = shard.rows.pop(name, None)
        if expected is None:
            self._found(prefix, key, "no event entails this row")
        elif expected != hashlib.sha256(value).digest():
            self._found(prefix, key, "the row is not what the events entail")

    def _name_missing(self, shard: Shard[bytes], prefix: str) -> None:
        for name in [name for name in shard.rows if name.startswith(prefix)]:
            del shard.rows[name]
            self._found(prefix, name.removeprefix(prefix), "the row is missing")

    def _found(self, prefix: str, key: str, message: str) -> None:
        table = TIMERS if prefix == _TIMERS else prefix[:-1]
        kind = "timer_row_wrong" if prefix == _TIMERS else "index_row_wrong"
        if len(self._findings) < FINDINGS_MAX:
            self._findings.append(Finding(kind, f"{self._partition}/{table}/{key}", message))
