"""What states that run at once start from and leave, computed anew from what each of them wrote (B2, B3, I6, I16).

What it does: merges the writes of a state's plan ancestors over the initial context, in plain dictionaries, and
compares that with the snapshot that the state was entered on; joins all writes in their order of completion and
compares that with each checkpoint. What it does not do: it shares no code with the engine's branches and maps, and it
has nothing to say about a sequential log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from interlock.base.canonical import digest, parse
from interlock.engine import events as e
from interlock.engine.plan import ExecutionPlan
from interlock.journal.chain import Recorded
from interlock.journal.ports import Artifacts
from interlock.testing.checker.broken import InvariantBroken

Members = dict[str, Any]


async def check_branches(events: Sequence[Recorded], plan: ExecutionPlan, artifacts: Artifacts) -> None:
    """Check every base and join of a run whose states run at once. Raises: `InvariantBroken`."""
    records = [event.record for event in events]
    if not any(isinstance(each, e.RunLimits) and each.max_concurrency > 1 for each in records):
        return
    contents, written = _Contents(artifacts), dict[str, Members]()
    initial: Members = {}
    joined: Members = {}
    before = _ancestors(plan)
    for seq, record in enumerate(records, 1):
        match record:
            case e.RunStarted():
                initial = joined = await contents.of(record.initial_snapshot_id)
            case e.StateEntered(0, base, state_id):
                await contents.expect("B2", seq, base, _merged(initial, before[state_id], written))
            case e.BranchCompleted(state_id, view, writes):
                written[state_id] = await contents.writes(writes)
                _refuse_conflict(seq, state_id, written, before)
                await contents.expect("B2", seq, view, _merged(initial, [*before[state_id], state_id], written))
            case e.StateCompleted(snapshot, state_id):
                joined = _merged(joined, [state_id], written)
                await contents.expect("B3", seq, snapshot, joined)
            case e.RunCompleted(str(final)):
                await contents.expect("I16", seq, final, joined)
            case _:
                pass


def _ancestors(plan: ExecutionPlan) -> dict[str, list[str]]:
    """The ancestors of each state, each behind its own ancestors."""
    parents: dict[str, set[str]] = {node.id: set() for node in plan.states}
    for edge in plan.edges:
        parents[edge.after].add(edge.before)
    found: dict[str, list[str]] = {}

    def collect(state_id: str) -> list[str]:
        if state_id not in found:
            ordered = dict.fromkeys(each for parent in sorted(parents[state_id]) for each in [*collect(parent), parent])
            found[state_id] = list(ordered)
        return found[state_id]

    for state_id in parents:
        collect(state_id)
    return found


def _merged(base: Mapping[str, Any], states: Iterable[str], written: Mapping[str, Members]) -> Members:
    merged = dict(base)
    for state_id in states:
        for key, value in written[state_id].items():
            merged.pop(key, None)
            if value != ["d"]:
                merged[key] = value
    return merged


def _refuse_conflict(
    seq: int, state_id: str, written: Mapping[str, Members], before: Mapping[str, Sequence[str]]
) -> None:
    for other, writes in written.items():
        if other == state_id or other in before[state_id] or state_id in before[other]:
            continue
        differing = [key for key in writes if key in written[state_id] and writes[key] != written[state_id][key]]
        if differing:
            raise InvariantBroken("B3", seq, f"{other} and {state_id} both complete and write {differing[0]}")


class _Contents:
    """Snapshots as plain dictionaries, each read once: a large value stands as the name of its artifact."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._known: dict[str, Members] = {}

    async def of(self, root: str) -> Members:
        if root not in self._known:
            [content] = await self._artifacts.get([root])
            members: Members = {}
            node: Any = parse(content)
            for key, member in node.items():
                members |= await self.of(member[1]) if member[0] == "n" else {key: member}
            self._known[root] = members
        return self._known[root]

    async def writes(self, artifact: str) -> Members:
        [content] = await self._artifacts.get([artifact])
        if digest(content) != artifact:
            raise InvariantBroken("I8", 0, f"the artifact {artifact} holds other bytes")
        members: Members = parse(content)  # type: ignore[assignment]  # writes are an object
        return members

    async def expect(self, rule: str, seq: int, snapshot: str, wanted: Members) -> None:
        found = await self.of(snapshot)
        if found != wanted:
            differing = sorted(key for key in found.keys() | wanted.keys() if found.get(key) != wanted.get(key))
            raise InvariantBroken(rule, seq, f"the context differs from what its writers say at {differing[:3]}")
