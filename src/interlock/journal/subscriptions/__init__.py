"""Subscriptions: what the journal tells the outside, at least once and in order per stream.

One decider over the stream `<tenant>/subscription/<name>`, a table of how far each one is, and a follower that hands
events to a sink. Dispatches of scenarios, notifications and exports are uses of it; none of them sends by itself.
"""

from interlock.journal.subscriptions.port import Delivery, Sink
from interlock.journal.subscriptions.service import Subscriptions
from interlock.journal.subscriptions.settings import SubscriptionSettings

__all__ = ["Delivery", "Sink", "SubscriptionSettings", "Subscriptions"]
