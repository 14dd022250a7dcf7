"""Interlock: governed, durable execution for operations that must not go wrong.

The names below are the public Python API; each is loaded when it is first used, so that importing the package costs
next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from interlock.app import App
    from interlock.base.errors import InterlockError
    from interlock.base.secrets import Secret, SecretRef, SecretValue
    from interlock.engine.attempt import DomainEvent, Recorder
    from interlock.engine.authoring import Plan
    from interlock.engine.config import FanOutJoin, RetryPolicy, RunConfig
    from interlock.engine.context import Context
    from interlock.engine.errors import ErrorCategory, StateFailure
    from interlock.engine.flow.limits import Flow, Rate
    from interlock.engine.io.surface import ChildResult, Io, IoCall, IoResult
    from interlock.engine.lineage.diff import RunDifference
    from interlock.engine.lineage.forking import ForkResult
    from interlock.engine.lineage.migrate import Migration
    from interlock.engine.meta import DependencyStrategy, SideEffectKind, SnapshotPolicy, StateMeta
    from interlock.engine.pipelines.boundaries import OpBoundary
    from interlock.engine.pipelines.operations import Operation, OpGraph, OpIo, OpRegistry
    from interlock.engine.pipelines.pipeline import Pipeline, PipelineStep, plan_of_manifest, plan_pipeline
    from interlock.engine.pipelines.planner import (
        DanglingDependencyTag,
        TagRemark,
        dangling_tags,
        derive_edges,
        recovery_point,
        tag_remarks,
    )
    from interlock.engine.plan import DependencyEdge, ExecutionPlan, State, StateNode, StateOutcome
    from interlock.engine.reports.records import RunReport, RunResult
    from interlock.sync import open_sync

__version__ = "0.1.0"

_HOME = {
    "App": "interlock.app",
    "ChildResult": "interlock.engine.io.surface",
    "Context": "interlock.engine.context",
    "DanglingDependencyTag": "interlock.engine.pipelines.planner",
    "DependencyEdge": "interlock.engine.plan",
    "DependencyStrategy": "interlock.engine.meta",
    "DomainEvent": "interlock.engine.attempt",
    "ErrorCategory": "interlock.engine.errors",
    "ExecutionPlan": "interlock.engine.plan",
    "FanOutJoin": "interlock.engine.config",
    "Flow": "interlock.engine.flow.limits",
    "ForkResult": "interlock.engine.lineage.forking",
    "InterlockError": "interlock.base.errors",
    "Io": "interlock.engine.io.surface",
    "IoCall": "interlock.engine.io.surface",
    "IoResult": "interlock.engine.io.surface",
    "Migration": "interlock.engine.lineage.migrate",
    "OpBoundary": "interlock.engine.pipelines.boundaries",
    "OpGraph": "interlock.engine.pipelines.operations",
    "OpIo": "interlock.engine.pipelines.operations",
    "OpRegistry": "interlock.engine.pipelines.operations",
    "Operation": "interlock.engine.pipelines.operations",
    "Pipeline": "interlock.engine.pipelines.pipeline",
    "PipelineStep": "interlock.engine.pipelines.pipeline",
    "Plan": "interlock.engine.authoring",
    "Rate": "interlock.engine.flow.limits",
    "Recorder": "interlock.engine.attempt",
    "RetryPolicy": "interlock.engine.config",
    "RunConfig": "interlock.engine.config",
    "RunDifference": "interlock.engine.lineage.diff",
    "RunReport": "interlock.engine.reports.records",
    "RunResult": "interlock.engine.reports.records",
    "Secret": "interlock.base.secrets",
    "SecretRef": "interlock.base.secrets",
    "SecretValue": "interlock.base.secrets",
    "SideEffectKind": "interlock.engine.meta",
    "SnapshotPolicy": "interlock.engine.meta",
    "State": "interlock.engine.plan",
    "StateFailure": "interlock.engine.errors",
    "StateMeta": "interlock.engine.meta",
    "StateNode": "interlock.engine.plan",
    "StateOutcome": "interlock.engine.plan",
    "TagRemark": "interlock.engine.pipelines.planner",
    "dangling_tags": "interlock.engine.pipelines.planner",
    "derive_edges": "interlock.engine.pipelines.planner",
    "open_sync": "interlock.sync",
    "plan_of_manifest": "interlock.engine.pipelines.pipeline",
    "plan_pipeline": "interlock.engine.pipelines.pipeline",
    "recovery_point": "interlock.engine.pipelines.planner",
    "tag_remarks": "interlock.engine.pipelines.planner",
}

__all__ = [
    "App",
    "ChildResult",
    "Context",
    "DanglingDependencyTag",
    "DependencyEdge",
    "DependencyStrategy",
    "DomainEvent",
    "ErrorCategory",
    "ExecutionPlan",
    "FanOutJoin",
    "Flow",
    "ForkResult",
    "InterlockError",
    "Io",
    "IoCall",
    "IoResult",
    "Migration",
    "OpBoundary",
    "OpGraph",
    "OpIo",
    "OpRegistry",
    "Operation",
    "Pipeline",
    "PipelineStep",
    "Plan",
    "Rate",
    "Recorder",
    "RetryPolicy",
    "RunConfig",
    "RunDifference",
    "RunReport",
    "RunResult",
    "Secret",
    "SecretRef",
    "SecretValue",
    "SideEffectKind",
    "SnapshotPolicy",
    "State",
    "StateFailure",
    "StateMeta",
    "StateNode",
    "StateOutcome",
    "TagRemark",
    "dangling_tags",
    "derive_edges",
    "open_sync",
    "plan_of_manifest",
    "plan_pipeline",
    "recovery_point",
    "tag_remarks",
]


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'interlock' has no attribute {name!r}")
    module, _, attribute = home.partition(":")
    return getattr(import_module(module), attribute or name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
