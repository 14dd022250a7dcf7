"""Delays against plain arithmetic, and a whole run against its policy on the virtual clock (P9)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.errors import StateFailure
from interlock.engine.retry import DELAY_MS_MAX, delay_ms
from interlock.testing.loop import run
from tests.simulation.crashes import World, records

MILLISECONDS = st.integers(min_value=0, max_value=2**53 - 1)


@given(MILLISECONDS, MILLISECONDS, st.integers(min_value=0, max_value=5_000))
def test_an_exponential_delay_is_the_smaller_of_its_cap_and_a_power_of_two(
    base_ms: int, cap_ms: int, failed: int
) -> None:
    """P9: as computed without any bound on the size of integers."""
    policy = RetryPolicy.exponential(2, base_ms, cap_ms)

    assert delay_ms(policy, failed) == min(base_ms * 2**failed, cap_ms, DELAY_MS_MAX)


@given(
    st.integers(min_value=1, max_value=6),
    st.integers(min_value=0, max_value=8),
    st.integers(min_value=0, max_value=2_000),
    st.integers(min_value=0, max_value=4_000),
)
def test_a_run_tries_as_often_and_waits_as_long_as_its_policy_says(
    attempts: int, failures: int, base_ms: int, cap_ms: int
) -> None:
    """P9, M11, I11: `max_attempts` counts the first execution, and delays pass on the virtual clock."""
    tried: list[int] = []

    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state
        async def flaky() -> None:
            tried.append(1)
            if len(tried) <= failures:
                raise StateFailure("broke", "it broke", retryable=True)

        return plan

    async def scenario() -> None:
        policy = RetryPolicy.exponential(attempts, base_ms, cap_ms)
        world = World(plan, policy=policy)
        await world.live()

        wanted = min(failures + 1, attempts)
        entered = [each.envelope.at_ms for each in world.log if isinstance(each.record, e.StateEntered)]
        gaps = [later - earlier for earlier, later in pairwise(entered)]
        assert len(tried) == len(entered) == wanted
        assert gaps == [min(base_ms * 2**failed, cap_ms) for failed in range(wanted - 1)]
        assert records(world.log)[-1].status == ("completed" if failures < attempts else "failed")

    run(scenario())
