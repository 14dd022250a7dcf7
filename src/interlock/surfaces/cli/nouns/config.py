"""How the verbs about settings answer people."""

from __future__ import annotations

from interlock.surfaces.cli.presentation import Presentation

PRESENTATION = Presentation(
    columns={"explain.settings": ("setting", "value", "source")},
    cut={"explain.settings": ("value", "source")},
)
