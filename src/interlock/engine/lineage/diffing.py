"""Reads two runs and has them compared.

What it does: reads states, manifests, outlines and events of two runs, and what differs in their contexts. What it
does not do: the comparison is `diff`'s; nothing is written, and nobody's claim is touched.

Rule: contexts are compared by their trees, so it costs what differs; large values are named, not fetched.
"""

from __future__ import annotations

from collections import Counter

from msgspec import Struct

from interlock.base.ids import step_name
from interlock.base.merkle_map import ArtifactRef, Value
from interlock.engine import events as e
from interlock.engine.attachments import is_attachment
from interlock.engine.lineage.diff import INHERITED, Change, RunDifference, RunView, run_difference, shown_value
from interlock.engine.lineage.inheriting import source_records
from interlock.engine.reports.reader import RunReader
from interlock.engine.run_state import WAIT_PREFIX, RunState
from interlock.journal.journal import Journal


async def compare_runs(journal: Journal, read: RunReader, a: str, b: str, tenant: str) -> RunDifference:
    """How run `b` differs from run `a`. Raises: `run_not_found`."""
    left, right = await _view(journal, read, a, tenant), await _view(journal, read, b, tenant)
    before, after = (read.context_at(view.state.checkpoint) for view in (left, right))
    changes = await before.changes(after)
    context = [Change(key, _shown(key, one), _shown(key, other)) for key, (one, other) in sorted(changes.items())]
    return run_difference(left, right, context)


def _shown(key: str, value: Value | None) -> str | None:
    if isinstance(value, ArtifactRef):
        return f"artifact {value.id}"
    return shown_value(key, value)


async def _view(journal: Journal, read: RunReader, run_id: str, tenant: str) -> RunView:
    state = await read.state(run_id, tenant=tenant)
    records = await source_records(journal, state.stream)
    return RunView(
        run_id,
        state,
        await read.manifest(state),
        await read.outline(run_id, tenant=tenant),
        _domain_events(records),
        _answers(state, records),
        _inherited(records),
    )


def _domain_events(records: list[Struct | None]) -> dict[tuple[str | None, str], int]:
    """How often each domain event was recorded, by state and name; what was attached from outside is no difference."""
    found: Counter[tuple[str | None, str]] = Counter()
    for record in records:
        if isinstance(record, e.DomainEmitted):
            found[record.state_id, record.name] += 1
        elif isinstance(record, e.ArtifactWritten) and not is_attachment(record):
            found[record.state_id, "artifact_written"] += 1
    return dict(found)


def _inherited(records: list[Struct | None]) -> frozenset[str]:
    """The states that a fork inherits: it records them before it enters any of its own."""
    fork = next((record for record in records if isinstance(record, e.RunForked)), None)
    completed = [record.state_id for record in records if isinstance(record, e.StateCompleted)]
    return frozenset() if fork is None else frozenset(completed[: fork.inherits])


def _answers(state: RunState, records: list[Struct | None]) -> dict[str, str]:
    """Who or what answered each wait, by step and name."""
    found: dict[str, str] = {}
    for record in records:
        match record:
            case e.SignalReceived(actor, None, name, _, state_id):
                found.setdefault(f"{step_name(state_id)} {name}", actor)
            case e.WaitExpired(name, state_id):
                found.setdefault(f"{step_name(state_id)} {name}", "its deadline")
            case _:
                pass
    for key in state.facts:
        if key.startswith(WAIT_PREFIX):
            _, state_id, name = key.split(":", 2)
            is_child = name.startswith("child:")
            other = INHERITED if state.fork is not None and not is_child else "its child run"
            found.setdefault(f"{step_name(state_id)} {name}", other)
    return found
