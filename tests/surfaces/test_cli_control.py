"""Telling a run things from another process: answers and orders, what becomes of them, and what is refused."""

from __future__ import annotations

import re
import shlex
import subprocess
import time
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import RUN, answer, begun
from tests.surfaces.talking import ended, line, order, prepare, start


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return prepare(tmp_path)


def driven(folder: Path, plan: str) -> subprocess.Popen[bytes]:
    """A process that drives a run and is inside of a handler."""
    return begun(folder, *PRODUCT, *line(folder, plan), "--json")


# Answers


def test_a_start_that_waits_exits_8_and_gives_the_very_line_that_answers_it(folder: Path) -> None:
    done = run(*line(folder, "ask_only"), program=PRODUCT, folder=folder)
    assert done.code == 8
    assert re.search(r"^needs +signal: decide waits for the signal the answer$", done.text, re.MULTILINE)
    told = done.err.splitlines()[-1]
    assert told == f"next: interlock run signal {RUN} decide 'the answer' --value JSON"

    words = shlex.split(told.removeprefix("next: interlock ").replace("JSON", '\'{"text": "yes"}\''))
    answered = run(*words, program=PRODUCT, folder=folder)
    assert answered.code == 0, answered.err
    assert "nobody drives the run: a worker takes it, or `run resume`" in answered.text
    assert answered.err == f"next: interlock run resume {RUN}\n"

    assert answer(folder, "run", "resume", RUN)["phase"] == "completed"
    assert answer(folder, "run", "output", RUN, "end")["values"] == {"end": "yes"}


def test_a_wait_is_answered_by_its_token_and_its_first_answer_counts(folder: Path) -> None:
    start(folder, "ask_only")
    [wait] = answer(folder, "run", "status", RUN)["waits"]
    assert (wait["step"], wait["kind"], wait["schema"]["type"]) == ("decide", "signal", "object")
    assert wait["until_ms"] > wait["since_ms"]

    order(folder, "signal", "--token", wait["token"], "--value", '{"text": "first"}')
    late = order(folder, "signal", "decide", "the answer", "--value", '{"text": "second"}')
    assert late["then"].startswith("the wait has an answer: nothing changed")
    answer(folder, "run", "resume", RUN)
    assert answer(folder, "run", "output", RUN, "end")["values"] == {"end": "first"}


def test_an_answer_reaches_a_run_that_another_process_drives_before_it_asks(folder: Path) -> None:
    process = driven(folder, "talk")
    told = order(folder, "signal", "ask", "go", "--value", "{}")
    assert f"{told['owner']} drives the run" in told["then"]
    (folder / "open").touch()

    code, result = ended(process)
    assert (code, result["phase"]) == (0, "completed")


@pytest.mark.parametrize(
    ("more", "code", "error"),
    [
        (("decide",), 2, "signal_unclear"),
        ((), 2, "signal_unclear"),
        (("decide", "the answer", "--token", "x"), 2, "signal_unclear"),
        (("--token", "x"), 3, "wait_unknown"),
        (("nowhere", "go"), 3, "step_unknown"),
        (("decide", "teh answer", "--value", "{}"), 3, "wait_unknown"),
        (("decide", "the answer", "--value", "5"), 2, "signal_invalid"),
        (("decide", "the answer", "--value", "{"), 2, "json_invalid"),
    ],
)
def test_an_answer_to_nothing_is_refused_with_what_to_do(
    folder: Path, more: tuple[str, ...], code: int, error: str
) -> None:
    start(folder, "ask_only")
    refused = order(folder, "signal", *more, code=code)["error"]

    assert refused["code"] == error
    assert refused["advice"]


def test_a_mistyped_wait_is_refused_with_the_names_of_the_open_ones(folder: Path) -> None:
    start(folder, "ask_only")
    refused = order(folder, "signal", "decide", "aproval", "--value", "{}", code=3)["error"]
    assert refused["message"] == "the step decide does not wait for aproval; it waits for: the answer"
    assert "--early" in refused["advice"]
    assert answer(folder, "run", "status", RUN)["early"] == []


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("5", """at $ the schema wants type: "object\""""),
        ("yes", "what fits is a JSON object"),
    ],
)
def test_an_answer_that_does_not_fit_is_told_where_and_what_is_expected(folder: Path, value: str, said: str) -> None:
    start(folder, "ask_only")
    assert said in order(folder, "signal", "decide", "the answer", "--value", value, code=2)["error"]["message"]
    shown = run("run", "why", RUN, program=PRODUCT, folder=folder).text
    assert '  an answer fits {"type":"object"}' in shown.splitlines()


def test_an_early_answer_on_purpose_is_kept_and_listed(folder: Path) -> None:
    start(folder, "ask_only")
    order(folder, "signal", "decide", "later", "--value", "{}", "--early")
    order(folder, "signal", "decide", "later", "--value", "{}")  # known by now, so that it can be sent again

    assert answer(folder, "run", "status", RUN)["early"] == [{"step": "decide", "name": "later", "answers": 2}]
    kinds = {each["kind"]: each["explanation"] for each in answer(folder, "run", "why", RUN)["reasons"]}
    assert kinds["early"] == "an answer to later is kept, for which decide has not asked"


def test_a_status_gives_the_line_that_answers_and_a_cancelled_run_waits_for_nothing(folder: Path) -> None:
    start(folder, "ask_only")
    waits = run("run", "status", RUN, program=PRODUCT, folder=folder)
    assert waits.err == f"next: interlock run signal {RUN} decide 'the answer' --value JSON\n"

    order(folder, "cancel")
    report = answer(folder, "run", "status", RUN)
    assert {step["name"]: step["status"] for step in report["steps"]} == {
        "begin": "completed",
        "decide": "cancelled",
        "end": "pending",
    }


def test_the_history_shows_who_decided_and_why(folder: Path) -> None:
    start(folder, "ask_only")
    order(folder, "pause", "--reason", "the lab is down")
    order(folder, "cancel", "--reason", "wrong input")
    rows = run("run", "events", RUN, program=PRODUCT, folder=folder).text.splitlines()

    paused, cancelling = (next(row for row in rows if word in row) for word in ("run_paused", "run_cancelling"))
    assert re.search(r"the lab is down +local:", paused)
    assert re.search(r"wrong input +local:", cancelling)


# Orders


def test_a_cancel_interrupts_the_process_that_drives(folder: Path) -> None:
    process = driven(folder, "talk")
    told = order(folder, "cancel", "--reason", "wrong folder")
    assert told["owner"]

    code, result = ended(process)
    assert (code, result["phase"]) == (1, "cancelled")
    [reason] = answer(folder, "run", "why", RUN)["reasons"]
    assert reason["kind"] == "cancelled"
    assert reason["explanation"].endswith("cancelled it: wrong folder")
    assert order(folder, "cancel", code=4)["error"]["code"] == "run_ended"


def test_a_run_that_hangs_is_ended_at_once_by_whoever_says_now(folder: Path) -> None:
    process = driven(folder, "hung")
    try:
        assert order(folder, "cancel")["phase"] == "running"
        told = order(folder, "cancel", "--now")

        assert (told["phase"], told["then"]) == ("cancelled", "the run has ended: cancelled")
        assert answer(folder, "run", "list", "--state", "cancelled")["items"][0]["run_id"] == RUN
    finally:
        process.kill()
        process.communicate()


def test_a_paused_run_enters_no_step_until_it_is_told_to(folder: Path) -> None:
    process = driven(folder, "talk")
    order(folder, "pause", "--reason", "lunch")
    time.sleep(2)  # its owner hears of an order at its next look, which comes within inbox_poll_ms
    (folder / "open").touch()

    code, result = ended(process)
    assert (code, result["waiting"]["kind"]) == (8, "paused")
    status = answer(folder, "run", "status", RUN)
    assert [step["status"] for step in status["steps"]] == ["completed", "pending"]
    assert [(each["order"], each["reason"]) for each in status["orders"]] == [("paused", "lunch")]
    assert answer(folder, "run", "resume", RUN, code=8)["waiting"]["kind"] == "paused"

    assert order(folder, "unpause")["waiting"] == "queued"
    assert answer(folder, "run", "resume", RUN, code=8)["waiting"]["kind"] == "suspended"


def test_a_step_that_is_skipped_completes_without_its_handler_and_shows_as_skipped(folder: Path) -> None:
    start(folder, "flaky")
    order(folder, "skip", "fetch", "--reason", "we have it")

    assert answer(folder, "run", "resume", RUN)["phase"] == "completed"
    status = answer(folder, "run", "status", RUN)
    assert [(step["name"], step["status"]) for step in status["steps"]] == [("fetch", "skipped"), ("tell", "completed")]
    assert order(folder, "skip", "tell", code=4)["error"]["code"] == "run_ended"


def test_a_failed_step_is_tried_again_at_once_and_may_get_another_policy(folder: Path) -> None:
    assert start(folder, "flaky")["waiting"]["kind"] == "backoff"
    assert order(folder, "retry", "fetch", "--reset")["waiting"] == "queued"
    assert answer(folder, "run", "resume", RUN, code=8)["waiting"]["kind"] == "backoff"

    assert order(folder, "edit", "fetch", "--backoff", "fixed", code=2)["error"]["code"] == "edit_unclear"
    assert order(folder, "edit", "fetch", code=2)["error"]["code"] == "edit_unclear"
    order(folder, "edit", "fetch", "--max-attempts", "2", "--base-ms", "1", "--timeout-ms", "5000")
    order(folder, "retry", "fetch")
    assert answer(folder, "run", "resume", RUN, code=1)["error"]["code"] == "net_down"
    assert order(folder, "retry", "fetch", code=4)["error"]["code"] == "run_ended"


def test_an_edited_back_off_counts_from_the_next_failure(folder: Path) -> None:
    start(folder, "flaky")
    order(folder, "edit", "fetch", "--max-attempts", "9", "--backoff", "exponential", "--base-ms", "1", "--max-ms", "2")
    (folder / "open").touch()
    order(folder, "retry", "fetch")

    assert answer(folder, "run", "resume", RUN)["phase"] == "completed"


def test_the_same_line_under_one_command_id_takes_effect_once(folder: Path) -> None:
    start(folder, "ask_only")
    for _ in range(2):
        told = order(folder, "cancel", "--command-id", "c1")
        assert told["phase"] == "cancelled"

    events = answer(folder, "run", "events", RUN)["items"]
    assert [event["type"] for event in events].count("engine.run_cancelling") == 1
    conflict = order(folder, "cancel", "--command-id", "c1", "--reason", "another", code=4)
    assert conflict["error"]["code"] == "command_id_conflict"


def test_an_order_without_a_reason_or_to_no_run_is_refused(folder: Path) -> None:
    start(folder, "ask_only")

    assert answer(folder, "run", "pause", RUN, code=2)["error"]["code"] == "usage_invalid"
    nobody = "00000000-0000-4000-8000-000000000000"
    assert answer(folder, "run", "pause", nobody, "--reason", "x", code=3)["error"]["code"] == "run_not_found"


# What a start takes


def test_a_run_that_was_given_a_time_fails_when_it_is_over(folder: Path) -> None:
    result = start(folder, "ask_only", "--timeout", "300ms", code=1)

    assert result["phase"] == "failed"
    [reason] = answer(folder, "run", "why", RUN)["reasons"]
    assert "run_timed_out" in reason["explanation"]
    [row] = answer(folder, "run", "list", "--failed-with", "run_timed_out")["items"]
    assert row["run_id"] == RUN


def test_attributes_and_a_concurrency_are_recorded_with_the_start(folder: Path) -> None:
    start(folder, "ask_only", "--attribute", "team=blue", "--attribute", "size=5", "--concurrency", "2")

    [row] = answer(folder, "run", "list", "--attribute", "team=blue", "--attribute", "size=5")["items"]
    assert row["attributes"] == {"team": "blue", "size": "5"}
    events = answer(folder, "run", "events", RUN)["items"]
    assert [event["data"]["max_concurrency"] for event in events if event["type"] == "engine.run_limits"] == [2]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        (("--timeout", "soon"), "time_invalid"),
        (("--attribute", "team"), "run_attributes_invalid"),
        (("--attribute", "a=1", "--attribute", "a=2"), "run_attributes_invalid"),
        (("--concurrency", "0"), "input_invalid"),
    ],
)
def test_a_start_with_a_wrong_option_starts_nothing(folder: Path, more: tuple[str, ...], code: str) -> None:
    assert start(folder, "ask_only", *more, code=2)["error"]["code"] == code
    assert not (folder / ".interlock" / "store.db").exists() or answer(folder, "run", "list")["items"] == []


def test_a_run_names_its_children_and_they_name_it(folder: Path) -> None:
    start(folder, "parent")
    [child] = answer(folder, "run", "status", RUN)["children"]

    assert (child["step"], child["name"], child["status"]) == ("spawn", "one", "running")
    assert answer(folder, "run", "status", child["run_id"])["parent_run_id"] == RUN
    [row] = answer(folder, "run", "list", "--parent", RUN)["items"]
    assert row["run_id"] == child["run_id"]
