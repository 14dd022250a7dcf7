"""Operations: units of work that pipelines are put together from.

What it does: says what an operation is, what it reads from earlier ones and gives to later ones, and finds it by
identity and version. What it does not do: it runs nothing and puts nothing together (`pipeline`).

Rules: `io` and `expand` are functions of their arguments alone, without I/O, time or chance: the same pipeline is
expanded again when its run is resumed, and another graph is another plan; the ids of an operation's states are its op
path and one segment; one identity and version is one operation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from msgspec import Struct

from interlock.base.ids import ContextKey, OpId, OpPath, op_id, op_path, shown
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig
from interlock.engine.errors import OP_NOT_FOUND, PLAN_INVALID
from interlock.engine.plan import DependencyEdge, StateNode


class OpIo(Struct, frozen=True):
    """Keys of the context that an operation takes from earlier operations, and that later ones may take from it."""

    imports: tuple[ContextKey, ...] = ()
    exports: tuple[ContextKey, ...] = ()


@dataclass(frozen=True)
class OpGraph:
    """What an operation expands to: its states and the edges between them."""

    states: tuple[StateNode, ...]
    edges: tuple[DependencyEdge, ...] = ()

    @classmethod
    def of_plan(cls, path: OpPath, plan: Plan) -> OpGraph:
        """The states of a written plan as those of an operation: `<path>.<name>`. Raises: `plan_invalid`, `id_invalid`.

        The operation and version that the plan itself names do not count.
        """
        op_path(path)
        built = plan.build()
        moved = {node.id: f"{path}.{node.id.split('.')[1]}" for node in built.states}
        return cls(
            tuple(replace(node, id=moved[node.id]) for node in built.states),
            tuple(DependencyEdge(moved[edge.before], moved[edge.after]) for edge in built.edges),
        )


class Operation(Protocol):
    """A unit of work with an identity. Each method is given a copy of the step's configuration."""

    @property
    def op_id(self) -> OpId:
        """The identity: the same in every environment."""
        ...

    @property
    def op_version(self) -> str:
        """The version: another one where the graph or the meaning changes."""
        ...

    def io(self, config: Any) -> OpIo:
        """What it imports and exports when configured so."""
        ...

    def expand(self, op_path: OpPath, config: Any, run_config: RunConfig) -> OpGraph:
        """Its states and edges under `op_path`."""
        ...


class OpRegistry:
    """The operations that pipelines may name."""

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        self._known: dict[tuple[str, str], Operation] = {}
        for operation in operations:
            self.add(operation)

    def add(self, operation: Operation) -> None:
        """Register an operation. Raises: `id_invalid`; `plan_invalid` if another one has its identity and version."""
        key = op_id(operation.op_id), operation.op_version
        if self._known.setdefault(key, operation) is not operation:
            raise PLAN_INVALID.error(
                f"operation {key[0]} version {shown(key[1])} is registered twice",
                reason="duplicate_operation",
                op_id=key[0],
            )

    def find(self, op_id: str, op_version: str) -> Operation:
        """The operation of an identity and version. Raises: `op_not_found`."""
        found = self._known.get((op_id, op_version))
        if found is not None:
            return found
        versions = sorted(shown(version) for known, version in self._known if known == op_id)
        known = f"it has version {', '.join(versions[:5])}" if versions else "no version of it is"
        raise OP_NOT_FOUND.error(
            f"operation {shown(op_id)} version {shown(op_version)} is not registered; {known}",
            op_id=shown(op_id),
            op_version=shown(op_version),
        )
