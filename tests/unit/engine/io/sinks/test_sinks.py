"""The sinks of the product: each is made from its example, and asks for what it needs alone."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import pytest

from interlock.base.clock import SeededEntropy, SystemClock
from interlock.base.part import SinkFactory, Subscriber
from interlock.engine.io.router import Router
from interlock.engine.io.sinks import SINKS
from interlock.engine.io.sinks.file import FileSink, SinkSettings
from interlock.engine.io.sinks.http import HttpSink
from interlock.engine.io.sinks.log import LogSink
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.journal import Journal
from interlock.stores.memory import MemoryStore

Service = TypeVar("Service")


class Given:
    """The services of an application."""

    def get(self, kind: type[Service]) -> Service:
        known: dict[type, Any] = {
            SinkSettings: SinkSettings(),
            Router: Router([], self),
            Journal: Journal(MemoryStore(), EventCatalogue([]), SystemClock(), SeededEntropy(0)),
        }
        service: Service = known[kind]
        return service


@pytest.mark.parametrize("factory", SINKS, ids=lambda factory: factory.name)
def test_the_example_of_a_sink_makes_it(factory: SinkFactory) -> None:
    target = msgspec.json.decode(factory.example, type=factory.target)

    made = factory.make(Given(), target, Subscriber("default", local=True))

    assert isinstance(made, {"file": FileSink, "http": HttpSink, "log": LogSink}[factory.name])
