"""Whether the runs of a pack fit each other: parents, children and inboxes.

What it does: compares what a parent says of a child with what the child says of itself. What it does not do: it walks
no stream, and judges no run that rests on damage.

Rules: a child names the parent that started it, under the manifest that the parent recorded; an end that the parent
recorded is the child's own; a run takes no more from its inbox than stands in it. A parent outside of the pack, and a
child that was left out, cannot be compared.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from interlock.base.events import Place
from interlock.engine.events import RUN, ChildRunCompleted, RunStatus
from interlock.engine.run_state import Parent
from interlock.journal.streams import stream_id
from interlock.journal.verify.report import Examination
from interlock.packs.errors import PACK_LINK_WRONG


class Spawned(Struct):
    """What a parent says of a child; `end` once it has taken notice of it."""

    manifest_id: str
    parent_run_id: str
    place: Place
    end: ChildRunCompleted | None = None


class Kin(Struct):
    """What a run says of itself and of its kin."""

    manifest_id: str = ""
    status: RunStatus | None = None
    final_snapshot_id: str | None = None
    parent: Parent | None = None
    inbox_taken: int = 0
    inbox_end: int = 0
    children: dict[str, Spawned] = {}


def check_links(examination: Examination, tenant: str, kin: Mapping[str, Kin], unjudged: Collection[str]) -> None:
    """Name everything that does not fit."""
    for run_id, run in kin.items():
        if run_id in unjudged:
            continue
        if run.inbox_taken > run.inbox_end:
            taken = f"the run took {run.inbox_taken} events from its inbox, which has {run.inbox_end}"
            examination.found(PACK_LINK_WRONG.code, stream_id(tenant, RUN, run_id, inbox=True), taken)
        for child_id, spawned in run.children.items():
            child = kin.get(child_id)
            what = None if child is None or child_id in unjudged else _wrong(run_id, spawned, child)
            if what is not None:
                examination.found(PACK_LINK_WRONG.code, f"{spawned.place.stream}#{spawned.place.seq}", what)


def _wrong(run_id: str, spawned: Spawned, child: Kin) -> str | None:
    """What is wrong between a parent and its child, if anything is."""
    if child.manifest_id != spawned.manifest_id:
        return "the child started with another manifest than its parent recorded"
    if spawned.parent_run_id != run_id or child.parent is None or child.parent.run_id != run_id:
        return "the child does not name this run as its parent"
    end = spawned.end
    if end is not None and (end.status, end.final_snapshot_id) != (child.status, child.final_snapshot_id):
        return "the child ended otherwise than its parent recorded"
    return None
