"""How the verbs about principals answer people."""

from __future__ import annotations

from interlock.surfaces.cli.presentation import Presentation

PRESENTATION = Presentation(
    columns={"list.items": ("name", "tenant", "roles", "groups")},
    cut={"list.items": ("roles", "groups")},
    empty={"list": "no principals are declared"},
    others={"show": "it shows who asks: `--as NAME` asks as a principal that the settings declare"},
)
