"""Operations and pipelines for tests: small ones that compute, and one whose states a test gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.context import Context
from interlock.engine.meta import SideEffectKind, StateMeta
from interlock.engine.pipelines.operations import OpGraph, OpIo, OpRegistry
from interlock.engine.pipelines.pipeline import Pipeline, PipelineStep, plan_pipeline
from interlock.engine.plan import DependencyEdge, ExecutionPlan, StateNode
from tests.simulation.histories import Idle


@dataclass
class Given:
    """An operation that imports, exports and expands as a test says: states by their last segment."""

    op_id: str = "given"
    op_version: str = "1"
    imports: tuple[str, ...] = ()
    exports: tuple[str, ...] = ()
    states: Sequence[str] = ("only",)
    edges: Sequence[tuple[str, str]] = ()
    meta: StateMeta = field(default_factory=StateMeta)
    full_ids: bool = False

    def io(self, config: Any) -> OpIo:
        del config
        return OpIo(self.imports, self.exports)

    def expand(self, op_path: str, config: Any, run_config: RunConfig) -> OpGraph:
        del config, run_config
        name: Callable[[str], str] = (lambda each: each) if self.full_ids else (lambda each: f"{op_path}.{each}")
        return OpGraph(
            tuple(StateNode(name(each), Idle(self.meta)) for each in self.states),
            tuple(DependencyEdge(name(one), name(two)) for one, two in self.edges),
        )


class Fetch:
    """Exports `numbers`: those up to the `count` of the run's input, each times the configured `factor`."""

    op_id, op_version = "fetch", "1"

    def io(self, config: Any) -> OpIo:
        del config
        return OpIo(exports=("numbers",))

    def expand(self, op_path: str, config: Any, run_config: RunConfig) -> OpGraph:
        del run_config
        plan, factor = Plan(self.op_id), config["factor"]

        @plan.state
        async def draft(input: dict[str, int]) -> list[int]:  # noqa: A002 - the key of the run's input
            return list(range(1, input["count"] + 1))

        @plan.state
        async def numbers(draft: list[int]) -> list[int]:
            return [factor * each for each in draft]

        return OpGraph.of_plan(op_path, plan)


class Double:
    """Imports and exports `numbers`."""

    op_id, op_version = "double", "1"

    def io(self, config: Any) -> OpIo:
        del config
        return OpIo(imports=("numbers",), exports=("numbers",))

    def expand(self, op_path: str, config: Any, run_config: RunConfig) -> OpGraph:
        del config, run_config
        plan = Plan(self.op_id)

        @plan.state
        async def work(ctx: Context) -> None:
            ctx.write("numbers", [2 * each for each in await ctx.require("numbers", list[int])])

        return OpGraph.of_plan(op_path, plan)


class Total:
    """Imports `numbers` and keeps their `total`; its last state applies an effect of its own step."""

    op_id, op_version = "total", "1"

    def io(self, config: Any) -> OpIo:
        del config
        return OpIo(imports=("numbers",), exports=("total",))

    def expand(self, op_path: str, config: Any, run_config: RunConfig) -> OpGraph:
        del config, run_config
        plan = Plan(self.op_id)

        @plan.state
        async def total(numbers: list[int]) -> int:
            return sum(numbers)

        @plan.state(after=[total], side_effects=SideEffectKind.APPLY_SIDE_EFFECT, idempotency=f"total|op:{op_path}")
        async def announce(total: int) -> str:
            return f"total {total}"

        return OpGraph.of_plan(op_path, plan)


OPERATIONS = OpRegistry([Fetch(), Double(), Total()])
PIPELINE = Pipeline(
    "sums",
    "7",
    (
        PipelineStep("get", "fetch", "1", {"factor": 10}),
        PipelineStep("first", "double", "1"),
        PipelineStep("second", "double", "1"),
        PipelineStep("end", "total", "1"),
    ),
)


def sums() -> ExecutionPlan:
    """Four steps; the input `{"count": 3}` comes to 240."""
    return plan_pipeline(PIPELINE, OPERATIONS)


def of(*operations: Given, machine: str = "m") -> ExecutionPlan:
    """The plan of these operations one after the other, as steps named `s0`, `s1` and so on."""
    registry = OpRegistry()
    steps = []
    for number, operation in enumerate(operations):
        operation.op_id = f"op{number}"
        registry.add(operation)
        steps.append(PipelineStep(f"s{number}", operation.op_id, operation.op_version))
    return plan_pipeline(Pipeline(machine, "1", tuple(steps)), registry)
