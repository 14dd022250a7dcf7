"""How the verbs about packs answer people."""

from __future__ import annotations

from interlock.surfaces.cli.presentation import Presentation

PRESENTATION = Presentation(
    columns={
        "verify.errors": ("code", "member", "seq", "what"),
        "show.runs": ("run_id", "op_id", "status", "sealed_facts", "parent_run_id"),
        "show.streams": ("member", "events", "erased", "stream"),
    },
    cut={"show.runs": ("op_id",), "show.streams": ("stream",)},
)
