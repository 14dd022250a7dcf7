"""The sink `log`: what a logger of Python gets."""

from __future__ import annotations

import asyncio
import logging

import msgspec
import pytest

from interlock.engine.io.sinks.log import LogSink, LogTarget
from tests.unit.engine.io.sinks.deliveries import DELIVERY


@pytest.mark.parametrize(
    ("target", "name", "level"),
    [
        (LogTarget(), "interlock.deliveries", logging.INFO),
        (LogTarget(logger="audit.events", level="warning"), "audit.events", logging.WARNING),
        (LogTarget(level="debug"), "interlock.deliveries", logging.DEBUG),
        (LogTarget(level="error"), "interlock.deliveries", logging.ERROR),
    ],
)
def test_an_event_is_one_record_with_the_whole_delivery(
    target: LogTarget, name: str, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        sink = LogSink(target)
        await sink.deliver(DELIVERY)
        await sink.close()

    with caplog.at_level(logging.DEBUG):
        asyncio.run(main())

    [record] = [each for each in caplog.records if each.name == name]
    assert (record.levelno, record.getMessage()) == (level, f"engine.run_completed {DELIVERY.key}")
    assert record.__dict__["delivery"] == msgspec.json.decode(msgspec.json.encode(DELIVERY))


@pytest.mark.parametrize("target", [b'{"logger": ""}', b'{"logger": "a b"}', b'{"level": "loud"}', b'{"to": "x"}'])
def test_a_target_of_another_form_is_refused(target: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(target, type=LogTarget)
