"""Runs as people see them: outcomes, steps, history and reasons, from the records that programs get."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from interlock.engine import events as e
from interlock.engine.budget import RunUsage
from interlock.engine.commands import RunEvent, RunEvents, WhyReport
from interlock.engine.errors import ErrorCategory, ErrorInfo, StateError
from interlock.engine.reports.records import Reason, RunFailure, RunReport, RunResult, StepReport, Waiting
from interlock.engine.search.commands import RunList
from interlock.surfaces.cli.nouns.run import PRESENTATION
from interlock.surfaces.cli.render import show
from interlock.surfaces.cli.text import short_time
from tests.surfaces.toy import command

Captured = pytest.CaptureFixture[str]
AT_MS = 1_700_000_000_123
STATE = "release.build.main"


def shown(captured: Captured, verb: str, output: Struct) -> list[str]:
    show(command(verb, noun="run", handler=None, example=f"interlock run {verb}"), output, as_json=False)
    return captured.readouterr().out.splitlines()


def test_an_outcome_names_the_step_that_failed(capfd: Captured) -> None:
    lines = shown(capfd, "start", RunResult("r", "failed", None, "s", RunFailure(STATE, "oops", "it broke")))

    assert [line.split(maxsplit=2) for line in lines[2:4]] == [["failed", "step", "build"], ["code", "oops"]]
    assert lines[4].split(maxsplit=1) == ["message", "it broke"]
    assert lines[5].startswith("final snapshot id")


def test_what_a_running_run_has_is_a_checkpoint(capfd: Captured) -> None:
    lines = shown(capfd, "resume", RunResult("r", "running", None, "abc"))

    assert lines[-1].split() == ["checkpoint", "abc"]
    assert "detached" not in " ".join(lines)


USAGE = RunUsage(3, 1000, 500, 10_000, warned=False)


def report(*steps: StepReport) -> RunReport:
    return RunReport("r", "release", "failed", None, "s", "m", AT_MS, AT_MS, 3, USAGE, None, {}, list(steps))


def test_a_status_shows_crashes_where_there_were_any(capfd: Captured) -> None:
    crashed = StepReport("build", STATE, "completed", 2, crashes=1)

    assert "CRASHES" in " ".join(shown(capfd, "status", report(crashed)))
    assert "CRASHES" not in " ".join(shown(capfd, "status", report(StepReport("build", STATE, "completed", 2))))


def test_a_status_shows_what_is_used_only_past_the_warning(capfd: Captured) -> None:
    near = msgspec.structs.replace(report(), usage=RunUsage(900, 1000, 500, 10_000, warned=True))

    assert not [line for line in shown(capfd, "status", report()) if line.startswith("usage")]
    assert "usage events max 1000" in [" ".join(line.split()) for line in shown(capfd, "status", near)]


def test_what_a_run_waits_for_is_said_in_words(capfd: Captured) -> None:
    waits = RunResult("r", "running", Waiting("suspended", STATE, AT_MS), "s")

    assert [line.split(maxsplit=1) for line in shown(capfd, "resume", waits)[2:4]] == [
        ["waiting", "suspended"],
        ["waiting", "step   build"],
    ]


def test_a_run_that_completed_is_followed_by_the_line_that_shows_what_came_of_it() -> None:
    follow = PRESENTATION.follow["start"]

    assert follow(RunResult("r", "completed", None, "s"), {}) == "interlock run output r"
    assert follow(RunResult("r", "cancelled", None, "s"), {}) is None


def test_messages_of_failed_steps_stand_below_the_table(capfd: Captured) -> None:
    broken = StepReport("build", STATE, "failed", 1, error_code="oops", error_message="it broke")

    assert shown(capfd, "status", report(broken))[-1] == "errors  build: it broke"


def event(seq: int, kind: str, data: Any) -> RunEvent:
    return RunEvent(seq, AT_MS, f"engine.{kind}", "local:ada", "d", data)


def test_a_history_says_which_step_and_what_happened(capfd: Captured) -> None:
    failure = StateError(
        ErrorInfo(ErrorCategory.UNKNOWN, "oops", msgspec.Raw(b"null"), "it broke", retryable=False), STATE
    )
    rows = [
        event(1, "state_entered", e.StateEntered(0, "s", STATE)),
        event(2, "effect_intended", e.EffectIntended("pay", None, "http", "d", STATE)),
        event(3, "state_failed", e.StateFailed(failure, None, STATE)),
        event(4, "run_completed", e.RunCompleted(None, e.RunStatus.FAILED)),
        event(5, "domain_emitted", None),
        event(6, "domain_emitted", e.DomainEmitted("paid", msgspec.Raw(b"1"), None)),
    ]
    lines = shown(capfd, "events", RunEvents(rows, None))

    assert lines[0].split() == ["SEQ", "AT", "TYPE", "STEP", "DETAIL", "ACTOR"]
    assert [line.split()[2:5] for line in lines[1:]] == [
        ["state_entered", "build", "–"],
        ["effect_intended", "build", "pay"],
        ["state_failed", "build", "oops"],
        ["run_completed", "–", "failed"],
        ["domain_emitted", "–", "–"],
        ["domain_emitted", "–", "paid"],
    ]


def test_each_command_that_releases_a_run_has_its_own_line(capfd: Captured) -> None:
    releases = ("interlock run resolve r build --retry", "interlock run resolve r build --abandon")
    why = WhyReport("r", [Reason("parked", "nobody knows", STATE, AT_MS, None, releases)])

    assert shown(capfd, "why", why) == [
        "parked: nobody knows (since 2023-11-14T22:13:20.123Z)",
        *(f"  {line}" for line in releases),
    ]


def test_where_nothing_is_missing_why_says_so(capfd: Captured) -> None:
    assert shown(capfd, "why", WhyReport("r", [])) == ["nothing is missing"]


def test_a_list_without_runs_says_so_beside_the_answer(capfd: Captured) -> None:
    verb = command("list", noun="run", handler=None, example="interlock run list")
    show(verb, RunList([], None), as_json=False)

    assert capfd.readouterr() == ("", "no runs\n")


@pytest.mark.parametrize(
    ("later_ms", "text"),
    [(1000, "22:13:20"), (86_400_000, "11-14 22:13"), (86_400_000 * 365, "2023-11-14")],
)
def test_a_short_time_leaves_away_what_it_shares_with_now(later_ms: int, text: str) -> None:
    assert short_time(AT_MS, AT_MS + later_ms) == text
