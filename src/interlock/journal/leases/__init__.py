"""Leases: counted units of one name, held for a time under a fencing token, and a queue of those who want some.

One decider over the stream `<tenant>/lease/<name>`. Concurrency keys, host capacity, adapter limits, quotas and rate
limits are uses of it; none of them keeps a count of its own.
"""

from interlock.journal.leases.decide import Granted, Queued
from interlock.journal.leases.service import Leases

__all__ = ["Granted", "Leases", "Queued"]
