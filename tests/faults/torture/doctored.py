"""A sound journal, damaged on purpose, and sealed anew so that only the damage that is meant shows.

What it does: edits, drops and adds events of evidence, and hashes everything again. What it does not do: it touches no
store.

Rule: like `evidence` and `prove`, it knows no line of the product.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.faults.torture.evidence import Entry, Evidence

Data = dict[str, Any]


def canonical(value: Any) -> bytes:
    """Canonical JSON, as far as events need it: their members are ASCII and hold no float."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class Doctored:
    """Evidence under the knife. Every change leaves sound chains and a dense feed behind."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.entries = list(evidence.entries)

    def find(self, kind: str, where: Callable[[Data], bool] = lambda _data: True, of: str = "") -> Entry:
        """The first event of a type whose data is like that, in a stream with `of` in its name."""
        return self.all(kind, where, of)[0]

    def all(self, kind: str, where: Callable[[Data], bool] = lambda _data: True, of: str = "") -> list[Entry]:
        """All such events."""
        found = [each for each in self.entries if kind_of(each) == kind and of in each.stream and where(data_of(each))]
        assert found, f"the sound journal has no {kind}"
        return found

    def edit(self, entry: Entry, **members: Any) -> None:
        """Change members of an event's data."""
        self.entries[self.entries.index(entry)] = entry.altered(data=canonical(data_of(entry) | members))

    def drop(self, entry: Entry) -> None:
        """Take an event away."""
        self.entries.remove(entry)

    def add(self, after: Entry, kind: str, data: Data, *, before: bool = False, of: Entry | None = None) -> None:
        """Put an event behind another, of the same stream or that of `of`."""
        like = after if of is None else of
        envelope = json.loads(like.envelope) | {"type": kind, "command_id": None, "command_digest": None}
        made = like.altered(envelope=canonical(envelope), data=canonical(data))
        self.entries.insert(self.entries.index(after) + (0 if before else 1), made)

    def again(self, entry: Entry, **members: Any) -> None:
        """Let an event happen twice, the second time with other members."""
        made = entry.altered(data=canonical(data_of(entry) | members))
        self.entries.insert(self.entries.index(entry) + 1, made)

    def move(self, entry: Entry, behind: Entry) -> None:
        """Let an event come later."""
        self.entries.remove(entry)
        self.entries.insert(self.entries.index(behind) + 1, entry)

    def sealed(self) -> Evidence:
        """The evidence with the changed journal, numbered and hashed anew."""
        heads: dict[str, tuple[int, str]] = {}
        times: dict[str, int] = {}
        counters: dict[str, int] = {}
        entries: list[Entry] = []
        for entry in self.entries:
            seq, prev = heads.get(entry.stream, (0, ""))
            position = counters[entry.partition] = counters.get(entry.partition, 0) + 1
            envelope = json.loads(entry.envelope)
            envelope["seq"], envelope["prev"] = seq + 1, prev or None
            envelope["at_ms"] = times[entry.stream] = max(times.get(entry.stream, 0), envelope["at_ms"])
            envelope["data_digest"] = hashlib.sha256(entry.salt + (entry.data or b"")).hexdigest()
            content = canonical(envelope)
            digest = hashlib.sha256(b"interlock/event/1\n" + content).hexdigest()
            heads[entry.stream] = (seq + 1, digest)
            entries.append(entry.altered(seq=seq + 1, position=position, envelope=content, digest=digest))
        self.evidence.entries, self.evidence.heads, self.evidence.counters = entries, heads, counters
        return self.evidence


def data_of(entry: Entry) -> Data:
    """What an event says."""
    data: Data = json.loads(entry.data or b"null")
    return data


def kind_of(entry: Entry) -> str:
    """The name of an event's type, without its part."""
    kind: str = json.loads(entry.envelope)["type"]
    return kind.rpartition(".")[2]
