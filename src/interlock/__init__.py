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
    from interlock.engine.boundaries import OpBoundary
    from interlock.engine.config import FanOutJoin, RetryPolicy, RunConfig
    from interlock.engine.context import Context
    from interlock.engine.diff import RunDifference
    from interlock.engine.errors import ErrorCategory, StateFailure
    from interlock.engine.flow import Flow, Rate
    from interlock.engine.forking import ForkResult
    from interlock.engine.io.surface import ChildResult, Io, IoCall, IoResult
    from interlock.engine.meta import DependencyStrategy, SideEffectKind, SnapshotPolicy, StateMeta
    from interlock.engine.migrate import Migration
    from interlock.engine.operations import Operation, OpGraph, OpIo, OpRegistry
    from interlock.engine.pipeline import Pipeline, PipelineStep, plan_of_manifest, plan_pipeline
    from interlock.engine.plan import DependencyEdge, ExecutionPlan, State, StateNode, StateOutcome
    from interlock.engine.planner import (
        DanglingDependencyTag,
        TagRemark,
        dangling_tags,
        derive_edges,
        recovery_point,
        tag_remarks,
    )
    from interlock.engine.reports import RunReport, RunResult
    from interlock.sync import open_sync

__version__ = "0.1.0"

_HOME = {
    "App": "interlock.app",
    "ChildResult": "interlock.engine.io.surface",
    "Context": "interlock.engine.context",
    "DanglingDependencyTag": "interlock.engine.planner",
    "DependencyEdge": "interlock.engine.plan",
    "DependencyStrategy": "interlock.engine.meta",
    "DomainEvent": "interlock.engine.attempt",
    "ErrorCategory": "interlock.engine.errors",
    "ExecutionPlan": "interlock.engine.plan",
    "FanOutJoin": "interlock.engine.config",
    "Flow": "interlock.engine.flow",
    "ForkResult": "interlock.engine.forking",
    "InterlockError": "interlock.base.errors",
    "Io": "interlock.engine.io.surface",
    "IoCall": "interlock.engine.io.surface",
    "IoResult": "interlock.engine.io.surface",
    "Migration": "interlock.engine.migrate",
    "OpBoundary": "interlock.engine.boundaries",
    "OpGraph": "interlock.engine.operations",
    "OpIo": "interlock.engine.operations",
    "OpRegistry": "interlock.engine.operations",
    "Operation": "interlock.engine.operations",
    "Pipeline": "interlock.engine.pipeline",
    "PipelineStep": "interlock.engine.pipeline",
    "Plan": "interlock.engine.authoring",
    "Rate": "interlock.engine.flow",
    "Recorder": "interlock.engine.attempt",
    "RetryPolicy": "interlock.engine.config",
    "RunConfig": "interlock.engine.config",
    "RunDifference": "interlock.engine.diff",
    "RunReport": "interlock.engine.reports",
    "RunResult": "interlock.engine.reports",
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
    "TagRemark": "interlock.engine.planner",
    "dangling_tags": "interlock.engine.planner",
    "derive_edges": "interlock.engine.planner",
    "open_sync": "interlock.sync",
    "plan_of_manifest": "interlock.engine.pipeline",
    "plan_pipeline": "interlock.engine.pipeline",
    "recovery_point": "interlock.engine.planner",
    "tag_remarks": "interlock.engine.planner",
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
