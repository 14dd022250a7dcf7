"""The supervisor's own moments, with real processes: what is told to it while it begins a child."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest
from msgspec import Struct

from interlock.surfaces.narration import Narrator
from interlock.up import Child, _Keeper, _kept

LINE = [sys.executable, "-c", "import time; time.sleep(120)"]
STEPS_MAX = 8


class Heard(Narrator):
    """Keeps what the supervisor tells."""

    def __init__(self) -> None:
        self.told: list[Child] = []

    def tell(self, happened: Struct, line: str) -> None:
        assert isinstance(happened, Child)
        self.told.append(happened)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_at_each_step_of_a_start_reaches_the_child(number: signal.Signals) -> None:
    async def stopped_after(steps: int) -> bool:
        """Whether the children were begun then, and nobody had heard of them."""
        heard = Heard()
        keepers = [_Keeper(name, LINE, dict(os.environ), heard) for name in ("one", "two")]
        kept = asyncio.ensure_future(_kept(keepers))
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
