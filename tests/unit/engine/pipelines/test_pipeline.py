"""Pipelines become plans: what is put together, and everything that is refused before a run starts."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.base.principal import local_principal
from interlock.engine.config import RetryPolicy, RunConfig, RunManifest, read_manifest
from interlock.engine.meta import SideEffectKind, StateMeta
from interlock.engine.pipelines.operations import OpGraph, OpIo, OpRegistry
from interlock.engine.pipelines.pipeline import Pipeline, PipelineStep, plan_of_manifest, plan_pipeline
from interlock.engine.plan import DependencyEdge, StateNode
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.simulation.crashes import RUN_ID
from tests.simulation.histories import Idle
from tests.simulation.operations import OPERATIONS, PIPELINE, Fetch, Given, of, sums

TOKEN = "ghp" + "_" + "a1B2c3D4e5F6" * 3
THRICE = RunConfig(retry_policy=RetryPolicy.fixed(3))


def reason(call: Any, *arguments: Any) -> dict[str, Any]:
    """Why a plan is refused."""
    with pytest.raises(InterlockError) as caught:
        call(*arguments)
    assert caught.value.code == "plan_invalid"
    return dict(caught.value.details)


def steps(*given: PipelineStep, machine: str = "m") -> Pipeline:
    return Pipeline(machine, "1", given)


def fetch(step: str = "a", config: Any = None) -> PipelineStep:
    return PipelineStep(step, "fetch", "1", {"factor": 1} if config is None else config)


def test_the_steps_of_a_pipeline_become_the_states_of_one_plan() -> None:
    plan = sums()

    assert (plan.op_id, plan.version) == ("sums", "7")
    assert [plan.states[place].id for place in plan.order] == [
        "sums.get.draft",
        "sums.get.numbers",
        "sums.first.work",
        "sums.second.work",
        "sums.end.total",
        "sums.end.announce",
    ]


def test_every_last_state_of_a_step_comes_before_every_first_state_of_the_next() -> None:
    wide = Given(states=("a", "b", "c"), edges=[("a", "c")])
    plan = of(wide, Given(states=("x", "y", "z"), edges=[("x", "z")]))
    across = {(edge.before, edge.after) for edge in plan.edges if edge.before.split(".")[1] == "s0"} - {
        ("m.s0.a", "m.s0.c")
    }

    assert across == set(itertools.product(("m.s0.b", "m.s0.c"), ("m.s1.x", "m.s1.y")))
    assert DependencyEdge("m.s0.a", "m.s0.c") in plan.edges


def test_an_operation_of_its_own_is_a_pipeline_with_the_step_main() -> None:
    plan = plan_pipeline(Pipeline.of_operation("fetch", "1", {"factor": 2}), OPERATIONS)

    assert (plan.op_id, plan.version) == ("fetch", "1")
    assert [node.id for node in plan.states] == ["fetch.main.draft", "fetch.main.numbers"]


def test_the_same_pipeline_is_the_same_plan_and_another_configuration_another() -> None:
    other = steps(fetch(config={"factor": 2}))

    assert sums().fingerprint == sums().fingerprint
    assert plan_pipeline(other, OPERATIONS).outline != plan_pipeline(steps(fetch()), OPERATIONS).outline


def test_an_import_that_no_earlier_step_exports_is_refused_with_its_key() -> None:
    producer = Given(exports=("x",))
    consumer = Given(imports=("x",))

    assert of(producer, consumer).states
    assert reason(of, Given(imports=("x",)), Given(exports=("x",)))["reason"] == "unsatisfied_import"
    assert reason(of, Given(imports=("x",), exports=("x",))) == {
        "reason": "unsatisfied_import",
        "op_path": "m.s0",
        "key": "x",
    }


@pytest.mark.parametrize(
    ("pipeline", "why"),
    [
        (steps(), "empty_pipeline"),
        (steps(fetch(), machine="M"), "invalid_machine_id"),
        (steps(fetch(), machine="m\n"), "invalid_machine_id"),
        (Pipeline("m", "", (fetch(),)), "invalid_pipeline_version"),
        (steps(fetch("a.b")), "invalid_step_id"),
        (steps(fetch("a"), fetch("a")), "duplicate_step_id"),
        (steps(fetch(config={"factor": float("nan")})), "op_config_not_canonical"),
        (steps(fetch(config={"factor": 2**60})), "op_config_not_canonical"),
        (steps(fetch(config={"factor": object()})), "op_config_not_canonical"),
        (steps(fetch(config={1: 2})), "op_config_not_canonical"),
    ],
)
def test_a_pipeline_that_is_none_is_refused_with_the_reason(pipeline: Pipeline, why: str) -> None:
    assert reason(plan_pipeline, pipeline, OPERATIONS)["reason"] == why


EFFECT = StateMeta(side_effects=SideEffectKind.APPLY_SIDE_EFFECT)
EMPTY_KEY = StateMeta(side_effects=SideEffectKind.APPLY_SIDE_EFFECT, idempotency="")


@pytest.mark.parametrize(
    ("operation", "why"),
    [
        (Given(states=()), "empty_state_graph"),
        (Given(states=("m.other.a",), full_ids=True), "invalid_state_id"),
        (Given(states=("m.s0",), full_ids=True), "invalid_state_id"),
        (Given(states=("m.s0.a.b",), full_ids=True), "invalid_state_id"),
        (Given(states=("A",)), "invalid_state_local_id"),
        (Given(states=("input",)), "invalid_state_local_id"),
        (Given(states=("a", "a")), "duplicate_state_id"),
        (Given(states=("a",), edges=[("a", "b")]), "missing_state_for_edge"),
        (Given(states=("a", "b"), edges=[("a", "b"), ("b", "a")]), "circular_dependency"),
        (Given(meta=EFFECT), "missing_idempotency_key"),
        (Given(meta=EMPTY_KEY), "missing_idempotency_key"),
        (Given(exports=("input",)), "op_io_invalid"),
        (Given(imports=("input",)), "op_io_invalid"),
    ],
)
def test_an_operation_that_expands_to_no_graph_is_refused_with_the_reason(operation: Given, why: str) -> None:
    assert reason(of, operation)["reason"] == why


def test_a_state_of_another_step_cannot_be_waited_for_by_name() -> None:
    assert reason(of, Given(states=("a",)), Given(states=("b",), edges=[("m.s0.a", "b")]))["reason"] == (
        "missing_state_for_edge"
    )


def test_a_secret_in_a_configuration_is_refused_and_not_repeated() -> None:
    with pytest.raises(InterlockError) as caught:
        plan_pipeline(steps(fetch(config={"factor": 1, "note": TOKEN})), OPERATIONS)

    assert caught.value.code == "secrets_detected"
    assert TOKEN not in f"{caught.value} {caught.value.details}"


def test_an_operation_that_is_not_registered_is_named_with_the_versions_that_are() -> None:
    with pytest.raises(InterlockError, match="it has version 1") as caught:
        plan_pipeline(steps(PipelineStep("a", "fetch", "2")), OPERATIONS)
    assert caught.value.code == "op_not_found"
    with pytest.raises(InterlockError, match="no version of it is"):
        OPERATIONS.find("unknown", "1")


def test_one_identity_and_version_is_one_operation() -> None:
    fetching = Fetch()
    registry = OpRegistry([fetching, fetching])

    assert registry.find("fetch", "1") is fetching
    assert reason(registry.add, Fetch())["reason"] == "duplicate_operation"
    with pytest.raises(InterlockError, match="id_invalid"):
        registry.add(Given(op_id="Not An Id"))


def test_an_operation_is_given_a_copy_of_its_configuration() -> None:
    class Spoiling(Fetch):
        op_id = "spoiling"

        def io(self, config: Any) -> OpIo:
            config.clear()
            return super().io(config)

        def expand(self, op_path: str, config: Any, run_config: RunConfig) -> Any:
            graph = super().expand(op_path, config, run_config)
            config.clear()
            return graph

    config = {"factor": 3}
    registry = OpRegistry([Spoiling()])
    step = PipelineStep("a", "spoiling", "1", config)
    plans = [plan_pipeline(steps(step), registry) for _ in range(2)]

    assert config == {"factor": 3}
    assert plans[0].fingerprint == plans[1].fingerprint


def test_the_manifest_of_a_pipeline_holds_it_and_the_input() -> None:
    async def scenario() -> None:
        app = memory_app()
        result = await app.runs.start(sums(), {"count": 3}, run_id=RUN_ID)
        report = await app.runs.read.report(RUN_ID)

        assert result.phase == "completed"
        assert report.input == {
            "pipeline": {
                "machine_id": "sums",
                "pipeline_version": "7",
                "steps": [
                    {"step_id": step.step_id, "op_id": step.op_id, "op_version": "1", "op_config": step.op_config}
                    for step in PIPELINE.steps
                ],
            },
            "input": {"count": 3},
        }

    run(scenario())


def test_the_plan_of_a_run_is_made_anew_from_its_manifest() -> None:
    async def scenario() -> None:
        app = memory_app()
        await app.runs.start(sums(), {"count": 3}, run_id=RUN_ID)
        named = (await app.runs.read.report(RUN_ID)).manifest_id
        [content] = await app.store.artifacts.get([named])
        manifest = read_manifest(named, content)

        assert plan_of_manifest(manifest, OPERATIONS).fingerprint == sums().fingerprint
        others: list[dict[str, Any]] = [
            {"op_id": "other"},
            {"op_version": "8"},
            {"input_params": {}},
            {"input_params": 1},
        ]
        for broken in others:
            with pytest.raises(InterlockError, match="manifest_mismatch"):
                plan_of_manifest(changed(manifest, **broken), OPERATIONS)

    run(scenario())


def changed(manifest: RunManifest, **members: Any) -> RunManifest:
    return RunManifest(**{name: members.get(name, getattr(manifest, name)) for name in manifest.__struct_fields__})


class Retrying:
    """An operation with as many states as the run's policy has attempts."""

    op_id, op_version = "retrying", "1"

    def io(self, config: Any) -> OpIo:
        del config
        return OpIo()

    def expand(self, op_path: str, config: Any, run_config: RunConfig) -> OpGraph:
        del config
        names = [f"{op_path}.s{number}" for number in range(run_config.retry_policy.max_attempts)]
        return OpGraph(tuple(StateNode(name, Idle()) for name in names))


@pytest.mark.parametrize(("config", "states"), [(None, 3), (RunConfig(), 1)], ids=["the plan's own", "another"])
def test_a_pipeline_is_planned_for_the_configuration_that_it_runs_with(config: RunConfig | None, states: int) -> None:
    """Also where another life plans it for the default and resumes."""

    async def scenario() -> None:
        registry = OpRegistry([Retrying()])
        plan = plan_pipeline(Pipeline.of_operation("retrying", "1"), registry, THRICE)
        app = memory_app()
        await app.runs.start(plan, run_id=RUN_ID, config=config, detach=True)
        result = await app.runs.resume(RUN_ID, plan=plan_pipeline(Pipeline.of_operation("retrying", "1"), registry))

        assert result.phase == "completed"
        assert len((await app.runs.read.report(RUN_ID)).steps) == states

    run(scenario())


@pytest.mark.parametrize("dry_run", [False, True])
def test_the_command_starts_a_pipeline_with_its_own_configuration(tmp_path: Path, dry_run: bool) -> None:
    source = f"from {__name__} import *\nplan = plan_pipeline(PIPELINE, OPERATIONS, THRICE)\n"
    (tmp_path / "flow.py").write_text(source)

    async def scenario() -> None:
        app = memory_app()
        given = {"plan": f"{tmp_path}/flow.py:plan", "input": {"count": 1}, "run_id": RUN_ID, "dry_run": dry_run}
        await app.client(local_principal("ada")).call("run.start", given)
        named = (await app.runs.read.report(RUN_ID)).manifest_id
        [content] = await app.store.artifacts.get([named])
        config = read_manifest(named, content).run_config

        assert config.retry_policy == THRICE.retry_policy
        assert config.skip_tags == (("apply_side_effect",) if dry_run else ())

    run(scenario())


def test_a_dry_run_of_a_pipeline_leaves_its_effects_out() -> None:
    async def scenario() -> None:
        app = memory_app()
        result = await app.runs.start(sums(), {"count": 1}, config=RunConfig(skip_tags=("apply_side_effect",)))
        values = await app.runs.read.context(result.run_id)

        assert "sums.end.total" in values
        assert "sums.end.announce" not in values

    run(scenario())


def test_the_steps_of_a_pipeline_are_shown_with_their_last_segment() -> None:
    async def scenario() -> None:
        app = memory_app()
        await app.runs.start(sums(), {"count": 1}, run_id=RUN_ID)
        report = await app.runs.read.report(RUN_ID)

        assert [step.name for step in report.steps][:3] == ["get.draft", "get.numbers", "first.work"]

    run(scenario())


def test_a_step_may_be_named_like_a_member_of_the_manifest() -> None:
    async def scenario() -> None:
        app = memory_app()
        plan = plan_pipeline(steps(fetch("input"), fetch("pipeline")), OPERATIONS)

        assert (await app.runs.start(plan, {"count": 1})).phase == "completed"

    run(scenario())
