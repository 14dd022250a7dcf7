"""What a reader of the live feed asks for in the query of its address."""

from __future__ import annotations

import pytest

from interlock.base.errors import Invalid
from interlock.journal.subscriptions.filters import PATTERNS_MAX
from interlock.surfaces.sse.filters import Wanted, wanted_of

TYPES = {"engine.run_started", "x.y"}
RUN = "default/run/7c3b0f5e-9c4d-4e2a-8f6b-7d1c2e3f4a5b"


def test_parameters_are_given_as_often_as_wanted() -> None:
    query = [("type", "engine.*"), ("kind", "run"), ("type", "x.y"), ("stream", RUN), ("after", "c1.x")]
    wanted = wanted_of(query, "default", TYPES)

    assert (wanted.filter.types, wanted.filter.kinds) == (("engine.*", "x.y"), ("run",))
    assert (wanted.streams, wanted.after) == (frozenset({RUN}), "c1.x")
    assert wanted_of([], "default", TYPES) == Wanted()


@pytest.mark.parametrize(
    ("query", "stream", "event_type", "taken"),
    [
        ([], RUN, "engine.run_started", True),
        ([], "default/subscription/audit", "journal.delivery_dead", False),
        ([("stream", RUN)], RUN, "engine.run_started", True),
        ([("stream", RUN)], f"{RUN}/inbox", "engine.signal_sent", False),
        ([("stream", RUN), ("type", "gates.*")], RUN, "engine.run_started", False),
        ([("kind", "lease")], RUN, "engine.run_started", False),
    ],
)
def test_an_event_is_taken_that_every_kind_of_parameter_names(
    query: list[tuple[str, str]], stream: str, event_type: str, taken: bool
) -> None:
    assert wanted_of(query, "default", TYPES).takes(stream, event_type) is taken


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ([("kinds", "run")], "query"),
        ([("after", "a"), ("after", "a")], "query"),
        ([("stream", RUN)] * (PATTERNS_MAX + 1), "query"),
        ([("kind", "Run")], "kinds"),
        ([("type", "")], "types"),
        ([("type", "engine.run_startet")], "types"),
        ([("type", "engine.*"), ("type", "x.z")], "types"),
        ([("stream", "run")], "stream"),
        ([("stream", RUN.replace("default", "other"))], "stream"),
    ],
)
def test_what_means_nothing_is_refused_at_its_place(query: list[tuple[str, str]], place: str) -> None:
    with pytest.raises(Invalid) as caught:
        wanted_of(query, "default", TYPES)

    assert (caught.value.code, caught.value.details["place"]) == ("event_filter_invalid", place)


def test_a_type_that_there_is_not_is_told_with_the_nearest_that_there_is() -> None:
    with pytest.raises(Invalid, match=r"run_startet.*run_started"):
        wanted_of([("type", "engine.run_startet")], "default", TYPES)
    assert wanted_of([("type", "none.yet*"), ("kind", "other")], "default", TYPES).filter.types == ("none.yet*",)
