"""Forks of runs: what one inherits, what it asks and sends again, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine import events as e
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import FanOutJoin, RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import StateFailure
from interlock.engine.io.live import LiveIo
from interlock.engine.lineage.forking import ForkResult
from interlock.engine.meta import StateMeta
from interlock.testing.app import memory_app, read_run
from interlock.testing.checker import check_artifacts, check_run
from interlock.testing.loop import run
from tests.simulation.crashes import records
from tests.simulation.outside import Outside, OutsideTransport
from tests.simulation.plans import read, write

ADA = local_principal("ada")
RUN, OTHER = "01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"
THIRD = "01890a5d-ac96-774b-bcce-b302099a8059"
WIDE = RunConfig(execution_mode=FanOutJoin.of(4))


async def _no_gate() -> None:
    pass


class Shop:
    """A world with one plan: it looks something up, pays, and tells; `is_well` mends the telling."""

    def __init__(self, *, key: str | None = "order:1") -> None:
        self.outside = Outside()
        self.app = memory_app(transports={"outside": OutsideTransport(self.outside, lambda _: None, _no_gate)})
        self.is_well = False
        self.plan = Plan("shop")

        @self.plan.state
        async def find(item: str, io: LiveIo) -> str:
            await io.call(read("price"))
            return f"one {item}"

        @self.plan.state(side_effects="apply_side_effect", idempotency=key)
        async def pay(find: str, io: LiveIo) -> str:
            await io.call(read("account"))
            await io.call(write("payment"))
            return f"paid {find}"

        @self.plan.state
        async def tell(pay: str) -> str:
            if not self.is_well:
                raise StateFailure("no_paper", "there is no paper")
            return f"told {pay}"

    async def start(self) -> None:
        result = await self.app.runs.start(self.plan, {"item": "cup"}, run_id=RUN)
        assert result.phase == "failed"
        self.is_well = True

    async def fork(self, *line: Any, of: str = RUN, to: str = OTHER, **options: Any) -> ForkResult:
        found = await self.app.runs.fork(of, *line, run_id=to, **options)
        log = await read_run(self.app, to)
        check_run(log, plan=options.get("plan", self.plan).build())
        await check_artifacts(log, self.app.store.artifacts)
        return found


async def code_of(call: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        await call
    return caught.value


def test_a_fork_of_a_failed_run_begins_at_the_step_that_failed() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        fork = await shop.fork()

        assert (fork.phase, fork.from_step, fork.source_run_id) == ("completed", "tell", RUN)
        assert [(each.step, each.facts) for each in fork.inherited] == [
            ("find", ["price"]),
            ("pay", ["account", "payment"]),
        ]
        assert await shop.app.runs.read.output(OTHER, "tell") == "told paid one cup"
        assert (shop.outside.count("price"), shop.outside.count("payment")) == (1, 1)

    run(scenario())


def test_a_fork_inherits_nothing_of_the_step_where_it_begins_and_nothing_after_it() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        fork = await shop.fork("pay", absorb_all=True)

        assert [each.step for each in fork.inherited] == ["find"]
        assert shop.outside.count("price") == 1
        assert (shop.outside.count("account"), shop.outside.count("payment")) == (2, 2)

    run(scenario())


def test_an_inherited_state_stands_in_the_fork_as_it_completed_in_the_source() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        await shop.fork()
        source, fork = [records(await read_run(shop.app, each)) for each in (RUN, OTHER)]

        kinds = [type(each).__name__ for each in fork[:9]]
        assert kinds[:4] == ["RunStarted", "PlanRecorded", "RunForked", "OwnerClaimed"]
        assert kinds[4:7] == ["StateEntered", "FactRecorded", "StateCompleted"]
        ended = [[each for each in log if isinstance(each, e.StateCompleted)][:2] for log in (source, fork)]
        assert ended[0] == ended[1]

    run(scenario())


def test_an_effect_at_the_position_needs_a_choice_and_is_listed() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        fault = await code_of(shop.app.runs.fork(RUN, "find", run_id=OTHER))

        assert fault.code == "fork_choice_needed"
        assert (fault.details["effects"], fault.details["steps"]) == (["payment"], ["pay"])
        assert await read_run(shop.app, OTHER) == []
        assert shop.outside.count("payment") == 1

    run(scenario())


def test_an_absorbed_effect_goes_out_under_the_same_key_and_happens_once() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        fork = await shop.fork("pay", absorb=["payment"])

        assert [(each.fact_key, each.outcome, each.choice) for each in fork.effects] == [
            ("payment", "recorded", "absorb")
        ]
        assert {each.key for each in shop.outside.deliveries if each.name == "payment"} == {"order:1"}
        assert shop.outside.applied["payment"] == 1

    run(scenario())


def test_an_effect_that_is_sent_again_goes_out_under_a_new_key_and_happens_twice() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        await shop.fork("pay", again_all=True)

        assert shop.outside.applied["payment"] == 2
        assert shop.outside.deliveries[-1].key == f"order:1#{OTHER}"

    run(scenario())


def test_a_fork_of_a_fork_absorbs_what_that_one_sent_again() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        await shop.fork("pay", again_all=True)
        fork = await shop.fork("pay", of=OTHER, to=THIRD, absorb_all=True)

        assert fork.effects[0].idempotency_key == f"order:1#{OTHER}"
        assert shop.outside.applied["payment"] == 2

    run(scenario())


def test_a_fork_of_a_fork_lists_effects_that_the_first_one_inherited() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        await shop.fork()
        fault = await code_of(shop.app.runs.fork(OTHER, "find", run_id=THIRD))

        assert (fault.code, fault.details["effects"]) == ("fork_choice_needed", ["payment"])

    run(scenario())


def test_an_effect_without_a_key_can_only_be_sent_again() -> None:
    async def scenario() -> None:
        shop = Shop(key=None)
        await shop.start()
        fault = await code_of(shop.app.runs.fork(RUN, "pay", absorb_all=True))
        assert (fault.code, fault.details["only"]) == ("fork_choice_needed", ["payment: again"])
        await shop.fork("pay", again=["payment"])
        assert shop.outside.applied["payment"] == 2

    run(scenario())


@pytest.mark.parametrize("options", [{"absorb": ["payment"]}, {"absorb_all": True}])
def test_whoever_would_absorb_an_effect_without_a_key_is_told_that_it_has_none(options: dict[str, Any]) -> None:
    async def scenario() -> None:
        shop = Shop(key=None)
        await shop.start()
        fault = await code_of(shop.app.runs.fork(RUN, "pay", **options))

        assert "these have none: payment." in fault.message
        assert "--again payment" in fault.message
        assert "--absorb" not in fault.message
        assert "if it has an idempotency key" in fault.advice

    run(scenario())


@pytest.mark.parametrize(
    "options",
    [
        {"absorb": ["payment"], "again": ["payment"]},
        {"absorb_all": True, "again_all": True},
        {"absorb": ["nothing"], "absorb_all": True},
    ],
)
def test_a_choice_that_contradicts_itself_or_names_no_effect_is_refused(options: dict[str, Any]) -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        assert (await code_of(shop.app.runs.fork(RUN, "pay", **options))).code == "fork_choice_invalid"

    run(scenario())


def test_a_fork_that_exists_is_attached_to_and_described_as_it_was_made() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        first = await shop.fork("pay", again_all=True)
        length = len(await read_run(shop.app, OTHER))
        assert await shop.fork("pay") == first
        assert await shop.fork() == first
        assert len(await read_run(shop.app, OTHER)) == length
        assert (await code_of(shop.app.runs.fork(RUN, "tell", run_id=OTHER))).code == "run_conflict"
        assert (await code_of(shop.app.runs.fork(RUN, run_id=RUN))).code == "run_conflict"
        assert (await code_of(shop.app.runs.start(shop.plan, {"item": "cup"}, run_id=OTHER))).code == "run_conflict"

    run(scenario())


def test_a_completed_run_is_forked_only_where_somebody_says() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        await shop.fork()
        assert (await code_of(shop.app.runs.fork(OTHER))).code == "fork_position_needed"
        assert (await code_of(shop.app.runs.fork(OTHER, "nowhere"))).code == "step_unknown"
        assert (await shop.fork("tell", of=OTHER, to=THIRD)).phase == "completed"

    run(scenario())


def test_another_input_goes_on_with_what_the_inherited_states_wrote() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        await shop.fork(input={"item": "jug", "size": 3})

        assert await shop.app.runs.read.context(OTHER) == {
            "find": "one cup",
            "item": "jug",
            "pay": "paid one cup",
            "size": 3,
            "tell": "told paid one cup",
        }

    run(scenario())


def other_plan(shop: Shop, *, edge: bool = False, names: tuple[str, ...] = ("find", "pay", "tell")) -> Plan:
    """A later version of the shop's plan, with a state `thank` at its end, or before `find` if `edge` says so."""
    plan = Plan("shop", version="2")

    async def thank() -> str:
        return "thanks"

    async def step() -> str:
        return "done anew"

    if edge:
        plan.state(name="thank")(thank)
    for place, name in enumerate(names):
        before = [names[place - 1]] if place else ["thank"] if edge else []
        plan.state(name=name, after=before)(step)
    if not edge:
        plan.state(name="thank", after=[names[-1]])(thank)
    return plan


def test_another_plan_takes_over_from_the_position_on() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        fork = await shop.fork(plan=other_plan(shop))
        values = await shop.app.runs.read.context(OTHER)

        assert (fork.phase, fork.has_other_plan) == ("completed", True)
        assert (values["pay"], values["tell"], values["thank"]) == ("paid one cup", "done anew", "thanks")

    run(scenario())


@pytest.mark.parametrize("options", [{"edge": True}, {"names": ("find", "tell")}, {"names": ("pay", "find", "tell")}])
def test_a_plan_that_inherited_work_does_not_fit_is_refused(options: dict[str, Any]) -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        fault = await code_of(shop.app.runs.fork(RUN, plan=other_plan(shop, **options), run_id=OTHER))
        assert fault.code == "plan_drifted"
        assert await read_run(shop.app, OTHER) == []

    run(scenario())


def test_a_fork_begins_at_the_state_that_a_failed_one_is_recovered_from() -> None:
    async def scenario() -> None:
        app, failing = memory_app(), [True]
        plan = Plan("recover")

        @plan.state(tags=["base"])
        async def lay() -> int:
            return 1

        @plan.state
        async def build(lay: int) -> int:
            return lay + 1

        class Use:
            def meta(self) -> StateMeta:
                return StateMeta(depends_on=("base",))

            async def handle(self, ctx: Context, io: LiveIo, rec: Recorder) -> None:
                if failing.pop():
                    raise StateFailure("broken", "it broke")

        plan.add("use", Use(), after=["build"])
        await app.runs.start(plan, run_id=RUN)
        failing.append(False)
        fork = await app.runs.fork(RUN, run_id=OTHER)
        assert (fork.phase, fork.from_step, fork.inherited) == ("completed", "lay", [])

    run(scenario())


def test_a_detached_fork_is_driven_by_a_worker() -> None:
    async def scenario() -> None:
        shop = Shop()
        await shop.start()
        fork = await shop.fork(detach=True)
        assert (fork.phase, fork.detached, [each.step for each in fork.inherited]) == ("running", True, ["find", "pay"])
        await shop.app.runs.worker.work(until_idle=True)
        assert (await shop.app.runs.read.result(OTHER)).phase == "completed"

    run(scenario())
