"""How the verbs about leases answer people."""

from __future__ import annotations

from interlock.surfaces.cli.presentation import Presentation

PRESENTATION = Presentation(
    columns={
        "list.items": ("name", "state", "capacity", "units_held", "holders", "queued"),
        "show.holders": ("token", "holder", "units", "expires_ms"),
        "show.queue": ("place", "holder", "units", "priority", "group"),
    },
    cut={
        "list.items": ("name",),
        "show.holders": ("holder",),
        "show.queue": ("holder", "group"),
    },
    empty={"list": "no leases"},
)
