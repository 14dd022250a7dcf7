"""The verb on virtual time: who may name a plan, and what a run that waits looks like."""

from __future__ import annotations

import pytest

from interlock.app import App
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, PrincipalKind, local_principal
from interlock.demo.show import DOCUMENT
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.errors import StateFailure
from interlock.engine.graph.commands import Drawing
from interlock.engine.runs import Runs
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds
from tests.unit.engine.graph.pictures import RUN

HOUR_MS = 3_600_000
ADA = local_principal("ada")
again = Plan("again", version="3")


@again.state(side_effects="pure", retry=RetryPolicy.fixed(3, HOUR_MS))
async def fetch() -> int:
    raise StateFailure("not_there", "nothing is there yet", retryable=True)


@again.state(side_effects="pure")
async def use(fetch: int) -> int:
    return fetch


async def drawing(app: App, principal: Principal = ADA, **given: object) -> Drawing:
    found = await app.client(principal).call("run.graph", given)
    assert isinstance(found, Drawing)
    return found


@over_seeds(0)
async def test_a_run_in_back_off_says_until_when() -> None:
    app = memory_app()
    await app.get(Runs).start(again, {}, run_id=RUN)
    _, summary, _, first, second = (await drawing(app, run=RUN)).text.splitlines()

    assert summary == f"  run {RUN} · running, backoff · 1 backoff, 1 pending"
    assert first.startswith("↻ fetch  backoff · ")
    assert "not_there  again 20" in first
    assert first.endswith("Z")
    assert second == "○ use    pending"


@over_seeds(0)
async def test_the_user_of_this_machine_draws_a_plan() -> None:
    text = (await drawing(memory_app(), plan=str(DOCUMENT))).text

    assert text.splitlines()[:2] == ["release", "  plan, version 1 · 8 states"]
    assert [line.partition("○ ")[2].split()[0] for line in text.splitlines()[3:]] == [
        "inventory",
        "build",
        "inspect",
        "materials",
        "test",
        "checks",
        "approve",
        "publish",
    ]


@pytest.mark.parametrize("kind", [kind for kind in PrincipalKind if kind is not PrincipalKind.LOCAL])
def test_nobody_else_has_a_plan_imported(kind: PrincipalKind) -> None:
    """T3: drawing a plan runs the code of its module."""

    @over_seeds(0)
    async def refused() -> None:
        with pytest.raises(InterlockError) as fault:
            await drawing(memory_app(), Principal(id="eve", kind=kind, roles=("admin",)), plan="no_such_module:plan")
        assert fault.value.code == "graph_plan_refused"

    refused()


@over_seeds(0)
async def test_a_run_of_another_tenant_is_not_drawn() -> None:
    app = memory_app()
    await app.get(Runs).start(again, {}, run_id=RUN)

    with pytest.raises(InterlockError) as fault:
        await drawing(app, Principal(id="eve", tenant="other"), run=RUN)
    assert fault.value.code == "run_not_found"
