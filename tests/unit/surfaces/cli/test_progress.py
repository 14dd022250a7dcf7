"""The picture of live progress: which steps are drawn, and what stops the drawing but never the call."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from rich.console import Console

from interlock.surfaces.cli.presentation import Step
from interlock.surfaces.cli.progress import _drawn


def picture(steps: Sequence[Step]) -> list[str]:
    console = Console(width=60, no_color=True)
    with console.capture() as captured:
        console.print(_drawn(steps))
    return [line.rstrip() for line in captured.get().splitlines()]


def run_of(done: int, total: int) -> list[Step]:
    return [Step(f"step{place}", "done" if place < done else "pending") for place in range(total)]


def test_every_kind_of_step_has_its_mark() -> None:
    steps = [
        Step("a", "done", "9 ms"),
        Step("b", "failed", "oops"),
        Step("c", "waiting"),
        Step("d", "pending"),
    ]

    assert picture(steps) == ["✓ a 9 ms", "✗ b oops", "… c", "· d"]


def test_a_long_run_is_shown_around_the_step_that_is_next() -> None:
    shown = picture(run_of(done=50, total=100))

    assert shown[0] == "  38 before"
    assert "✓ step49" in shown
    assert "· step50" in shown
    assert shown[-1] == "  42 after"
    assert len(shown) == 22


@pytest.mark.parametrize(("done", "first", "last"), [(0, "· step0", "  80 after"), (100, "  80 before", "✓ step99")])
def test_the_picture_ends_where_the_run_does(done: int, first: str, last: str) -> None:
    shown = picture(run_of(done=done, total=100))

    assert (shown[0], shown[-1]) == (first, last)


def test_names_of_steps_cannot_steer_the_terminal() -> None:
    assert picture([Step("a\x1b[2J", "done", "[bold]x[/bold]")]) == [r"✓ a\x1b[2J [bold]x[/bold]"]
