"""How the verbs about tokens answer people."""

from __future__ import annotations

from interlock.surfaces.cli.presentation import Presentation

PRESENTATION = Presentation(
    columns={"list.items": ("id", "name", "state", "roles", "groups", "created_by", "expires_ms", "reason")},
    cut={"list.items": ("roles", "groups", "reason")},
    empty={"list": "no tokens"},
)
