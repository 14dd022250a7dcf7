"""A line over a server looks on until what it started is over, and answers as it would on a store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.part import unheard
from interlock.engine.commands import COMMANDS, WhyReport
from interlock.engine.reports.outputs import StepOutput
from interlock.engine.reports.records import Reason, RunFailure, RunReport, RunResult, StepReport, Waiting
from interlock.surfaces.cli.build import Invocation
from interlock.surfaces.cli.driving import driven
from interlock.surfaces.cli.following import FAILURES_MAX, Following
from interlock.surfaces.cli.nouns.run import PRESENTATION
from interlock.surfaces.cli.report import Interrupted
from interlock.surfaces.cli.run_following import with_input
from tests.surfaces.toy import report

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
START, RESUME = (next(each for each in COMMANDS if each.name == name) for name in ("run.start", "run.resume"))
STARTED = RunResult(RUN, "running", None, "c", detached=True)
AWAY = ErrorCode("away", Category.UNAVAILABLE, "Wait.", retryable=True)
FORBIDDEN = ErrorCode("forbidden", Category.REFUSED, "Ask.")


def stands(phase: str = "running", waiting: Waiting | None = None, *steps: StepReport) -> RunReport:
    return replace(report(RUN, "p", 1), phase=phase, waiting=waiting, final_snapshot_id="s", steps=list(steps))


class FarClient:
    """Answers a start at once, and a status with the next of these, of which the last stays."""

    def __init__(self, *reports: RunReport | InterlockError, reasons: tuple[Reason, ...] = ()) -> None:
        self.called: list[tuple[str, Mapping[str, object]]] = []
        self._reports: list[Struct | InterlockError] = list(reports)
        self._reasons = list(reasons)
        self.started: Struct | InterlockError = STARTED

    async def call(
        self,
        name: str,
        given: Struct | Mapping[str, object],
        *,
        command_id: str | None = None,
        begun: Callable[[str], None] = unheard,
    ) -> Struct:
        assert isinstance(given, Mapping)
        self.called.append((name, given))
        await asyncio.sleep(0)
        if name == "run.why":
            return WhyReport(RUN, self._reasons)
        queue = [self.started] if name != "run.status" else self._reports
        found = queue.pop(0) if len(queue) > 1 else queue[0]
        if isinstance(found, InterlockError):
            raise found
        return found

    def count(self, name: str) -> int:
        return sum(each == name for each, _ in self.called)


async def no_pause(_seconds: float) -> None:
    await asyncio.sleep(0)


def line(client: FarClient, verb: Any = START, **given: object) -> RunResult:
    """What a line answers whose verb a server drives."""
    members = {"plan": "p", "run_id": RUN} if verb is START else {"run": RUN}
    progress = PRESENTATION.progress[verb.verb]
    following = Following(client, verb, progress, no_pause)
    invocation = Invocation(verb, {}, None, None, json=True, server="https://interlock.example")
    output = asyncio.run(driven(following, invocation, members | given))
    assert isinstance(output, RunResult)
    return output


def test_a_start_looks_on_until_the_run_has_ended() -> None:
    client = FarClient(stands(waiting=Waiting("queued")), stands(), stands("completed"))

    assert line(client) == RunResult(RUN, "completed", None, "s")
    assert client.called[0] == ("run.start", {"plan": "p", "run_id": RUN, "detach": True})
    assert (client.count("run.status"), client.count("run.why")) == (3, 0)


def test_a_line_that_wants_no_more_than_the_start_gets_no_more() -> None:
    client = FarClient(stands())

    assert line(client, detach=True) == STARTED
    assert client.count("run.status") == 0


def test_a_run_that_waits_is_told_of_with_its_reasons() -> None:
    waiting, reason = Waiting("suspended", "s"), Reason("signal", "nobody said it", release=("interlock run signal …",))
    found = line(FarClient(stands(waiting=waiting), reasons=(reason,)))

    assert found == RunResult(RUN, "running", waiting, "s", reasons=(reason,))
    assert START.exit_code is not None
    assert START.exit_code(found) == 8


def test_a_run_that_failed_is_told_of_with_its_error_and_what_its_program_wrote() -> None:
    step = StepReport("a", "x.a.run", "failed", 1, error_code="broken", error_message="it is broken")
    output = StepOutput("stderr", 3, ("no",))
    reason = Reason("failed", "it failed", "x.a.run", output=output)
    found = line(FarClient(stands("failed", None, step), reasons=(reason,)))

    assert found.error == RunFailure("x.a.run", "broken", "it is broken", output)
    assert START.exit_code is not None
    assert START.exit_code(found) == 1


def test_a_run_that_is_driven_on_is_looked_at_in_the_same_way() -> None:
    client = FarClient(stands(), stands("cancelled"))
    client.started = RunResult(RUN, "running", Waiting("queued"), None)

    assert line(client, RESUME).phase == "cancelled"
    assert client.called[0] == ("run.resume", {"run": RUN, "detach": True})


def test_a_server_that_is_away_for_a_moment_is_asked_again() -> None:
    away = AWAY.error("away")

    assert line(FarClient(away, away, stands("completed"))).phase == "completed"
    lasting = FarClient(away)
    with pytest.raises(InterlockError) as caught:
        line(lasting)
    assert (caught.value.kind, lasting.count("run.status")) == (AWAY, FAILURES_MAX)
    with pytest.raises(InterlockError) as caught:
        line(forbidden := FarClient(FORBIDDEN.error("no")))
    assert (caught.value.kind, forbidden.count("run.status")) == (FORBIDDEN, 1)


def test_who_else_asks_how_it_stands_is_told_what_was_heard_last() -> None:
    client = FarClient(stands("completed"))
    following = Following(client, START, PRESENTATION.progress["start"], no_pause)

    async def main() -> None:
        await following.call("run.start", {"plan": "p", "run_id": RUN})
        asked = len(client.called)
        assert await following.call("run.status", {"run": RUN}) == stands("completed")
        assert len(client.called) == asked

    asyncio.run(main())


@pytest.mark.parametrize(
    ("first", "said"),
    [
        (stands(), f"the run goes on without you: interlock run status {RUN} --server https://interlock.example"),
        (FORBIDDEN.error("no"), f"the run may go on: interlock run status {RUN} --server https://interlock.example"),
        (
            ErrorCode("absent", Category.NOT_FOUND, "Look.").error("no"),
            f"the run may yet begin: interlock run status {RUN} --server https://interlock.example",
        ),
    ],
)
def test_to_stop_looking_stops_nothing_and_says_so(first: RunReport | InterlockError, said: str) -> None:
    async def main() -> str:
        following = Following(FarClient(first), START, PRESENTATION.progress["start"], lambda _: asyncio.sleep(100))
        invocation = Invocation(START, {}, None, None, json=False, server="https://interlock.example")
        call = asyncio.create_task(driven(following, invocation, {"plan": "p", "run_id": RUN}))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(Interrupted) as caught:
            await call
        return str(caught.value)

    assert asyncio.run(main()) == said


def test_a_file_with_the_input_is_read_here(tmp_path: Any) -> None:
    path = tmp_path / "input.yaml"
    path.write_text("a: 1\nb: 2\n")

    assert with_input({"plan": "p", "input_file": str(path), "input": {"b": 3}}) == {
        "plan": "p",
        "input": {"a": 1, "b": 3},
    }
    assert with_input({"plan": "p"}) == {"plan": "p"}
