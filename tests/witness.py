"""Who opened which store in a test, so that every store can be proved when the test has ended.

What it does: `Witness` notes each journal, each table of views and each death of a store in memory, and proves what
they left behind. What it does not do: it sees no store that another process opens, and none without a journal: events
that no journal wrote have no chain, and the contract suites look after those stores.

Rules: a test is proved unless it is marked `unproved` with a reason, or a check of it is; only the contents that were
used last are kept, so that a test over thousands of stores costs no more than one over a few.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from interlock.base.part import View
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.journal.views import Views, table_of
from interlock.stores.memory import MemoryStore
from interlock.stores.postgres.address import Address
from tests.proof import CHECKS, Check, Content, prove

CONTENTS_MAX = 8
"""Contents of one test that are proved: those that were used last."""


@dataclass
class Seen:
    """What a test did with one content."""

    content: Content
    catalogue: EventCatalogue | None = None
    views: dict[str, View] = field(default_factory=dict)
    calm: bool = True


class Witness:
    """Notes what the running test opens."""

    def __init__(self) -> None:
        self._seen: OrderedDict[object, Seen] = OrderedDict()

    def watch(self) -> None:
        """Take notes from now on, for the life of this process."""
        patch = pytest.MonkeyPatch()
        patch.setattr(Journal, "__init__", _and_then(Journal.__init__, self.journal))
        patch.setattr(Views, "__init__", _and_then(Views.__init__, self.views))
        patch.setattr(MemoryStore, "die", _and_then(MemoryStore.die, self.death))

    def journal(self, made: Journal) -> None:
        """Note a journal on a store. Of several the one that knows most types reads all that the others wrote."""
        seen = self._of(made.store)
        if seen is not None and (seen.catalogue is None or types(made.catalogue) >= types(seen.catalogue)):
            seen.catalogue = made.catalogue

    def views(self, made: Views) -> None:
        """Note the views that are kept on a store."""
        seen = self._of(made._journal.store)
        if seen is not None:
            seen.views |= {table_of(view): view for view in made._views.values()}

    def death(self, died: MemoryStore) -> None:
        """Note that an owner died in the middle of its work."""
        seen = self._of(died)
        if seen is not None:
            seen.calm = False

    def _of(self, store: object) -> Seen | None:
        content = content_of(store)
        if content is None:
            return None
        key = content if isinstance(content, Path) else getattr(content, "shown", id(content))
        seen = self._seen.setdefault(key, Seen(content))
        self._seen.move_to_end(key)
        while len(self._seen) > CONTENTS_MAX:
            self._seen.popitem(last=False)
        return seen

    def forget(self) -> None:
        """Begin anew, for the next test."""
        self._seen.clear()

    def findings(self, checks: Sequence[Check]) -> list[str]:
        """What is wrong with the contents that were noted."""
        seen = [each for each in self._seen.values() if each.catalogue is not None]
        present = [each for each in seen if not isinstance(each.content, Path) or each.content.exists()]
        return asyncio.run(_findings(present, checks)) if present else []


def _and_then(method: Callable[..., None], note: Callable[[Any], None]) -> Callable[..., None]:
    """A method that is noted once it has been called."""

    def both(self: Any, *args: Any, **options: Any) -> None:
        method(self, *args, **options)
        note(self)

    return both


async def _findings(seen: Sequence[Seen], checks: Sequence[Check]) -> list[str]:
    found: list[str] = []
    for each in seen:
        assert each.catalogue is not None
        found += await prove(each.content, each.catalogue, list(each.views.values()), checks, calm=each.calm)
    return found


def content_of(store: object) -> Content | None:
    """What outlives an opened store; None for one that is ours neither in memory, in a file nor in a database."""
    if isinstance(store, MemoryStore):
        return store._handle.data
    address = getattr(store, "address", None)
    if isinstance(address, Address):
        return address
    path = getattr(store, "path", None)
    return path if isinstance(path, Path) else None


def types(catalogue: EventCatalogue) -> int:
    """How many types a catalogue can read."""
    return len(catalogue._by_name)


def checks_of(node: pytest.Item) -> list[Check]:
    """The checks that are made after a test: all, less those that it is excused from.

    `unproved("why")` excuses it from all, `unproved("why", but=["no_orphan"])` from those that are named. A marker
    without a reason, or with a check that there is not, is a fault of the test.
    """
    excused: set[str] = set()
    names = [check.__name__ for check in CHECKS]
    for marker in node.iter_markers("unproved"):
        [reason] = marker.args
        left_out = marker.kwargs.get("but", names)
        assert isinstance(reason, str)
        assert reason, "say why what this test leaves behind cannot be sound"
        assert set(left_out) <= set(names), f"there is no such check: {left_out}"
        excused.update(left_out)
    return [check for check in CHECKS if check.__name__ not in excused]
