"""A world outside of the engine: it answers calls, remembers every delivery, and absorbs a repeated key."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode
from interlock.engine.io.transports.port import TransportContext

TIMED_OUT = ErrorCode("outside_timed_out", Category.UNAVAILABLE, "Ask the outside.", retryable=True)
"""Nobody knows whether the outside did it."""

BUSY = ErrorCode("outside_busy", Category.FAILED, "Ask again.", retryable=True)
"""The outside answered that it did not do it, and may later."""

REFUSED = ErrorCode("outside_refused", Category.REFUSED, "Ask for something else.")
"""The outside answered that it never will."""


@dataclass(frozen=True)
class Delivery:
    """One request that reached the outside."""

    name: str
    key: str | None
    attempt: int


class Outside:
    """A transport over a small world. A request is `{"name": …}`, with `"write": true` for an effect.

    The answer of a name is always the same, so runs with and without crashes can be compared. `reach` is called
    before a request is sent and after its answer has come.
    """

    def __init__(self) -> None:
        self.deliveries: list[Delivery] = []
        self.applied: dict[str, int] = defaultdict(int)
        self.answers: dict[str, Json] = {}
        self.delays_s: dict[str, float] = {}
        self._keys: set[str] = set()
        self._faults: dict[str, list[tuple[ErrorCode, bool]]] = defaultdict(list)

    def fail(self, name: str, *faults: ErrorCode, applied: bool = False) -> None:
        """Let the next deliveries of `name` fail, one each; `applied` ones take effect before they do."""
        self._faults[name] += [(fault, applied) for fault in faults]

    def slow(self, name: str, seconds: float) -> None:
        """Let deliveries of `name` take their time."""
        self.delays_s[name] = seconds

    def count(self, name: str) -> int:
        """How many requests of this name were delivered."""
        return sum(delivery.name == name for delivery in self.deliveries)

    def answer(self, name: str, key: str | None, attempt: int, *, effect: bool) -> Json:
        """Take a delivery."""
        self.deliveries.append(Delivery(name, key, attempt))
        code, applied = self._faults[name].pop(0) if self._faults[name] else (None, True)
        if effect and applied and (key is None or key not in self._keys):
            self.applied[name] += 1
            self._keys.update([] if key is None else [key])
        if code is not None:
            raise code.error(f"{name} failed as the test wants it")
        return self.answers.get(name, {"name": name, "state": f"after {name}"})


class OutsideTransport:
    """The way to an `Outside` from one process, which dies in `reach` and freezes in `gate`."""

    def __init__(self, outside: Outside, reach: Callable[[str], None], gate: Callable[[], Awaitable[None]]) -> None:
        self._outside = outside
        self._reach = reach
        self._gate = gate

    def effectful(self, request: Json) -> bool:
        return isinstance(request, dict) and request.get("write") is True

    async def call(self, request: Json, context: TransportContext) -> Json:
        assert isinstance(request, dict)
        self._reach("send:before")
        await asyncio.sleep(self._outside.delays_s.get(str(request["name"]), 0))
        await self._gate()
        try:
            name, key = str(request["name"]), context.idempotency_key
            return self._outside.answer(name, key, context.attempt, effect=self.effectful(request))
        finally:
            self._reach("send:after")

    async def close(self) -> None:
        pass
