"""How batches look to people.

It computes nothing about a batch: every word here comes from the records that the verbs answer with.
"""

from __future__ import annotations

from msgspec import Struct

from interlock.engine.search.batch_commands import BatchReport
from interlock.engine.search.batches import Outcome
from interlock.engine.search.where import options_of
from interlock.surfaces.cli.presentation import Presentation


class BatchPage(Struct, frozen=True, kw_only=True):
    """`BatchReport` for people."""

    batch_id: str
    action: str
    state: str
    count: int
    told: int | None
    refused: int | None
    filter: str | None
    reason: str
    ordered_by: str
    started_ms: int
    ended_ms: int | None
    outcomes: list[Outcome]


def _page(output: Struct) -> Struct:
    if not isinstance(output, BatchReport):
        return output
    row = output.batch
    return BatchPage(
        batch_id=row.batch_id,
        action=row.action,
        state=row.state,
        count=row.count,
        told=row.told,
        refused=row.refused,
        filter=options_of(output.where) or None,
        reason=row.reason,
        ordered_by=row.ordered_by,
        started_ms=row.started_ms,
        ended_ms=row.ended_ms,
        outcomes=output.outcomes,
    )


PRESENTATION = Presentation(
    columns={"list.items": ("batch_id", "action", "state", "count", "told", "refused", "ordered_by", "started_ms")},
    cut={"list.items": ("ordered_by",)},
    people={"show": _page, "resume": _page},
    empty={"list": "no batches"},
)
