"""Which events a filter takes, and which filters are refused."""

from __future__ import annotations

import pytest

from interlock.journal.subscriptions.events import Filter
from interlock.journal.subscriptions.filters import PATTERNS_MAX, fault_of, takes


@pytest.mark.parametrize(
    ("kinds", "types", "kind", "event_type", "taken"),
    [
        ((), (), "run", "engine.run_started", True),
        (("run",), (), "run", "engine.run_started", True),
        (("run", "lease"), (), "lease", "journal.lease_granted", True),
        (("run",), (), "lease", "journal.lease_granted", False),
        ((), ("engine.run_started",), "run", "engine.run_started", True),
        ((), ("engine.run_started",), "run", "engine.run_started_late", False),
        ((), ("engine.run_*",), "run", "engine.run_started", True),
        ((), ("engine.run_*",), "run", "engine.runs", False),
        ((), ("engine.*", "journal.lease_granted"), "lease", "journal.lease_granted", True),
        ((), ("*",), "lease", "journal.lease_granted", True),
        (("lease",), ("engine.*",), "run", "engine.run_started", False),
        (("lease",), ("engine.*",), "lease", "journal.lease_granted", False),
        ((), (), "subscription", "journal.delivery_dead", False),
        ((), ("*",), "subscription", "journal.delivery_dead", False),
    ],
)
def test_a_filter_takes_what_its_kinds_and_its_types_both_name(
    kinds: tuple[str, ...], types: tuple[str, ...], kind: str, event_type: str, taken: bool
) -> None:
    assert takes(Filter(kinds=kinds, types=types), kind, event_type) is taken


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (Filter(kinds=("Run",)), "kinds"),
        (Filter(kinds=("",)), "kinds"),
        (Filter(kinds=("run*",)), "kinds"),
        (Filter(kinds=("subscription",)), "kinds"),
        (Filter(types=("engine",)), "types"),
        (Filter(types=("",)), "types"),
        (Filter(types=("*engine",)), "types"),
        (Filter(types=("engine.run_started\n",)), "types"),
        (Filter(types=("e" * 200 + "*",)), "types"),
        (Filter(types=("engine.run*ed",)), "types"),
        (Filter(kinds=("run",) * (PATTERNS_MAX + 1)), "filter"),
        (Filter(types=("*",) * (PATTERNS_MAX + 1)), "filter"),
        (Filter(audience=("a",) * (PATTERNS_MAX + 1)), "filter"),
        (Filter(audience=("",)), "audience"),
    ],
)
def test_a_filter_that_means_nothing_is_refused_at_its_place(given: Filter, place: str) -> None:
    fault = fault_of(given)

    assert fault is not None
    assert (fault.code, fault.details["place"]) == ("subscription_invalid", place)


@pytest.mark.parametrize(
    "given",
    [
        Filter(),
        Filter(kinds=("run", "scenario"), types=("gates.decision_made", "engine.*", "*")),
        Filter(types=("e*",)),
    ],
)
def test_a_sound_filter_has_no_fault(given: Filter) -> None:
    assert fault_of(given) is None
