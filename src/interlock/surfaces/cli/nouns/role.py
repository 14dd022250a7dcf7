"""How the verbs about roles answer people."""

from __future__ import annotations

from interlock.surfaces.cli.presentation import Presentation

PRESENTATION = Presentation(
    columns={
        "list.items": ("name", "built_in", "permissions", "tenants", "namespaces"),
        "show.permissions": ("permission", "effects", "commands"),
    },
    cut={"show.permissions": ("commands",)},
)
