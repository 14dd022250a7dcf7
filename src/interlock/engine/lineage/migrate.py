"""Whether a run may go on with another plan, and what that changes.

What it does: holds a plan against a run and says how it differs from the run's own and what speaks against it. What it
does not do: it tells the run nothing (`control.service`) and records nothing (`control.inbox`).

Rules: every state that was entered stays, with its predecessors completed and in the order in which it was done; with
states that run at once, one that completed keeps its ancestors, because its context was made of theirs. A version names
one plan: processes find a run's plan by operation and version, so another plan needs another version.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.ids import shown, step_name
from interlock.engine.authoring import Plan
from interlock.engine.branches import Ancestry
from interlock.engine.decide import check_order, completed_states
from interlock.engine.events import RunStatus
from interlock.engine.lineage.outlines import PlanDifference, plan_difference
from interlock.engine.plan import ExecutionPlan, read_outline
from interlock.engine.reports.reader import RunReader
from interlock.engine.run_state import RunState


class Migration(Struct, frozen=True):
    """A run beside another plan. `fingerprint` names that plan; `objections` say why the run cannot go on with it.

    `is_applied` says that the run has the plan; `is_pending` that its owner is still to take it.
    """

    run_id: str
    fingerprint: str
    is_possible: bool
    objections: list[str]
    done: list[str]
    """Steps whose completed work is kept."""
    difference: PlanDifference
    is_applied: bool = False
    is_pending: bool = False


class Compared(Struct, frozen=True):
    """A migration, with the plan, and where the run stood when the two were held against each other."""

    migration: Migration
    plan: ExecutionPlan
    stream: str
    status: RunStatus | None
    entered: int
    completed: int
    is_open: bool


async def compared(read: RunReader, run_id: str, plan: Plan | ExecutionPlan, tenant: str) -> Compared:
    """A run beside another plan. Raises: `run_not_found`, `plan_invalid`."""
    built = plan.build() if isinstance(plan, Plan) else plan
    built = built.under((await read.manifest(await read.state(run_id, tenant=tenant))).run_config)
    outline = await read.outline(run_id, tenant=tenant)
    state = await read.state(run_id, tenant=tenant)
    difference = plan_difference(outline, state.fingerprint, read_outline(built.outline), built.fingerprint)
    found = [] if difference.is_same else list(objections(state, outline.plan(state.fingerprint), built))
    done = [step_name(state_id) for state_id in completed_states(state)]
    is_possible = not found and state.status is None
    migration = Migration(
        run_id, built.fingerprint, is_possible, found, sorted(done), difference, is_applied=difference.is_same
    )
    # Copied at once: the reader's state goes on with the run.
    return Compared(migration, built, state.stream, state.status, len(state.steps), state.completed, bool(state.open))


def objections(state: RunState, before: ExecutionPlan, plan: ExecutionPlan) -> Iterator[str]:
    """What speaks against a run going on with `plan`, which is not its own, one sentence each."""
    if state.status is not None:
        yield f"the run has ended: {state.status.value}"
        return
    if state.is_inheriting:
        yield "the run is a fork that has not recorded all that it inherits: resume it first"
        return
    if plan.op_id != state.op_id:
        yield f"the plan is of the operation {plan.op_id}, the run of {state.op_id}"
    elif plan.version == state.plan_version:
        yield f"the run has another plan of version {shown(plan.version)}: give the changed plan another version"
    lost = [state_id for state_id in state.steps if state_id not in plan.index]
    for state_id in lost:
        yield f"{step_name(state_id)} is {state.steps[state_id].status.value}, and the plan lacks it"
    completed = completed_states(state)
    for edge in plan.edges:
        if edge.after in state.steps and edge.before not in completed:
            yield f"{step_name(edge.after)} was entered before {step_name(edge.before)}, which the plan forbids"
    if lost:
        return
    if state.max_concurrency > 1:
        yield from _other_ancestors(completed, before, plan)
        return
    try:
        check_order(list(state.steps), plan)
    except InterlockError as fault:
        yield fault.message


def _other_ancestors(completed: set[str], before: ExecutionPlan, plan: ExecutionPlan) -> Iterator[str]:
    old, new = Ancestry(before), Ancestry(plan)
    for state_id in sorted(completed):
        mine = _names(before, old.mask(before.index[state_id]))
        if mine != _names(plan, new.mask(plan.index[state_id])):
            yield f"{step_name(state_id)} completed after other steps than the plan puts before it"


def _names(plan: ExecutionPlan, mask: int) -> set[str]:
    return {node.id for place, node in enumerate(plan.states) if mask >> place & 1}
