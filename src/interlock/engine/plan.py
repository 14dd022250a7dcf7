"""Execution plans: states, edges, validation and the fingerprint (seed 001, `plan`).

What it does: holds an immutable graph of states, refuses a malformed one before any run starts, and names the plan by
a digest over ids, edges and metadata. What it does not do: it runs nothing and orders nothing by tags.

Rules: an edge `from -> to` means that `from` completes before `to` starts; ids belong to the plan, not to the state; a
cycle that is reported really is one, and the same one each time; execution order is the plan's own order of states
wherever the edges leave a choice.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from interlock.base.canonical import Json, canonical, digest, parse
from interlock.base.errors import InterlockError
from interlock.base.ids import ArtifactId, OpId, OpPath, StateId, op_id, shown, state_id, step_name
from interlock.engine.config import RetryPolicy, RunConfig
from interlock.engine.errors import STEP_UNKNOWN, plan_invalid
from interlock.engine.flow.limits import Needs
from interlock.engine.meta import SideEffectKind, SnapshotPolicy, StateMeta

PLAN_KIND = "Plan"
"""Kind of the artifact that holds an outline."""


class StateOutcome(Struct, frozen=True):
    """What a handler returns: a hint about snapshots."""

    snapshot: SnapshotPolicy = SnapshotPolicy.ON_SUCCESS


class State(Protocol):
    """Behaviour of a state. It does not own its id: the plan assigns one, so one state may appear under several."""

    def meta(self) -> StateMeta:
        """Metadata for planning, replay and policy."""
        ...

    async def handle(self, ctx: Any, io: Any, rec: Any) -> StateOutcome | None:
        """Do the work: read and write context, call the outside through `io`, record events through `rec`."""
        ...


class DependencyEdge(Struct, frozen=True):
    """`before` must complete before `after` can run."""

    before: StateId
    after: StateId


@dataclass(frozen=True)
class StateNode:
    """A state in its place: its id, and the retry policy and time limit that it has of its own.

    `declared` says that its author stated `side_effects` rather than taking the default. `needs` are units that an
    attempt holds; they are no part of the outline, so that a limit can change under a run that is under way.
    """

    id: StateId
    state: State
    retry: RetryPolicy | None = None
    timeout_ms: int | None = None
    declared: bool = True
    diagnostic: bool = False
    needs: Needs | None = None

    @cached_property
    def meta(self) -> StateMeta:
        """The state's metadata, asked for once."""
        return self.state.meta()


@dataclass(frozen=True)
class Planned:
    """What a plan was made from: the canonical bytes of its pipeline, and the configuration its operations saw.

    `again` makes it for another configuration.
    """

    pipeline: bytes
    run_config: RunConfig
    again: Callable[[RunConfig], ExecutionPlan] = field(repr=False)


@dataclass(frozen=True)
class PlanDocument:
    """What a plan that was written as a document keeps with each run.

    `content` are the canonical bytes of the compiled document, which stand in the outline; `source` names the file;
    `defaults` is the canonical JSON of its inputs.
    """

    content: bytes = field(repr=False)
    source: str
    defaults: bytes = field(repr=False)


@dataclass(frozen=True)
class ExecutionPlan:
    """A validated graph of states for one operation; frozen.

    `boundaries` asks for events when the first state of an op path is entered and the last one completes; `planned` is
    there where a pipeline was the source, `document` where a plan document was.

    Building one raises `plan_invalid` with `reason` in its details: `empty_plan`, `duplicate_state_id`,
    `missing_state_for_edge`, `circular_dependency` (with the cycle), `missing_idempotency_key`.
    """

    op_id: OpId
    version: str
    states: tuple[StateNode, ...]
    edges: tuple[DependencyEdge, ...] = ()
    boundaries: bool = False
    planned: Planned | None = None
    document: PlanDocument | None = None
    order: tuple[int, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _check_name(self.op_id)
        _check_states(self.states)
        object.__setattr__(self, "order", run_order([node.id for node in self.states], self.edges))

    def under(self, config: RunConfig) -> ExecutionPlan:
        """The plan for runs with `config`: the operations of a pipeline are expanded for it."""
        return self if self.planned is None or self.planned.run_config == config else self.planned.again(config)

    @cached_property
    def index(self) -> dict[StateId, int]:
        """Place of each state in `states`."""
        return {node.id: place for place, node in enumerate(self.states)}

    @cached_property
    def rank(self) -> tuple[int, ...]:
        """For each state, where it stands in the order."""
        ranks = [0] * len(self.states)
        for rank, place in enumerate(self.order):
            ranks[place] = rank
        return tuple(ranks)

    @cached_property
    def waiting(self) -> tuple[int, ...]:
        """For each state, how many it waits for."""
        counts = [0] * len(self.states)
        for followers in self.successors:
            for follower in followers:
                counts[follower] += 1
        return tuple(counts)

    @cached_property
    def step_names(self) -> frozenset[str]:
        """What the states are called; each returns a value of that name."""
        return frozenset(node.id.split(".")[1] for node in self.states)

    @cached_property
    def is_limited(self) -> bool:
        """Whether any state needs a unit to be entered."""
        return any(node.needs is not None for node in self.states)

    @cached_property
    def successors(self) -> tuple[tuple[int, ...], ...]:
        """For each state, the places of those that wait for it."""
        return _successors(self.index, self.edges)

    @cached_property
    def operations(self) -> dict[OpPath, tuple[StateId, ...]]:
        """The states of each op path, in the order in which they run."""
        found: dict[OpPath, list[StateId]] = {}
        for place in self.order:
            state = self.states[place].id
            found.setdefault(op_path_of(state), []).append(state)
        return {path: tuple(states) for path, states in found.items()}

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the outline; another one means another plan."""
        return digest(self.outline)

    @cached_property
    def outline(self) -> bytes:
        """Canonical JSON of ids, edges, metadata and policies: the plan without its code, kept with each run.

        The pipeline counts where there is one: another configuration of an operation is another plan. A document
        stands in it as a whole: what a step is given is part of the plan, and a run needs no file after its start.
        """
        source: dict[str, Json] = {} if self.planned is None else {"pipeline": digest(self.planned.pipeline)}
        if self.document is not None:
            source["document"] = parse(self.document.content)
        return canonical(
            {
                **source,
                "op_id": self.op_id,
                "version": self.version,
                "states": [
                    [n.id, msgspec.to_builtins(n.meta), msgspec.to_builtins(n.retry), n.timeout_ms] for n in self.states
                ],
                "edges": sorted([e.before, e.after] for e in self.edges),
            }
        )


def op_path_of(state: StateId) -> OpPath:
    """The op path of a state: its id without the last segment."""
    return state.rpartition(".")[0]


class PlanOutline(Struct, frozen=True):
    """What a stored outline says of a plan: its states in plan order, and its edges."""

    edges: tuple[tuple[StateId, StateId], ...]
    op_id: OpId
    states: tuple[tuple[StateId, msgspec.Raw, msgspec.Raw, msgspec.Raw], ...]
    version: str
    pipeline: str | None = None
    document: msgspec.Raw = msgspec.Raw(b"null")

    def order(self) -> list[StateId]:
        """The ids of the states in the order in which they run."""
        ids = [state[0] for state in self.states]
        return [ids[place] for place in run_order(ids, [DependencyEdge(*edge) for edge in self.edges])]

    def named(self, step: str) -> StateId:
        """The id of the state that is named by its id or by its step name. Raises: `step_unknown`."""
        ids = [state[0] for state in self.states]
        found = [each for each in ids if step in (each, step_name(each))]
        if len(found) != 1:
            known = ", ".join(step_name(each) for each in ids[:8])
            raise STEP_UNKNOWN.error(f"the run has no step {shown(step)}; it has {known}", step=shown(step))
        return found[0]

    def plan(self, fingerprint: ArtifactId) -> ExecutionPlan:
        """The plan `fingerprint` without its code: whatever needs no handler can be decided with it."""
        nodes = [
            StateNode(
                state_id,
                _Codeless(msgspec.json.decode(meta, type=StateMeta)),
                msgspec.json.decode(retry, type=RetryPolicy | None),
                msgspec.json.decode(timeout_ms, type=int | None),
            )
            for state_id, meta, retry, timeout_ms in self.states
        ]
        edges = tuple(DependencyEdge(*edge) for edge in self.edges)
        plan = ExecutionPlan(self.op_id, self.version, tuple(nodes), edges, boundaries=self.pipeline is not None)
        # Of a pipeline only the digest is at hand; the outline's artifact proves what it is that of.
        plan.__dict__["fingerprint"] = fingerprint
        return plan


class _Codeless:
    """A state of which only the metadata is at hand."""

    def __init__(self, meta: StateMeta) -> None:
        self._meta = meta

    def meta(self) -> StateMeta:
        """As the outline has it."""
        return self._meta

    async def handle(self, ctx: Any, io: Any, rec: Any) -> StateOutcome | None:  # noqa: ARG002 - a protocol
        """Never called: a clerk enters no state that has a handler to run."""
        raise RuntimeError("a plan without its code was to run a handler")


def read_outline(content: bytes) -> PlanOutline:
    """The outline in stored bytes, which their artifact id proves."""
    return msgspec.json.decode(content, type=PlanOutline)


def _check_name(name: str) -> None:
    """Raises: `id_invalid`, in the words of whoever writes a plan."""
    try:
        op_id(name)
    except InterlockError as fault:
        raise fault.kind.error(f"the name of a plan, as in Plan(NAME): {fault.message}", **fault.details) from None


def _check_states(states: Sequence[StateNode]) -> None:
    if not states:
        raise plan_invalid("empty_plan", "a plan needs at least one state")
    seen: set[str] = set()
    for node in states:
        state_id(node.id)
        if node.id in seen:
            raise plan_invalid("duplicate_state_id", f"state {node.id} appears twice", state_id=node.id)
        seen.add(node.id)
        if node.timeout_ms is not None and node.timeout_ms <= 0:
            raise plan_invalid("timeout_invalid", f"state {node.id} has a time limit that is not positive")
        if node.retry is not None and node.retry.max_attempts < 1:
            raise plan_invalid("retry_invalid", f"state {node.id} is to be tried {node.retry.max_attempts} times")
        if node.meta.idempotency == "":
            raise plan_invalid("missing_idempotency_key", f"state {node.id} has an empty idempotency key")
        if node.meta.side_effects is SideEffectKind.PURE and node.meta.idempotency is not None:
            raise plan_invalid("pure_with_key", f"state {node.id} is pure and has an idempotency key")


def _successors(index: dict[StateId, int], edges: Sequence[DependencyEdge]) -> tuple[tuple[int, ...], ...]:
    after: list[set[int]] = [set() for _ in index]
    for edge in edges:
        after[index[edge.before]].add(index[edge.after])
    return tuple(tuple(sorted(places)) for places in after)


def run_order(states: Sequence[StateId], edges: Sequence[DependencyEdge]) -> tuple[int, ...]:
    """The first linear extension in plan order, or `plan_invalid`."""
    index = {state: place for place, state in enumerate(states)}
    for edge in edges:
        for end in (edge.before, edge.after):
            if end not in index:
                raise plan_invalid("missing_state_for_edge", f"an edge names {end}, which is no state", missing=end)
    after = _successors(index, edges)
    waiting = [0] * len(states)
    for places in after:
        for place in places:
            waiting[place] += 1
    ready = [place for place, count in enumerate(waiting) if count == 0]
    order: list[int] = []
    while ready:
        place = heapq.heappop(ready)
        order.append(place)
        for follower in after[place]:
            waiting[follower] -= 1
            if waiting[follower] == 0:
                heapq.heappush(ready, follower)
    if len(order) < len(states):
        cycle = [states[place] for place in _cycle(after, waiting)]
        raise plan_invalid("circular_dependency", f"states wait for each other: {' -> '.join(cycle)}", cycle=cycle)
    return tuple(order)


def _cycle(after: Sequence[Sequence[int]], waiting: Sequence[int]) -> list[int]:
    """The states of one cycle, each waiting for the one before it, beginning with its earliest in the plan.

    Every state that still waits has a predecessor that still waits, so walking backwards must come round.
    """
    left = {place for place, count in enumerate(waiting) if count}
    before: dict[int, int] = {}
    for place in sorted(left, reverse=True):
        for follower in after[place]:
            if follower in left:
                before[follower] = place
    place, seen = min(left), dict[int, int]()
    path: list[int] = []
    while place not in seen:
        seen[place] = len(path)
        path.append(place)
        place = before[place]
    cycle = path[seen[place] :][::-1]
    first = cycle.index(min(cycle))
    return cycle[first:] + cycle[:first]
