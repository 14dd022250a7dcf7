"""The verbs about subscriptions as an operator types them, and a worker that delivers beside its runs."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from interlock import App
from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import RUN, answer
from tests.surfaces.talking import Worker, order, prepare, start

FILE = ("--sink", "file", "--target", '{"path": "a.jsonl"}')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a store and a run that waits."""
    folder = prepare(tmp_path)
    start(folder, "ask_only")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that holds nothing."""
    place = tmp_path_factory.mktemp("store")

    async def make() -> None:
        async with App.open(place / ".interlock" / "store.db"):
            pass

    (place / ".interlock").mkdir()
    asyncio.run(make())
    return place


def arrived(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / ".interlock/deliveries/a.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def test_a_worker_delivers_beside_its_runs_until_it_is_idle(folder: Path) -> None:
    assert answer(folder, "subscription", "add", "audit", *FILE, "--kind", "run", "--start", "beginning")["changed"]
    Worker(folder, "--until-idle").ended()
    whole = [each["seq"] for each in arrived(folder) if "/inbox" not in each["stream"]]
    assert whole == list(range(1, len(whole) + 1))

    order(folder, "signal", "decide", "the answer", "--value", '{"text": "yes"}')
    Worker(folder, "--until-idle").ended()
    assert arrived(folder)[-1]["type"] == "engine.run_completed"
    assert arrived(folder)[-1]["correlation"] == RUN
    shown = answer(folder, "subscription", "show", "audit")
    assert (shown["behind"], shown["held"], shown["dead"], shown["deliverer"]) == (0, 0, 0, None)
    assert answer(folder, "doctor")["healthy"]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_a_worker_that_is_ended_leaves_its_deliveries_to_the_next_at_once(folder: Path, ending: signal.Signals) -> None:
    answer(folder, "subscription", "add", "audit", *FILE)
    worker = Worker(folder)
    order(folder, "signal", "decide", "the answer", "--value", '{"text": "yes"}')
    while not (folder / ".interlock/deliveries/a.jsonl").exists():
        time.sleep(0.01)
    worker.process.send_signal(ending)
    _, _, err = worker.ended()
    assert "Traceback" not in err

    other = "00000000-0000-4000-8000-000000000001"
    start(folder, "ask_only", run_id=other)
    Worker(folder, "--until-idle").ended()
    keys = [each["key"] for each in arrived(folder)]
    assert next(key for key in keys if other in key).endswith("#1")
    assert any(each["type"] == "engine.run_completed" for each in arrived(folder))
    assert answer(folder, "subscription", "show", "audit")["behind"] == 0


def test_the_same_again_changes_nothing_and_another_under_the_name_is_refused(folder: Path) -> None:
    assert answer(folder, "subscription", "add", "audit", *FILE) == {"name": "audit", "changed": True}
    assert answer(folder, "subscription", "add", "audit", *FILE) == {"name": "audit", "changed": False}
    other = answer(folder, "subscription", "add", "audit", "--sink", "log", code=4)
    assert other["error"]["code"] == "subscription_exists"


def test_a_subscription_is_shown_listed_paused_resumed_and_removed(folder: Path) -> None:
    empty = run("subscription", "list", program=PRODUCT, folder=folder)
    assert (empty.code, empty.text, empty.err) == (0, "", "no subscriptions\n")
    answer(folder, "subscription", "add", "audit", *FILE, "--type", "engine.*", "--type", "journal.lease_granted")
    assert run("subscription", "list", program=PRODUCT, folder=folder).text.splitlines() == [
        "NAME   STATE   SINK  TYPES                            DEAD",
        "audit  active  file  engine.*; journal.lease_granted  0",
    ]
    assert answer(folder, "subscription", "pause", "audit", "--reason", "for the test")["changed"]
    assert not answer(folder, "subscription", "pause", "audit", "--reason", "for the test")["changed"]
    shown = answer(folder, "subscription", "show", "audit")
    assert (shown["state"], shown["reason"], shown["target"]) == ("paused", "for the test", {"path": "a.jsonl"})
    assert answer(folder, "subscription", "list", "--state", "active")["items"] == []
    assert answer(folder, "subscription", "redrive", "audit") == {"name": "audit", "letters": 0}
    assert answer(folder, "subscription", "resume", "audit")["changed"]
    assert answer(folder, "subscription", "remove", "audit")["changed"]
    assert not answer(folder, "subscription", "remove", "audit")["changed"]


def test_a_new_subscription_can_begin_where_another_stands(folder: Path) -> None:
    answer(folder, "subscription", "add", "audit", *FILE)
    cursor = answer(folder, "subscription", "show", "audit")["cursor"]

    assert answer(folder, "subscription", "add", "second", "--sink", "log", "--start", cursor)["changed"]
    assert answer(folder, "subscription", "show", "second")["cursor"] == cursor


@pytest.mark.parametrize(
    ("line", "code", "error"),
    [
        (("add", "audit", "--sink", "post"), 2, "sink_unknown"),
        (("add", "audit", "--sink", "file"), 2, "sink_target_invalid"),
        (("add", "audit", "--sink", "log", "--target", "[]"), 2, "sink_target_invalid"),
        (("add", "audit", "--sink", "file", "--target", '{"path": "../a.jsonl"}'), 5, "sink_path_refused"),
        (("add", "Audit", "--sink", "log"), 2, "subscription_invalid"),
        (("add", "audit", "--sink", "log", "--type", "x"), 2, "subscription_invalid"),
        (("add", "audit", "--sink", "log", "--start", "then"), 2, "cursor_invalid"),
        (("show", "other"), 3, "subscription_not_found"),
        (("pause", "other", "--reason", "x"), 3, "subscription_not_found"),
        (("resume", "other"), 3, "subscription_not_found"),
        (("redrive", "other"), 3, "subscription_not_found"),
    ],
)
def test_what_cannot_be_is_refused_with_its_code(store: Path, line: tuple[str, ...], code: int, error: str) -> None:
    assert answer(store, "subscription", *line, code=code)["error"]["code"] == error


def test_a_letter_that_is_none_is_not_found(folder: Path) -> None:
    answer(folder, "subscription", "add", "audit", *FILE)

    found = answer(folder, "subscription", "redrive", "audit", "--key", "default/run/x#1", code=3)
    assert found["error"]["code"] == "letter_not_found"
