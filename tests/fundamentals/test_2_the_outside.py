"""Read second: how a run talks to the world, and why it never asks twice."""

from __future__ import annotations

import asyncio

import pytest

from interlock import InterlockError, Io, IoCall, Plan, Recorder, RetryPolicy, RunConfig, StateFailure
from interlock.base.canonical import Json, digest
from interlock.base.errors import Category, ErrorCode
from interlock.base.principal import local_principal
from interlock.engine.events import Resolution
from interlock.engine.io.transports.port import TransportContext
from interlock.testing.app import memory_app
from interlock.testing.loop import over_seeds

LOST = ErrorCode("answer_lost", Category.UNAVAILABLE, "Look at the outside.", retryable=True)


class Shop:
    """A transport is a class with three methods. This one sells, and absorbs an order that repeats a key."""

    def __init__(self, *, answers_lost: int = 0) -> None:
        self.asked = 0
        self.orders: list[str | None] = []
        self.answers_lost = answers_lost

    def effectful(self, request: Json) -> bool:
        return request == "order"

    async def call(self, request: Json, context: TransportContext) -> Json:
        self.asked += 1
        key = context.idempotency_key
        if request == "order" and (key is None or key not in self.orders):
            self.orders.append(key)
        if self.asked <= self.answers_lost:
            raise LOST.error("no answer came")
        return {"price": 5}

    async def close(self) -> None:
        pass


@over_seeds(0)
async def test_07_an_answer_is_recorded_as_a_fact_and_never_asked_for_again() -> None:
    plan, shop, tried = Plan("asking"), Shop(), []

    @plan.state(retry=RetryPolicy.fixed(2))
    async def price(io: Io) -> int:
        answer = await io.call(IoCall("shop", "price", fact_key="price"))
        tried.append(answer.response)
        if len(tried) == 1:
            raise StateFailure("stumbled", "after the answer", retryable=True)
        return int(answer.response["price"])

    result = await memory_app(transports={"shop": shop}).runs.start(plan)

    assert result.phase == "completed"
    assert tried == [{"price": 5}, {"price": 5}]
    assert shop.asked == 1


@over_seeds(0)
async def test_08_time_and_chance_are_facts_too() -> None:
    plan, seen = Plan("drawing"), []

    @plan.state(retry=RetryPolicy.fixed(2))
    async def draw(io: Io) -> None:
        seen.append((await io.now("begun"), await io.random("nonce", 8)))
        await asyncio.sleep(60)
        if len(seen) == 1:
            raise StateFailure("stumbled", "a minute later", retryable=True)

    await memory_app().runs.start(plan)

    assert seen[0] == seen[1]


@over_seeds(0)
async def test_09_an_effect_with_a_key_may_be_sent_again_because_the_outside_absorbs_it() -> None:
    plan, shop = Plan("ordering"), Shop(answers_lost=1)

    @plan.state(side_effects="apply_side_effect", idempotency="order:1", retry=RetryPolicy.fixed(2))
    async def order(io: Io) -> None:
        await io.call(IoCall("shop", "order", fact_key="order"))

    result = await memory_app(transports={"shop": shop}).runs.start(plan)

    assert result.phase == "completed"
    assert (shop.asked, shop.orders) == (2, ["order:1"])


def careless() -> Plan:
    """An order without a key."""
    plan = Plan("careless")

    @plan.state(side_effects="apply_side_effect", retry=RetryPolicy.fixed(5))
    async def order(io: Io) -> int:
        answer = await io.call(IoCall("shop", "order", fact_key="order"))
        return int(answer.response["price"])

    return plan


@over_seeds(0)
async def test_10_an_effect_without_a_key_is_never_sent_again_on_a_guess() -> None:
    shop = Shop(answers_lost=1)
    app = memory_app(transports={"shop": shop})
    result = await app.runs.start(careless())
    [reason] = await app.runs.read.why(result.run_id)

    assert result.waiting is not None
    assert (result.phase, result.waiting.kind) == ("running", "parked")
    assert reason.explanation == "nobody knows whether the effect order of order happened (side_effect_outcome_unknown)"
    assert shop.asked == 1


@over_seeds(0)
async def test_11_a_person_looks_and_decides() -> None:
    shop = Shop(answers_lost=1)
    app = memory_app(transports={"shop": shop})
    parked = await app.runs.start(careless())
    await app.runs.control.resolve(
        parked.run_id,
        "order",
        Resolution.ADOPT,
        "the order is there",
        adopt={"price": 4},
        principal=local_principal("ada"),
    )
    result = await app.runs.resume(parked.run_id)

    assert result.phase == "completed"
    assert await app.runs.read.output(parked.run_id, "order") == 4
    assert shop.asked == 1


@over_seeds(0)
async def test_12_a_dry_run_does_everything_but_effects() -> None:
    plan, shop = Plan("dry"), Shop()

    @plan.state
    async def price(io: Io) -> int:
        return int((await io.call(IoCall("shop", "price", fact_key="price"))).response["price"])

    @plan.state(after=[price], side_effects="apply_side_effect", idempotency="order:1")
    async def order(io: Io) -> None:
        await io.call(IoCall("shop", "order", fact_key="order"))

    dry = RunConfig(skip_tags=("apply_side_effect",))
    result = await memory_app(transports={"shop": shop}).runs.start(plan, config=dry)

    assert result.phase == "completed"
    assert (shop.asked, shop.orders) == (1, [])


@over_seeds(0)
async def test_13_what_is_large_becomes_an_artifact_that_its_content_names() -> None:
    plan = Plan("writing")

    @plan.state
    async def report(rec: Recorder) -> str:
        return await rec.artifact("Output", b"a long report")

    app = memory_app()
    result = await app.runs.start(plan)
    named = await app.runs.read.output(result.run_id, "report")

    assert named == digest(b"a long report")
    assert await app.store.artifacts.get([named]) == [b"a long report"]


@over_seeds(0)
async def test_14_a_secret_is_refused_wherever_it_would_be_recorded() -> None:
    plan = Plan("leaking")

    @plan.state
    async def leak(rec: Recorder) -> None:
        await rec.emit("connected", {"password": "hunter2 hunter2"})

    app = memory_app()
    result = await app.runs.start(plan)

    assert (await app.runs.read.report(result.run_id)).steps[0].error_code == "secrets_detected"
    with pytest.raises(InterlockError, match="secrets_detected"):
        await app.runs.start(plan, {"password": "hunter2 hunter2"})
