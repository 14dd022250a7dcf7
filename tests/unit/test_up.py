"""The supervisor's own moments, with real processes: what is told to it while it begins a child."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys

import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.surfaces.narration import Narrator
from interlock.surfaces.stopping import Stopping, told_to_stop
from interlock.up import Child, Starting, _Keeper, _kept

LINE = [sys.executable, "-c", "import time; time.sleep(120)"]
STEPS_MAX = 8


class Heard(Narrator):
    """Keeps what the supervisor tells."""

    def __init__(self) -> None:
        self.told: list[Child] = []

    def tell(self, happened: Struct, line: str, *, stays: bool = False) -> None:
        assert isinstance(happened, Child)
        assert stays, line
        self.told.append(happened)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_at_each_step_of_a_start_reaches_the_child(number: signal.Signals) -> None:
    async def stopped_after(steps: int) -> bool:
        """Whether the children were begun then, and nobody had heard of them."""
        heard = Heard()
        keepers = [_Keeper(name, Starting(LINE, os.environ), heard) for name in ("one", "two")]
        with told_to_stop() as stopping:
            kept = asyncio.ensure_future(_kept(keepers, stopping))
            for _ in range(steps):
                await asyncio.sleep(0)
            within = all(keeper.starts for keeper in keepers) and not heard.told
            os.kill(os.getpid(), number)
            assert await kept == number.name
        for child in heard.told:
            assert child.ended in {None, -signal.SIGTERM}  # it was told to, and not ended by force later
            with pytest.raises(ProcessLookupError):
                os.kill(child.pid, 0)
        return within

    # Before the supervisor listens nothing is begun, and a signal would be for this process.
    before = signal.signal(number, signal.SIG_IGN)
    try:
        within = [asyncio.run(stopped_after(steps)) for steps in range(1, STEPS_MAX)]
    finally:
        signal.signal(number, before)
    assert any(within), "no stop came while a child was being started"


@pytest.mark.parametrize("code", [2, 5])
def test_a_child_that_no_time_would_mend_is_not_started_again(code: int) -> None:
    told = {"error": {"code": "toy_fault", "message": "no such toy"}}
    line = [sys.executable, "-c", f"print('no JSON'); print({json.dumps(told)!r}); raise SystemExit({code})"]

    async def kept() -> list[Child]:
        heard = Heard()
        keepers = [_Keeper("toy", Starting(line, os.environ, serves=lambda: None), heard)]
        with pytest.raises(InterlockError, match=rf"`interlock toy` ends with {code}: no such toy \[toy_fault\]"):
            await _kept(keepers, Stopping())
        return heard.told

    assert [(child.starts, child.ended, child.said) for child in asyncio.run(kept())] == [
        (1, None, None),
        (1, code, "no such toy [toy_fault]"),
    ]


def test_what_a_child_has_to_say_is_heard_once_it_says_it_however_long_its_other_lines_are() -> None:
    told = {"url": "http://127.0.0.1:1", "file": None}
    line = [sys.executable, "-c", f"print('x' * 3_000_000); print({json.dumps(told)!r}); raise SystemExit(5)"]

    async def kept() -> int:
        said: list[int] = []
        keepers = [_Keeper("toy", Starting(line, os.environ, serves=lambda: said.append(1)), Heard())]
        with pytest.raises(InterlockError):
            await _kept(keepers, Stopping())
        return len(said)

    assert asyncio.run(kept()) == 1
