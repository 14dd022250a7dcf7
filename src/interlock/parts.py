"""The parts of the product, in the order in which they are added, and those of installed plug-ins.

What it does: lists the parts, finds plug-ins by their entry points, and refuses two parts that name the same thing.
What it does not do: it starts nothing; `app` wires the parts to a store.

Rule: everything that the product can do is in a part; nothing is registered anywhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.metadata import entry_points

from interlock.access.part import PART as ACCESS
from interlock.base.part import Part, SettingsSection
from interlock.client.part import PART as CLIENT
from interlock.engine.part import PART as ENGINE
from interlock.gates.part import PART as GATES
from interlock.journal.part import PART as JOURNAL
from interlock.machine import PART as MACHINE
from interlock.packs.part import PART as PACKS
from interlock.settings import PART as SETTINGS
from interlock.stores.part import PART as STORES
from interlock.surfaces.part import PART as SURFACES

PARTS: tuple[Part, ...] = (SETTINGS, JOURNAL, STORES, ENGINE, ACCESS, GATES, PACKS, SURFACES, CLIENT, MACHINE)
"""The product's own parts."""

PLUGINS = "interlock.parts"
"""Entry point group of parts that other packages add."""


@cache
def installed_parts() -> tuple[Part, ...]:
    """The product's parts and those of installed plug-ins. Side effect: imports the plug-ins."""
    plugins = sorted(entry_points(group=PLUGINS), key=lambda entry: entry.name)
    return (*PARTS, *(entry.load() for entry in plugins))


def sections_of(parts: Sequence[Part]) -> list[SettingsSection]:
    """The settings sections of all parts."""
    return [section for part in parts for section in part.settings]


def check_unique(parts: Sequence[Part]) -> None:
    """Refuse two parts that name the same thing: a fault of the program (`ValueError`)."""
    names = Counter(
        name
        for part in parts
        for name in (
            f"part {part.name}",
            *(f"error {code.code}" for code in part.errors),
            *(f"view {view.name}" for view in part.views),
            *(f"decider {decider.name}" for decider in part.deciders),
            *(f"timers of {target.kind}" for target in part.timers),
            *(f"step handler {handler.name}" for handler in part.steps),
            *(f"sink {sink.name}" for sink in part.sinks),
        )
    )
    twice = sorted(name for name, count in names.items() if count > 1)
    if twice:
        raise ValueError(f"declared twice: {', '.join(twice)}")
