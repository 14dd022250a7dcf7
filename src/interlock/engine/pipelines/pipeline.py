"""Pipelines: operations one after the other as one plan, and therefore one run.

What it does: flattens the steps of a pipeline into an `ExecutionPlan`, and says what a run of it is started with.
What it does not do: it runs nothing; the engine executes the plan as any other.

Rules: every last state of a step comes before every first state of the next; what a step imports, an earlier one
exports, and the last of those counts; a pipeline is canonical JSON without secrets, as it is part of the manifest; an
operation of its own is a pipeline with the one step `main`. What breaks a rule is `plan_invalid` with `reason` in its
details, before anything is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base.canonical import canonical, parse
from interlock.base.errors import InterlockError
from interlock.base.ids import ContextKey, OpPath, StateId, context_key, op_id, shown
from interlock.base.secret_scan import refuse_secrets
from interlock.engine.config import DEFAULT_CONFIG, RunConfig, RunManifest
from interlock.engine.document.inputs import document_input
from interlock.engine.errors import MANIFEST_MISMATCH, plan_invalid
from interlock.engine.meta import SideEffectKind
from interlock.engine.pipelines.namespaces import RUN_INPUT, OpState
from interlock.engine.pipelines.operations import OpGraph, OpIo, OpRegistry
from interlock.engine.plan import DependencyEdge, ExecutionPlan, Planned, StateNode

SINGLE_STEP = "main"


class PipelineStep(Struct, frozen=True, forbid_unknown_fields=True):
    """One operation in its place. `op_config` is JSON without secrets."""

    step_id: str
    op_id: str
    op_version: str
    op_config: Any = {}


class Pipeline(Struct, frozen=True, forbid_unknown_fields=True):
    """Steps that run one after the other. `machine_id` and `pipeline_version` become operation and version of runs."""

    machine_id: str
    pipeline_version: str
    steps: tuple[PipelineStep, ...]

    @classmethod
    def of_operation(cls, op_id: str, op_version: str, op_config: Any = None) -> Pipeline:
        """The pipeline that is one operation: a step named `main` of a machine named like it."""
        config = {} if op_config is None else op_config
        return cls(op_id, op_version, (PipelineStep(SINGLE_STEP, op_id, op_version, config),))


def plan_pipeline(pipeline: Pipeline, registry: OpRegistry, run_config: RunConfig | None = None) -> ExecutionPlan:
    """The plan of a pipeline: deterministic, without I/O. Its runs have `run_config` where they are given no other.

    Raises: `op_not_found`, `secrets_detected`, `id_invalid`; `plan_invalid` with `reason`: `empty_pipeline`,
    `invalid_machine_id`, `invalid_pipeline_version`, `invalid_step_id`, `duplicate_step_id`,
    `op_config_not_canonical`, `op_io_invalid`, `unsatisfied_import`, `empty_state_graph`, `invalid_state_id`,
    `invalid_state_local_id`, `duplicate_state_id`, `missing_state_for_edge`, `missing_idempotency_key`, and those of
    `ExecutionPlan`.
    """
    run_config = run_config or RunConfig()
    configs = _checked(pipeline)
    exporters: dict[ContextKey, OpPath] = {}
    states: list[StateNode] = []
    edges: list[DependencyEdge] = []
    last: list[StateId] = []
    for step, config in zip(pipeline.steps, configs, strict=True):
        path = f"{pipeline.machine_id}.{step.step_id}"
        operation = registry.find(step.op_id, step.op_version)
        declared = operation.io(parse(config))
        imports = _satisfied(path, declared, exporters)
        graph = operation.expand(path, parse(config), run_config)
        _check_graph(path, graph)
        firsts, sinks = _ends(graph)
        edges += [*graph.edges, *(DependencyEdge(before, after) for before in last for after in firsts)]
        states += [replace(node, state=OpState(node.state, path, imports)) for node in graph.states]
        exporters.update(dict.fromkeys(declared.exports, path))
        last = sinks
    content = canonical(_as_json(pipeline, configs))
    planned = Planned(
        content, run_config, partial(plan_pipeline, msgspec.json.decode(content, type=Pipeline), registry)
    )
    refuse_secrets(content, "pipeline")
    return ExecutionPlan(
        pipeline.machine_id, pipeline.pipeline_version, tuple(states), tuple(edges), boundaries=True, planned=planned
    )


def plan_of_manifest(manifest: RunManifest, registry: OpRegistry) -> ExecutionPlan:
    """The plan of a stored run, made anew from its manifest. Raises: `manifest_mismatch`, and as `plan_pipeline`."""
    try:
        pipeline = msgspec.convert(manifest.input_params["pipeline"], Pipeline)
    except (KeyError, TypeError, msgspec.ValidationError):
        raise MANIFEST_MISMATCH.error("the manifest is not that of a pipeline") from None
    if (pipeline.machine_id, pipeline.pipeline_version) != (manifest.op_id, manifest.op_version):
        raise MANIFEST_MISMATCH.error("the manifest names another operation than its pipeline")
    return plan_pipeline(pipeline, registry, manifest.run_config)


def start_values(plan: ExecutionPlan, given: Any, config: RunConfig | None) -> tuple[Any, RunConfig]:
    """Input and configuration that a run of `plan` is started with, when its caller gave these.

    For a pipeline the input is `{"pipeline": …, "input": …}`, and the default configuration the one it was planned for.
    For a plan document it is what the document declares, with its defaults. Raises: `run_input_invalid`.
    """
    if plan.document is not None:
        return document_input(plan.document, given), config or RunConfig()
    if plan.planned is None:
        return given, config or DEFAULT_CONFIG
    whole = {"pipeline": parse(plan.planned.pipeline), RUN_INPUT: {} if given is None else given}
    return whole, config or plan.planned.run_config


def _is_segment(value: str) -> bool:
    try:
        op_id(value)
    except InterlockError:
        return False
    return True


def _checked(pipeline: Pipeline) -> list[bytes]:
    """The canonical configuration of each step, of a pipeline whose names are sound."""
    if not _is_segment(pipeline.machine_id):
        raise plan_invalid("invalid_machine_id", "the machine id is not of the form a-z, then up to 62 of a-z 0-9 _")
    if not pipeline.pipeline_version:
        raise plan_invalid("invalid_pipeline_version", "the version of a pipeline is empty")
    if not pipeline.steps:
        raise plan_invalid("empty_pipeline", "a pipeline needs at least one step")
    seen: set[str] = set()
    configs: list[bytes] = []
    for number, step in enumerate(pipeline.steps, 1):
        if not _is_segment(step.step_id):
            raise plan_invalid(
                "invalid_step_id", f"the id of step {number} is not of the form a-z, then up to 62 of a-z 0-9 _"
            )
        if step.step_id in seen:
            raise plan_invalid("duplicate_step_id", f"step {step.step_id} appears twice", step_id=step.step_id)
        seen.add(step.step_id)
        configs.append(_config_of(step))
    return configs


def _config_of(step: PipelineStep) -> bytes:
    try:
        content = canonical(step.op_config)
    except InterlockError as fault:
        raise plan_invalid(
            "op_config_not_canonical",
            f"the configuration of step {step.step_id} is not JSON ({fault.code})",
            step_id=step.step_id,
        ) from None
    refuse_secrets(content, f"configuration of step {step.step_id}")
    return content


def _as_json(pipeline: Pipeline, configs: list[bytes]) -> dict[str, Any]:
    steps = [
        {"step_id": step.step_id, "op_id": step.op_id, "op_version": step.op_version, "op_config": parse(config)}
        for step, config in zip(pipeline.steps, configs, strict=True)
    ]
    return {"machine_id": pipeline.machine_id, "pipeline_version": pipeline.pipeline_version, "steps": steps}


def _satisfied(path: OpPath, declared: OpIo, exporters: Mapping[ContextKey, OpPath]) -> dict[ContextKey, OpPath]:
    """Which operation each imported key is read from."""
    for key in (*declared.imports, *declared.exports):
        context_key(f"{path}.{context_key(key)}")
        if key == RUN_INPUT:
            raise plan_invalid(
                "op_io_invalid", f"{path} imports or exports {RUN_INPUT}, which is the run's", op_path=path
            )
    for key in declared.imports:
        if key not in exporters:
            raise plan_invalid(
                "unsatisfied_import",
                f"{path} imports {shown(key)}, which no earlier step exports",
                op_path=path,
                key=shown(key),
            )
    return {key: exporters[key] for key in declared.imports}


def _check_graph(path: OpPath, graph: OpGraph) -> None:
    """Refuse a graph that is not one of this operation."""
    if not graph.states:
        raise plan_invalid("empty_state_graph", f"{path} expands to no state", op_path=path)
    seen: set[StateId] = set()
    for node in graph.states:
        prefix, _, local = node.id.rpartition(".")
        if prefix != path:
            raise plan_invalid("invalid_state_id", f"a state of {path} is not named {path}.<local>", op_path=path)
        if not _is_segment(local) or local == RUN_INPUT:
            raise plan_invalid(
                "invalid_state_local_id", f"a state of {path} has a last segment that is none", op_path=path
            )
        if node.id in seen:
            raise plan_invalid("duplicate_state_id", f"state {node.id} appears twice", state_id=node.id)
        seen.add(node.id)
        if node.meta.side_effects is SideEffectKind.APPLY_SIDE_EFFECT and not node.meta.idempotency:
            raise plan_invalid(
                "missing_idempotency_key", f"state {node.id} applies an effect without a key", state_id=node.id
            )
    for edge in graph.edges:
        for end in (edge.before, edge.after):
            if end not in seen:
                raise plan_invalid(
                    "missing_state_for_edge",
                    f"an edge of {path} names {shown(end)}, which is no state",
                    missing=shown(end),
                )


def _ends(graph: OpGraph) -> tuple[list[StateId], list[StateId]]:
    """The states of an operation that wait for none of its states, and those that none waits for."""
    waiting, awaited = {edge.after for edge in graph.edges}, {edge.before for edge in graph.edges}
    ids = [node.id for node in graph.states]
    return [each for each in ids if each not in waiting], [each for each in ids if each not in awaited]
