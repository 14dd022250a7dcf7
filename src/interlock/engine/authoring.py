"""Plans in a few lines: typed asynchronous functions become states.

What it does: `Plan` collects functions and `State` objects, derives edges from parameter names and `after`, and builds
the frozen `ExecutionPlan`. What it does not do: it runs nothing and adds nothing to what the engine can do.

Rules: a parameter named `ctx`, `io` or `rec` gets the context, the IO or the recorder; any other one gets the result of
the state of that name, which is then an edge, or else the member of the run's input; values are checked against the
parameter's type. What a function returns is kept in the context under the state's name; None keeps nothing.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar, get_type_hints, overload

import msgspec
from msgspec import Struct

from interlock.base.ids import shown
from interlock.engine.config import RetryPolicy
from interlock.engine.context import Context
from interlock.engine.errors import PLAN_INVALID
from interlock.engine.flow.limits import Flow, Rate, needs_of
from interlock.engine.meta import APPLY_SIDE_EFFECT, SideEffectKind, SnapshotPolicy, StateMeta
from interlock.engine.plan import DependencyEdge, ExecutionPlan, State, StateNode, StateOutcome

Function = TypeVar("Function", bound=Callable[..., Awaitable[Any]])
TOOLS = ("ctx", "io", "rec")
"""What a handler is given beside values, by the names of its parameters."""
_UNNAMED = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD, inspect.Parameter.POSITIONAL_ONLY)
Choice = TypeVar("Choice", bound=StrEnum)


def _chosen(kind: type[Choice], value: str) -> Choice:
    try:
        return kind(value)
    except ValueError:
        choices = ", ".join(kind)
        raise PLAN_INVALID.error(f"{shown(value)} is none of {choices}", reason="option_unknown") from None


class Parameter(Struct, frozen=True):
    """A value that a function takes by name: its type, and whether it has a default."""

    name: str
    kind: Any
    optional: bool


class FunctionState:
    """A function as a state: arguments from the context, result into it."""

    def __init__(self, name: str, function: Callable[..., Awaitable[Any]], meta: StateMeta) -> None:
        self._name = name
        self._function = function
        self._meta = meta
        parameters = inspect.signature(function).parameters.values()
        if any(p.kind in _UNNAMED for p in parameters):
            raise PLAN_INVALID.error(f"state {name} has a parameter that cannot be given by name", reason="parameter")
        try:
            hints = get_type_hints(function)
            for parameter in parameters:
                if parameter.name not in TOOLS:
                    msgspec.json.Decoder(hints.get(parameter.name, object))
        except (NameError, TypeError) as fault:
            raise PLAN_INVALID.error(
                f"a type of state {name} cannot be read from JSON", reason="type_unsound"
            ) from fault
        self.tools = tuple(p.name for p in parameters if p.name in TOOLS)
        self._values = tuple((p.name, hints.get(p.name, object)) for p in parameters if p.name not in TOOLS)
        self._defaults = {p.name: p.default for p in parameters if p.default is not p.empty}

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of the values that the function takes."""
        return tuple(name for name, _ in self._values)

    @cached_property
    def parameters(self) -> tuple[Parameter, ...]:
        """The values that the function takes."""
        return tuple(Parameter(name, kind, name in self._defaults) for name, kind in self._values)

    @property
    def writes_freely(self) -> bool:
        """Whether the function may write any key of the context."""
        return "ctx" in self.tools

    def meta(self) -> StateMeta:
        """As declared with the function."""
        return self._meta

    async def handle(self, ctx: Context, io: Any, rec: Any) -> StateOutcome | None:
        """Call the function with its arguments and keep what it returns."""
        given: dict[str, Any] = {"ctx": ctx, "io": io, "rec": rec}
        arguments = {name: given[name] for name in self.tools}
        for name, kind in self._values:
            if name in self._defaults and await ctx.read(name) is None:
                arguments[name] = self._defaults[name]
            else:
                arguments[name] = await ctx.require(name, kind)
        result = await self._function(**arguments)
        if isinstance(result, StateOutcome):
            return result
        if result is not None:
            ctx.write(self._name, result)
        return None


class Plan:
    """A plan being written: `op_id` names the operation, `version` its version."""

    def __init__(self, op_id: str, version: str = "1") -> None:
        self.op_id = op_id
        self.version = version
        self._nodes: dict[str, StateNode] = {}
        self._edges: list[DependencyEdge] = []
        self._names: dict[object, str] = {}

    @overload
    def state(self, function: Function, /) -> Function: ...

    @overload
    def state(
        self,
        *,
        name: str | None = ...,
        after: Sequence[Callable[..., Any] | str] = ...,
        side_effects: SideEffectKind | str | None = ...,
        idempotency: str | None = ...,
        tags: Sequence[str] = ...,
        retry: RetryPolicy | None = ...,
        timeout_ms: int | None = ...,
        snapshot: SnapshotPolicy | str = ...,
        flow: Flow | None = ...,
        rate: Rate | None = ...,
    ) -> Callable[[Function], Function]: ...

    def state(  # type: ignore[misc]  # mypy misses that the second signature leaves `function` out
        self,
        function: Any = None,
        /,
        *,
        name: str | None = None,
        after: Sequence[Callable[..., Any] | str] = (),
        side_effects: SideEffectKind | str | None = None,
        idempotency: str | None = None,
        tags: Sequence[str] = (),
        retry: RetryPolicy | None = None,
        timeout_ms: int | None = None,
        snapshot: SnapshotPolicy | str = SnapshotPolicy.ON_SUCCESS,
        flow: Flow | None = None,
        rate: Rate | None = None,
    ) -> Any:
        """Add an asynchronous function as a state, as a decorator with or without options.

        `after` names states that must complete first, beside those that parameters name; `side_effects` must be
        stated for calls that write to the outside; `snapshot="always"` keeps a diagnostic snapshot of failures.
        `flow` and `rate` bound how many attempts of states with that key are under way, or begin in a time, over all
        runs. Raises: `plan_invalid`, `flow_invalid`.
        """

        def add(target: Function) -> Function:
            step = name or target.__name__
            is_asynchronous = inspect.iscoroutinefunction(target)
            if not is_asynchronous:
                raise PLAN_INVALID.error(f"state {step} is not an async function", reason="not_async")
            effects = _chosen(SideEffectKind, side_effects or SideEffectKind.READ_ONLY_IO)
            implied = [APPLY_SIDE_EFFECT] if effects is SideEffectKind.APPLY_SIDE_EFFECT else []
            meta = StateMeta(
                tags=tuple(dict.fromkeys([*tags, *implied])), side_effects=effects, idempotency=idempotency
            )
            self.add(
                step,
                FunctionState(step, target, meta),
                after=after,
                retry=retry,
                timeout_ms=timeout_ms,
                declared=side_effects is not None,
                snapshot=snapshot,
                flow=flow,
                rate=rate,
            )
            self._names[target] = step
            return target

        return add if function is None else add(function)

    def add(
        self,
        name: str,
        state: State,
        *,
        after: Sequence[Callable[..., Any] | str] = (),
        retry: RetryPolicy | None = None,
        timeout_ms: int | None = None,
        declared: bool = True,
        snapshot: SnapshotPolicy | str = SnapshotPolicy.ON_SUCCESS,
        flow: Flow | None = None,
        rate: Rate | None = None,
    ) -> Plan:
        """Add a `State` object under a name; options as for `state`. Raises: `plan_invalid`, `flow_invalid`."""
        state_id = f"{self.op_id}.{name}.main"
        if name in self._nodes:
            raise PLAN_INVALID.error(f"state {state_id} appears twice", reason="duplicate_state_id", state_id=state_id)
        diagnostic = _chosen(SnapshotPolicy, snapshot) is SnapshotPolicy.ALWAYS
        self._nodes[name] = StateNode(state_id, state, retry, timeout_ms, declared, diagnostic, needs_of(flow, rate))
        for before in after:
            self._edges.append(DependencyEdge(self._id_of(before), state_id))
        return self

    def build(self) -> ExecutionPlan:
        """The frozen, validated plan. Raises: `plan_invalid`, `id_invalid`."""
        edges = list(dict.fromkeys([*self._edges, *self._implied_edges()]))
        return ExecutionPlan(self.op_id, self.version, tuple(self._nodes.values()), tuple(edges))

    def _implied_edges(self) -> list[DependencyEdge]:
        return [
            DependencyEdge(self._nodes[need].id, node.id)
            for name, node in self._nodes.items()
            if isinstance(node.state, FunctionState)
            for need in node.state.needs
            if need in self._nodes and need != name
        ]

    def _id_of(self, state: Callable[..., Any] | str) -> str:
        name = state if isinstance(state, str) else self._names.get(state)
        if name is None or name not in self._nodes:
            raise PLAN_INVALID.error("`after` names a state that the plan does not have yet", reason="after_unknown")
        return self._nodes[name].id
