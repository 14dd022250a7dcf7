"""What the tests of copying share: stores with events of a real chain, and copies that work, are refused or end early.

What it does: opens stores by name, and seals notes of the small bank into them. What it does not do: it asserts only
that what should be refused is. The types of the bank are in no part that is installed: nobody explains them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.base.events import Row
from interlock.copying import Copied, copy
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship, seal
from interlock.journal.ports import Store
from interlock.journal.store_name import StoreName, is_url
from interlock.stores.postgres import open_postgres
from interlock.stores.sqlite import open_sqlite
from interlock.testing.contracts.harness import append
from tests.unit.journal.bank import CATALOGUE, NOW_MS, Noted

ADA = Authorship("local:ada", salt_key=b"k" * 32)


def quiet(what: str, done: int, total: int | None) -> None:
    """Hear of progress."""


def copied(source: StoreName, target: StoreName, catalogue: EventCatalogue | None = None) -> Copied:
    """Copy a store."""
    return asyncio.run(copy(source, target, quiet, catalogue))


def refusal(source: StoreName, target: StoreName, catalogue: EventCatalogue | None = None) -> InterlockError:
    """What a copy that must not be made ends with."""
    with pytest.raises(InterlockError) as fault:
        copied(source, target, catalogue)
    return fault.value


def refused(source: StoreName, target: StoreName) -> str:
    """The code of it."""
    return refusal(source, target).code


@asynccontextmanager
async def opened(name: StoreName) -> AsyncIterator[Store]:
    """An opened store, made if it is not there."""
    store = await (open_postgres(str(name)) if is_url(name) else open_sqlite(Path(name)))
    try:
        yield store
    finally:
        await store.close()


class Interrupted(Exception):
    """Something ended the copy."""


def interrupt(at: str) -> Callable[[str, int, int | None], None]:
    """End the copy where it tells of what begins with `at`."""

    def progress(what: str, done: int, total: int | None) -> None:
        if what.startswith(at):
            raise Interrupted

    return progress


async def grow(store: Store, stream: str, *notes: str, rows: Sequence[Row] = ()) -> None:
    """Append notes (one without any) to one stream at whatever its head is."""
    [head] = await store.events.heads([stream])
    sealed = seal(CATALOGUE, stream, head, [Noted(note) for note in notes or ("",)], NOW_MS, ADA)
    await append(store, sealed.append, rows=rows)
