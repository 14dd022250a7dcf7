"""Plans and short ways for the tests of searching: runs that wait, fail, sleep, park and have children."""

from __future__ import annotations

from typing import Any

from interlock import App, Context, Io, Plan, RetryPolicy, StateFailure
from interlock.base.principal import Principal, local_principal

ADA = local_principal("ada")
IDS = [f"{number:08x}-0000-4000-8000-000000000000" for number in range(2000)]


def asking(op: str = "ask") -> Plan:
    """Waits for a signal in its middle."""
    plan = Plan(op)

    @plan.state
    async def begin(name: str = "x") -> str:
        return f"hello {name}"

    @plan.state
    async def decide(io: Io, begin: str) -> object:
        first = await io.wait("first", object)
        second = await io.wait("second", object)
        return [begin, first, second]

    return plan


def failing(op: str = "flaky", attempts: int = 3, code: str = "net_down", delay_ms: int = 600_000) -> Plan:
    """Fails, and is tried again after a long pause."""
    plan = Plan(op)

    @plan.state(retry=RetryPolicy.fixed(attempts, delay_ms))
    async def fetch(ctx: Context) -> None:
        raise StateFailure(code, "no answer", retryable=True)

    return plan


def counting(op: str = "count") -> Plan:
    """Completes at once."""
    plan = Plan(op)

    @plan.state
    async def total(numbers: list[int]) -> dict[str, Any]:
        return {"sum": sum(numbers), "label": f"of {len(numbers)}"}

    return plan


async def call(
    app: App, command: str, principal: Principal = ADA, /, *, command_id: str | None = None, **given: Any
) -> Any:
    """A command of the catalogue."""
    return await app.client(principal).call(command, given, command_id=command_id)


async def ids(app: App, **given: Any) -> list[str]:
    """The runs that `run list` finds, as their numbers."""
    return [row.run_id for row in (await call(app, "run.list", **given)).items]
