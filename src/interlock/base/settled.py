"""Keeps a process that stays from looking again and again at what it began with.

What it does: takes the objects of the start (modules, types, schemas: a hundred thousand and more) out of the cyclic
garbage collection for as long as the process serves. What it does not do: it turns no collection off; what comes later
is collected as ever, and those objects are freed as ever once the last reference to them has gone.

Rule: only a verb whose process lives for serving does this; a library does not do it to the program that uses it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def settled() -> Iterator[None]:
    """Look no more at what is there now, until the end of the block.

    A full collection of the start's objects stops everything for tens of milliseconds, and finds nothing.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
