"""Plans in a few lines: functions become states, parameters become edges and arguments."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.engine.attempt import Recorder
from interlock.engine.authoring import Plan
from interlock.engine.config import RetryPolicy
from interlock.engine.context import Context
from interlock.engine.io.live import LiveIo
from interlock.engine.meta import SideEffectKind, StateMeta
from interlock.engine.plan import ExecutionPlan, StateOutcome
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.simulation.histories import Idle


def edges(plan: ExecutionPlan) -> set[tuple[str, str]]:
    return {(edge.before.split(".")[1], edge.after.split(".")[1]) for edge in plan.edges}


def outputs(plan: Plan, given: Any = None) -> dict[str, Any]:
    """The context that a run of `plan` ends with."""

    async def scenario() -> dict[str, Any]:
        app = memory_app()
        result = await app.runs.start(plan, given)
        assert result.phase == "completed", await app.runs.read.why(result.run_id)
        return await app.runs.read.context(result.run_id)

    return run(scenario())


def error_code(plan: Plan, given: Any = None) -> str | None:
    """The code with which the first step of a run of `plan` that fails does so."""

    async def scenario() -> str | None:
        app = memory_app()
        result = await app.runs.start(plan, given)
        assert result.phase == "failed"
        steps = (await app.runs.read.report(result.run_id)).steps
        return next(step.error_code for step in steps if step.status == "failed")

    return run(scenario())


def test_a_parameter_named_like_a_state_is_an_edge_and_gets_its_result() -> None:
    plan = Plan("demo")

    @plan.state
    async def double(one: int) -> int:
        return 2 * one

    @plan.state
    async def one() -> int:
        return 1

    assert edges(plan.build()) == {("one", "double")}
    assert outputs(plan) == {"one": 1, "double": 2}


def test_another_parameter_gets_the_member_of_the_input() -> None:
    plan = Plan("demo")

    @plan.state
    async def greet(name: str) -> str:
        return f"Hello {name}"

    assert outputs(plan, {"name": "Ada"}) == {"name": "Ada", "greet": "Hello Ada"}


@pytest.mark.parametrize(("kept", "code"), [(None, "context_missing_key"), (1, "context_deserialize_failed")])
def test_what_an_earlier_state_does_not_give_as_declared_fails_the_state(kept: int | None, code: str) -> None:
    plan = Plan("demo")

    @plan.state
    async def greet(find: str) -> str:
        return f"Hello {find}"

    @plan.state
    async def find() -> int | None:
        return kept

    assert error_code(plan) == code


def test_a_parameter_with_a_default_may_be_left_out_of_the_input() -> None:
    plan = Plan("demo")

    @plan.state
    async def greet(name: str = "you") -> str:
        return f"Hello {name}"

    assert outputs(plan)["greet"] == "Hello you"
    assert outputs(plan, {"name": "Ada"})["greet"] == "Hello Ada"


class Order(Struct):
    """A record that a state takes."""

    count: int


@dataclass
class Bill:
    """A record that a state returns."""

    total: int


def test_records_are_checked_on_the_way_in_and_stored_as_json_on_the_way_out() -> None:
    plan = Plan("demo")

    @plan.state
    async def bill(order: Order) -> Bill:
        return Bill(10 * order.count)

    @plan.state
    async def total(bill: Bill) -> int:
        return bill.total

    assert outputs(plan, {"order": {"count": 2}}) == {"order": {"count": 2}, "bill": {"total": 20}, "total": 20}
    with pytest.raises(InterlockError, match="run_input_invalid"):
        outputs(plan, {"order": {"count": "two"}})


def test_a_parameter_without_a_type_takes_any_json() -> None:
    plan = Plan("demo")

    @plan.state
    async def echo(value) -> Any:  # type: ignore[no-untyped-def]  # noqa: ANN001 - what is tested
        return value

    assert outputs(plan, {"value": {"a": [1, None]}})["echo"] == {"a": [1, None]}


def test_ctx_io_and_rec_are_the_tools_of_the_attempt() -> None:
    plan = Plan("demo")
    seen: list[type] = []

    @plan.state
    async def tools(rec: Recorder, ctx: Context, io: LiveIo) -> None:
        seen.extend(type(tool) for tool in (ctx, io, rec))

    assert outputs(plan) == {}
    assert seen == [Context, LiveIo, Recorder]


def test_nothing_is_kept_for_a_function_that_returns_nothing() -> None:
    plan = Plan("demo")

    @plan.state
    async def nothing() -> None:
        pass

    @plan.state
    async def outcome() -> StateOutcome:
        return StateOutcome()

    assert outputs(plan) == {}


def test_after_adds_an_edge_by_function_or_by_name() -> None:
    plan = Plan("demo")

    @plan.state
    async def first() -> None:
        pass

    @plan.state(after=[first])
    async def second() -> None:
        pass

    @plan.state(after=["first", second])
    async def third() -> None:
        pass

    assert edges(plan.build()) == {("first", "second"), ("first", "third"), ("second", "third")}


def test_a_state_object_is_added_under_names_of_the_plan() -> None:
    """A state does not own its id."""
    state = Idle()
    plan = Plan("demo").add("one", state).add("two", state, after=["one"], retry=RetryPolicy.fixed(2))
    built = plan.build()

    assert [node.id for node in built.states] == ["demo.one.main", "demo.two.main"]
    assert built.states[1].retry == RetryPolicy.fixed(2)
    assert edges(built) == {("one", "two")}


def test_an_effect_is_tagged_so_that_a_dry_run_skips_it() -> None:
    """P13."""
    plan = Plan("demo")

    @plan.state(side_effects="apply_side_effect", idempotency="key", tags=["report"])
    async def publish() -> None:
        pass

    meta = plan.build().states[0].meta
    assert meta.tags == ("report", "apply_side_effect")
    assert (meta.side_effects, meta.idempotency) == (SideEffectKind.APPLY_SIDE_EFFECT, "key")


def test_a_function_reads_and_is_not_declared_unless_it_says_so() -> None:
    plan = Plan("demo")

    @plan.state
    async def quiet() -> None:
        pass

    node = plan.build().states[0]
    assert node.meta == StateMeta(side_effects=SideEffectKind.READ_ONLY_IO)
    assert not node.declared


def refusal_of(write: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        write(Plan("demo"))
    return caught.value


async def nothing() -> None:
    pass


def test_a_function_that_is_not_asynchronous_is_refused() -> None:
    assert refusal_of(lambda plan: plan.state(lambda: None)).details["reason"] == "not_async"


def test_a_name_stands_once() -> None:
    def write(plan: Plan) -> None:
        plan.state(nothing)
        plan.state(nothing)

    assert refusal_of(write).details["reason"] == "duplicate_state_id"


@pytest.mark.parametrize("before", ["missing", nothing])
def test_after_names_a_state_that_stands_before(before: Any) -> None:
    assert refusal_of(lambda plan: plan.state(name="x", after=[before])(nothing)).details["reason"] == "after_unknown"


def test_a_name_that_is_no_segment_is_refused_when_the_plan_is_built() -> None:
    def write(plan: Plan) -> None:
        plan.state(name="Not A Name")(nothing)
        plan.build()

    assert refusal_of(write).code == "id_invalid"


def test_states_that_need_each_other_are_a_cycle() -> None:
    """P12."""
    plan = Plan("demo")

    @plan.state
    async def one(two: int) -> int:
        return two

    @plan.state
    async def two(one: int) -> int:
        return one

    with pytest.raises(InterlockError) as caught:
        plan.build()
    assert caught.value.details["cycle"] == ["demo.one.main", "demo.two.main"]


async def many(*values: int) -> None:
    del values


async def named(**values: int) -> None:
    del values


async def placed(value: int, /) -> None:
    del value


@pytest.mark.parametrize("function", [many, named, placed])
def test_a_parameter_that_cannot_be_given_by_name_is_refused(function: Any) -> None:
    assert refusal_of(lambda plan: plan.state(function)).code == "plan_invalid"


async def unresolved(value: "NoSuchType") -> None:  # type: ignore[name-defined]  # noqa: F821, UP037 - what is tested
    del value


def test_a_type_that_cannot_be_resolved_is_refused() -> None:
    assert refusal_of(lambda plan: plan.state(unresolved)).code == "plan_invalid"


async def undecodable(value: list[int] | tuple[int, ...]) -> None:
    del value


def test_a_type_that_no_json_can_be_read_as_is_refused() -> None:
    assert refusal_of(lambda plan: plan.state(undecodable)).code == "plan_invalid"


@pytest.mark.parametrize("option", [{"side_effects": "writes"}, {"snapshot": "sometimes"}])
def test_an_option_with_an_unknown_value_is_refused(option: dict[str, str]) -> None:
    assert refusal_of(lambda plan: plan.state(**option)(nothing)).code == "plan_invalid"


def test_a_wrapped_function_is_named_like_the_one_it_wraps() -> None:
    @functools.wraps(nothing)
    async def wrapper() -> None:
        await nothing()

    plan = Plan("demo")
    plan.state(wrapper)

    assert [node.id for node in plan.build().states] == ["demo.nothing.main"]
