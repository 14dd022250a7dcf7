"""The journal's registration, with the error codes of what stands below it. It declares and does nothing else."""

from __future__ import annotations

from interlock.base import canonical, cloud_binding, ids, keyring, merkle_node, sealed, secret_scan, secrets
from interlock.base.part import Part, SettingsSection
from interlock.journal.catalogue import EVENT_TYPE_UNSOUND
from interlock.journal.errors import ERRORS
from interlock.journal.ingest import EventSettings
from interlock.journal.ingest import commands as ingest_commands
from interlock.journal.ingest.decide import DECIDER as INGEST
from interlock.journal.ingest.events import EVENTS as INGEST_EVENTS
from interlock.journal.ingest.telling import FORMS as INGEST_FORMS
from interlock.journal.ingest.views import RECEIVED
from interlock.journal.leases import commands, decide, events, views
from interlock.journal.runner import RunnerSettings
from interlock.journal.streams import STREAM_INVALID
from interlock.journal.subscriptions import SubscriptionSettings
from interlock.journal.subscriptions import commands as subscription_commands
from interlock.journal.subscriptions.decide import DECIDER as SUBSCRIPTION
from interlock.journal.subscriptions.events import EVENTS as SUBSCRIPTION_EVENTS
from interlock.journal.subscriptions.views import SUBSCRIPTIONS

PART = Part(
    name="journal",
    events=(*events.EVENTS, *SUBSCRIPTION_EVENTS, *INGEST_EVENTS),
    deciders=(decide.DECIDER, SUBSCRIPTION, INGEST),
    timers=(decide.EXPIRY,),
    views=(views.LEASES, SUBSCRIPTIONS, RECEIVED),
    commands=(*commands.COMMANDS, *subscription_commands.COMMANDS, *ingest_commands.COMMANDS),
    forms=INGEST_FORMS,
    settings=(
        SettingsSection("runner", RunnerSettings),
        SettingsSection("subscriptions", SubscriptionSettings),
        SettingsSection("events", EventSettings),
    ),
    errors=(
        *ids.ERRORS,
        *canonical.ERRORS,
        *cloud_binding.ERRORS,
        *merkle_node.ERRORS,
        *secrets.ERRORS,
        *secret_scan.ERRORS,
        *sealed.ERRORS,
        *keyring.ERRORS,
        *ERRORS,
        STREAM_INVALID,
        EVENT_TYPE_UNSOUND,
    ),
)
