"""Where subscriptions deliver to: one module for each sink, behind the port that `journal.subscriptions` declares.

What it does: lists the sinks, settings and error codes of the product for the engine's registration. What it does not
do: it makes no sink; a turn at a subscription does.

Rule: a sink that leaves this machine does so through a transport.
"""

from typing import Final

from interlock.base.part import Services, SettingsSection, SinkFactory, Subscriber
from interlock.engine.io.router import Router
from interlock.engine.io.sinks import file
from interlock.engine.io.sinks.file import FileSink, FileTarget, SinkSettings
from interlock.engine.io.sinks.http import DELIVERY_REFUSED, HttpSink, HttpTarget
from interlock.engine.io.sinks.log import LogSink, LogTarget
from interlock.journal.journal import Journal


def _file(services: Services, target: FileTarget, subscriber: Subscriber) -> FileSink:
    settings = services.get(SinkSettings)
    if subscriber.local:
        return FileSink(settings.file_root, target.path)
    return FileSink(settings.file_root, target.path, subscriber.tenant, settings.file_bytes_max)


def _http(services: Services, target: HttpTarget, subscriber: Subscriber) -> HttpSink:
    return HttpSink(services.get(Router), services.get(Journal).clock, target, local=subscriber.local)


def _log(_services: Services, target: LogTarget, _subscriber: Subscriber) -> LogSink:
    return LogSink(target)


SINKS: Final = (
    SinkFactory("file", FileTarget, _file, "Appends each event to a file, one JSON line each.", '{"path": "a.jsonl"}'),
    SinkFactory(
        "http",
        HttpTarget,
        _http,
        "Posts each event as a CloudEvent in structured JSON.",
        '{"url": "https://example.com/events"}',
    ),
    SinkFactory("log", LogTarget, _log, "Writes each event to a logger of Python.", '{"level": "info"}'),
)
SETTINGS: Final = (SettingsSection("sinks", SinkSettings),)
ERRORS: Final = (*file.ERRORS, DELIVERY_REFUSED)
