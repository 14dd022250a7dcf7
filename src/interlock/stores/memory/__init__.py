"""The store in memory: every port of the journal without a file, a thread or a clock.

It keeps nothing beyond the process. It is no stand-in: it passes the contract suites of every other store.
"""

from interlock.stores.memory.store import MemoryStore

__all__ = ["MemoryStore"]
