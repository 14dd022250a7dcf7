"""The trace of a handler that raised, as its author finds it in the log."""

from __future__ import annotations

import pytest

from interlock import Plan
from interlock.engine.frames import frames_of_user
from interlock.testing.app import memory_app
from interlock.testing.loop import run


def test_the_trace_of_a_handler_begins_with_its_own_code(caplog: pytest.LogCaptureFixture) -> None:
    plan = Plan("broken")

    @plan.state
    async def divide() -> float:
        return 1 / 0

    async def main() -> None:
        assert (await memory_app().runs.start(plan)).phase == "failed"

    run(main())
    text = next(record.getMessage() for record in caplog.records if "ZeroDivisionError" in record.getMessage())
    assert text.count("File ") == 1
    assert "test_frames.py" in text


def test_a_trace_of_nothing_stays_nothing() -> None:
    assert frames_of_user(None) is None
