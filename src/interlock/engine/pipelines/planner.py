"""What planners make of tags: edges, recovery points, and remarks.

What it does: derives edges from `depends_on`, reports tags that nothing carries, names the state to go back to, and
remarks on tags that will not do what their author thinks. What it does not do: the engine never calls it; execution
follows the edges of the plan alone.

Rules: a tag means states that come earlier, so derived edges never close a cycle; "earlier" is the order in which the
plan would run with the edges it has. `latest` means the last of them that carries the tag, `earliest` the first, and
`latest_successful` waits for all of them, since only then it is known which is the last that succeeded.
"""

from __future__ import annotations

from collections.abc import Container, Sequence

from msgspec import Struct

from interlock.base.ids import StateId, shown
from interlock.engine.errors import PLAN_INVALID
from interlock.engine.meta import APPLY_SIDE_EFFECT, DependencyStrategy, SideEffectKind, StateMeta, tag_remark
from interlock.engine.plan import DependencyEdge, ExecutionPlan, StateNode, run_order


class DanglingDependencyTag(Struct, frozen=True):
    """A state depends on a tag that no state before it carries."""

    state_id: StateId
    missing_tag: str


class TagRemark(Struct, frozen=True):
    """Something about the tags of a state that its author should look at; nothing is refused for it."""

    state_id: StateId
    tag: str
    text: str


def derive_edges(states: Sequence[StateNode], edges: Sequence[DependencyEdge] = ()) -> tuple[DependencyEdge, ...]:
    """`edges` and those that the tags of `states` mean, without repetition.

    Raises: `plan_invalid` with reason `dangling_dependency_tag`, and for edges that are no plan's.
    """
    derived, dangling = _resolved(states, edges)
    if dangling:
        first = dangling[0]
        raise PLAN_INVALID.error(
            f"state {first.state_id} depends on the tag {shown(first.missing_tag)}, which no state before it carries",
            reason="dangling_dependency_tag",
            state_id=first.state_id,
            missing_tag=shown(first.missing_tag),
        )
    return tuple(dict.fromkeys([*edges, *derived]))


def dangling_tags(
    states: Sequence[StateNode], edges: Sequence[DependencyEdge] = ()
) -> tuple[DanglingDependencyTag, ...]:
    """Every tag that a state depends on and no state before it carries, in running order. Raises: `plan_invalid`."""
    return tuple(_resolved(states, edges)[1])


def recovery_point(
    plan: ExecutionPlan,
    completed: Container[StateId],
    state_id: StateId,
    strategy: DependencyStrategy | None = None,
) -> StateId | None:
    """The completed state that `state_id` would be recovered from; None where there is none.

    Candidates run before it and carry one of the tags that it depends on. `latest` and `earliest` name one of them
    whatever came of it, and are None if it has not completed; `latest_successful` is the last that has. By default the
    strategy is the state's own. Raises: `KeyError` if the plan has no such state.
    """
    node = plan.states[plan.index[state_id]]
    strategy = strategy or node.meta.depends_on_strategy
    before = plan.order[: plan.order.index(plan.index[state_id])]
    earlier = [plan.states[place] for place in before]
    candidates = [each.id for each in earlier if not set(each.meta.tags).isdisjoint(node.meta.depends_on)]
    if strategy is DependencyStrategy.LATEST_SUCCESSFUL:
        candidates = [each for each in candidates if each in completed]
    if not candidates:
        return None
    chosen = candidates[0] if strategy is DependencyStrategy.EARLIEST else candidates[-1]
    return chosen if chosen in completed else None


def tag_remarks(states: Sequence[StateNode]) -> tuple[TagRemark, ...]:
    """What the author of these states should look at; empty where there is nothing."""
    return tuple(TagRemark(node.id, tag, text) for node in states for tag, text in _remarks(node.meta))


def _remarks(meta: StateMeta) -> list[tuple[str, str]]:
    written = dict.fromkeys([*meta.tags, *meta.depends_on])
    found = [(tag, text) for tag in written if (text := tag_remark(tag)) is not None]
    applies, tagged = meta.side_effects is SideEffectKind.APPLY_SIDE_EFFECT, APPLY_SIDE_EFFECT in meta.tags
    if applies and not tagged:
        found.append((APPLY_SIDE_EFFECT, "the state applies an effect without this tag: a dry run would not skip it"))
    if tagged and not applies:
        found.append((APPLY_SIDE_EFFECT, "a dry run skips this state, although it declares no effect"))
    return found


def _resolved(
    states: Sequence[StateNode], edges: Sequence[DependencyEdge]
) -> tuple[list[DependencyEdge], list[DanglingDependencyTag]]:
    """What the tags of each state mean among the states before it: edges, and tags that mean nothing."""
    carriers: dict[str, list[StateId]] = {}
    derived: list[DependencyEdge] = []
    dangling: list[DanglingDependencyTag] = []
    for place in run_order([node.id for node in states], edges):
        node = states[place]
        for tag in dict.fromkeys(node.meta.depends_on):
            meant = _meant(carriers.get(tag, []), node.meta.depends_on_strategy)
            derived += [DependencyEdge(before, node.id) for before in meant]
            if not meant:
                dangling.append(DanglingDependencyTag(node.id, tag))
        for tag in dict.fromkeys(node.meta.tags):
            carriers.setdefault(tag, []).append(node.id)
    return derived, dangling


def _meant(carrying: list[StateId], strategy: DependencyStrategy) -> list[StateId]:
    """Those of the states that carry a tag which a strategy waits for."""
    if strategy is DependencyStrategy.LATEST_SUCCESSFUL:
        return carrying
    return carrying[:1] if strategy is DependencyStrategy.EARLIEST else carrying[-1:]
