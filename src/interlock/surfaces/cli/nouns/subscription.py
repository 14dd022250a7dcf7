"""How the verbs about subscriptions answer people."""

from __future__ import annotations

from interlock.surfaces.cli.presentation import Presentation

PRESENTATION = Presentation(
    columns={
        "list.items": ("name", "state", "sink", "kinds", "types", "dead"),
        "show.streams": ("stream", "after", "goal", "attempts", "due_ms", "code"),
        "show.letters": ("key", "attempts", "redriven", "code", "message"),
    },
    cut={"list.items": ("types", "kinds"), "show.letters": ("message",)},
    empty={"list": "no subscriptions"},
)
