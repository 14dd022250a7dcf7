"""Which plans a caller may name: those that the installation offers by name, and for its own user any.

What it does: gives the source behind a name, and says which file is not there. What it does not do: it loads nothing.

Rule: a source is code, or a file, of this machine; only its user may name one (docs/threats.md, T3).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.base.part import CallContext
from interlock.base.principal import PrincipalKind
from interlock.engine.errors import PLAN_NOT_OFFERED

NAMES_TOLD_MAX = 10


class PlanSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The plans that callers of a server may start."""

    offered: Annotated[
        dict[str, str],
        Meta(max_length=1_000, description="Plans by name, each as its source: MODULE:PLAN, file.py:PLAN, plan.yaml."),
    ] = {}


def source_of(ctx: CallContext, named: str) -> str:
    """The source of the plan that a caller names. Raises: `plan_not_offered`."""
    offered = ctx.services.get(PlanSettings).offered
    source = offered.get(named)
    if source is not None:
        return source
    if ctx.principal.kind is PrincipalKind.LOCAL:
        near = "" if _is_source(named) else suggestion(named, offered)
        if not near:
            return named
        raise PLAN_NOT_OFFERED.error(f"{shown(named)} names no plan{near}")
    names = ", ".join(shown(each) for each in sorted(offered)[:NAMES_TOLD_MAX])
    raise PLAN_NOT_OFFERED.error(f"no plan {shown(named)} is offered{f'; there are {names}' if names else ''}")


def missing_file(settings: PlanSettings) -> tuple[str, str] | None:
    """The first offered plan whose file is not there, with the file; what a module holds is known once it is loaded."""
    from interlock.engine.document.reading import SUFFIXES

    for name, source in settings.offered.items():
        place = source if source.endswith(SUFFIXES) else source.rpartition(":")[0]
        if place.endswith((*SUFFIXES, ".py")) and not Path(place).is_file():
            return name, place
    return None


def _is_source(named: str) -> bool:
    """Whether a text may say where a plan is: a module or a file has a colon or a dot in it."""
    return ":" in named or "." in named
