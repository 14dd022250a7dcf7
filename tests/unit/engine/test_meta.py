"""What a state says about itself: the words of the contract, and what they do not do (seed 001, `meta`)."""

from __future__ import annotations

import pytest

from interlock.base.errors import InterlockError
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.context import Context
from interlock.engine.errors import (
    CONTEXT_DESERIALIZE_FAILED,
    CONTEXT_MISSING_KEY,
    CONTEXT_SERIALIZE_FAILED,
    ErrorCategory,
    error_info,
)
from interlock.engine.events import StateCompleted, StateEntered, StateFailed
from interlock.engine.io.live import LiveIo
from interlock.engine.meta import STANDARD_TAGS, DependencyStrategy, SideEffectKind, SnapshotPolicy, StateMeta
from interlock.engine.plan import ExecutionPlan, StateNode, StateOutcome
from interlock.testing.app import memory_app, read_run
from interlock.testing.loop import run
from tests.simulation.crashes import World, records
from tests.simulation.plans import read


class Described:
    """A state with whatever metadata, that may return a hint or fail."""

    def __init__(self, meta: StateMeta, outcome: StateOutcome | None = None, fault: Exception | None = None) -> None:
        self._meta = meta
        self._outcome = outcome
        self._fault = fault

    def meta(self) -> StateMeta:
        return self._meta

    async def handle(self, ctx: object, io: object, rec: object) -> StateOutcome | None:
        if self._fault is not None:
            raise self._fault
        return self._outcome


def test_the_standard_tags_are_the_words_of_the_contract() -> None:
    assert STANDARD_TAGS == (
        "config",
        "fetch_data",
        "compute",
        "execute",
        "report",
        "apply_side_effect",
        "impure",
    )
    assert [tag for tag in STANDARD_TAGS if tag != tag.lower()] == []


def test_a_tag_may_be_spelled_in_any_way_and_means_what_is_spelled() -> None:
    async def scenario() -> None:
        plan = Plan("demo")

        @plan.state(tags=["Nightly"])
        async def only() -> int:
            return 1

        for skipped, context in (("nightly", {"only": 1}), ("Nightly", {})):
            app = memory_app()
            result = await app.runs.start(plan, config=RunConfig(skip_tags=(skipped,)))
            assert await app.runs.read.context(result.run_id) == context

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "tags"),
    [
        (SideEffectKind.PURE, ()),
        (SideEffectKind.READ_ONLY_IO, ()),
        (SideEffectKind.APPLY_SIDE_EFFECT, ("apply_side_effect",)),
    ],
)
def test_a_reserved_tag_is_given_to_states_that_apply_effects_and_to_no_other(
    kind: SideEffectKind, tags: tuple[str, ...]
) -> None:
    plan = Plan("demo")

    @plan.state(side_effects=kind)
    async def only() -> None:
        pass

    assert plan.build().states[0].meta.tags == tags


def test_a_state_without_a_word_reads_and_depends_on_the_latest() -> None:
    assert StateMeta() == StateMeta(
        tags=(),
        depends_on=(),
        depends_on_strategy=DependencyStrategy.LATEST,
        side_effects=SideEffectKind.READ_ONLY_IO,
        idempotency=None,
    )


def test_a_dependency_tag_is_a_hint_and_makes_no_edge() -> None:
    first = StateNode("demo.first.main", Described(StateMeta(depends_on=("report",))))
    second = StateNode("demo.second.main", Described(StateMeta(tags=("report",))))
    plan = ExecutionPlan("demo", "1", (first, second))

    assert [plan.states[place].id for place in plan.order] == ["demo.first.main", "demo.second.main"]
    assert plan.edges == ()


@pytest.mark.parametrize("hint", [*SnapshotPolicy, None])
def test_a_hint_of_no_snapshot_never_bypasses_the_checkpoint(hint: SnapshotPolicy | None) -> None:
    """Every hint, returned and declared: what the state wrote is a checkpoint, and a crash behind it loses nothing."""
    calls: list[str] = []

    def plan() -> Plan:
        plan = Plan("demo")

        @plan.state(snapshot=hint or SnapshotPolicy.ON_SUCCESS)
        async def first(ctx: Context) -> StateOutcome | None:
            calls.append("first")
            ctx.write("written", 2)
            ctx.delete("given")
            return None if hint is None else StateOutcome(hint)

        @plan.state(after=["first"])
        async def second(written: int, io: LiveIo) -> int:
            calls.append("second")
            await io.call(read("sources"))
            return written + 1

        return plan

    async def scenario() -> None:
        world = World(plan, {"given": 1})
        await world.live(crash_on="send:before")
        bases = [each.base_snapshot_id for each in records(world.log) if isinstance(each, StateEntered)]
        checkpoints = [each.context_snapshot_id for each in records(world.log) if isinstance(each, StateCompleted)]
        assert bases[1:] == checkpoints != bases[:1]
        assert await world.context() == {"written": 2}
        await world.live()

        assert await world.context() == {"written": 2, "second": 3}
        assert calls == ["first", "second", "second"]

    run(scenario())


def test_a_failure_names_its_state() -> None:
    async def scenario() -> None:
        app = memory_app()
        plan = ExecutionPlan("demo", "1", (StateNode("demo.only.main", Described(StateMeta(), fault=ValueError())),))
        result = await app.runs.start(plan)
        [failed] = [e.record for e in await read_run(app, result.run_id) if isinstance(e.record, StateFailed)]

        assert failed.error.state_id == "demo.only.main"
        assert failed.error.info.code == "handler_exception"

    run(scenario())


def test_the_categories_of_stored_errors_are_those_of_the_contract() -> None:
    assert [category.value for category in ErrorCategory] == [
        "ParsingInput",
        "OnChain",
        "OffChain",
        "Rpc",
        "Storage",
        "Context",
        "Unknown",
    ]


@pytest.mark.parametrize("kind", [CONTEXT_DESERIALIZE_FAILED, CONTEXT_SERIALIZE_FAILED, CONTEXT_MISSING_KEY])
def test_a_fault_of_the_context_is_stored_in_the_category_of_the_context(kind: object) -> None:
    fault = kind.error("it is so")  # type: ignore[attr-defined]

    assert isinstance(fault, InterlockError)
    assert (error_info(fault).category, error_info(fault).retryable) == (ErrorCategory.CONTEXT, False)
