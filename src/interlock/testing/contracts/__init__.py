"""What every store must do, as tests that an adapter inherits: one suite a port, and one for the whole.

What it does: proves an adapter of the journal's ports from outside, through the ports alone. What it does
not do: it looks into no file and no database, measures nothing, and imports no test framework; whatever
collects `test_…` methods runs it.

To prove an adapter, say how a store is made, and how another process would open the same one:

    from interlock.testing.contracts import StoreContract

    class TestMyStore(StoreContract):
        async def make_store(self):
            self.place = fresh_place()
            return await open_my_store(self.place)

        async def reopen(self, store):
            return await open_my_store(self.place)

An adapter without threads, sockets and files runs on virtual time, each test over some interleavings,
with these lines in its class:

        run = staticmethod(interlock.testing.loop.run)
        seeds = 5

One port alone is proved by its own suite, such as `EventLogContract`. `harness.Contract` shows what else
can be said.
"""

from interlock.testing.contracts.activation_rows import ActivationRowsContract
from interlock.testing.contracts.activations import ActivationsContract
from interlock.testing.contracts.artifacts import ArtifactsContract
from interlock.testing.contracts.doorbell import DoorbellContract
from interlock.testing.contracts.event_log import EventLogContract
from interlock.testing.contracts.index import IndexContract
from interlock.testing.contracts.store import StoreContract
from interlock.testing.contracts.timers import TimersContract
from interlock.testing.contracts.views import ViewStoreContract

__all__ = [
    "ActivationRowsContract",
    "ActivationsContract",
    "ArtifactsContract",
    "DoorbellContract",
    "EventLogContract",
    "IndexContract",
    "StoreContract",
    "TimersContract",
    "ViewStoreContract",
]
