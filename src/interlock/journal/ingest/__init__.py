"""Events from outside: durable before they are acknowledged, each once, from the sources that the settings list.

One decider over the streams `<tenant>/inbox/<digest of a source>`. It stands in the journal, below everything that
reacts to events, because it needs nothing else: what listens to the feed finds them there.
"""

from interlock.journal.ingest.service import Ingest, Taken
from interlock.journal.ingest.settings import EventSettings
from interlock.journal.ingest.signature import Signed

__all__ = ["EventSettings", "Ingest", "Signed", "Taken"]
