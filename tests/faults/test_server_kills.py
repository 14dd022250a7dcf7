"""Processes of `interlock up` that are killed at any instant: what was acknowledged is there once, nothing by halves.

Clients send commands while the server, the engine and then the supervisor are killed; afterwards every command is sent
again under its key, and the store is asked for all of them.
"""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from interlock.serving import TOKEN_VARIABLE
from tests.faults.upping import Caller, Up, alive, brought_up, until, working_in

PLAN: Final = """
from interlock import Plan

plan = Plan("ship", version="1")


@plan.state
async def pack(item: str) -> str:
    return item


@plan.state
async def send(pack: str) -> str:
    return f"sent {pack}"
"""
CONFIG: Final = """
[engine]
claim_lease_ms = 1500
crash_budget = 50

[events.sources.walk]
source = "/kills"
"""
CLIENTS: Final = 3
KILLS: Final = ("serve", "work", "serve")


@dataclass
class Sent:
    """One command: how it is sent, and what it was answered, if anybody did."""

    path: str
    key: str
    body: dict[str, Any]
    answer: tuple[int, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def send(self, caller: Caller, *, surely: bool = False) -> tuple[int, Any] | None:
        headers = {"Idempotency-Key": self.key, **self.headers}
        send = caller.ask if surely else caller.try_
        answer = send("POST", self.path, json=self.body, headers=headers)
        return None if answer is None else (answer.status_code, answer.json() if answer.content else None)


def commands(client: int, number: int, folder: Path) -> list[Sent]:
    """What a client sends in one turn."""
    name = f"c{client}-{number}"
    event = {"specversion": "1.0", "id": name, "source": "/kills", "type": "t"}
    start = {"plan": f"{folder}/ship.py:plan", "input": {"item": name}, "attribute": [f"turn={name}"]}
    return [
        Sent("/api/v1/subscriptions", f"sub-{name}", {"name": name, "sink": "log"}),
        Sent("/api/v1/runs", f"run-{name}", start),
        Sent("/api/events/", f"event-{name}", event, headers={"Content-Type": "application/cloudevents+json"}),
    ]


class Client:
    """Sends commands until it is told to stop, each once, whatever comes of it."""

    def __init__(self, number: int, up: Up) -> None:
        self.sent: list[Sent] = []
        self._number, self._up = number, up
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._act, daemon=True)
        self._thread.start()

    def _act(self) -> None:
        caller, number = self._up.caller(), 0
        while not self._stopped.is_set():
            for each in commands(self._number, number, self._up.folder):
                self.sent.append(each)
                each.answer = each.send(caller)
            number += 1
            self._stopped.wait(0.1)

    def stop(self) -> list[Sent]:
        self._stopped.set()
        self._thread.join(30)
        return self.sent


def prepared(folder: Path) -> Path:
    (folder / "ship.py").write_text(PLAN)
    (folder / "interlock.toml").write_text(CONFIG)
    return folder


def stormed(up: Up, draw: random.Random) -> list[Sent]:
    """Kill children at random instants while clients send."""
    clients = [Client(number, up) for number in range(CLIENTS)]
    caller = up.caller()
    place = caller.place()
    for name in KILLS:
        time.sleep(draw.uniform(0.2, 1.2))
        caller.ask("GET", "/healthz")
        time.sleep(draw.uniform(0, 0.3))
        up.kill(name)
    until(lambda: sum(each.answer is not None for each in clients[0].sent[-9:]) >= 3, "no answer after the kills")
    assert caller.place() == place
    time.sleep(draw.uniform(0, 0.3))
    left = up.kill_supervisor()
    sent = [each for client in clients for each in client.stop()]
    until(lambda: not any(alive(pid) for pid in left), "a child outlives its supervisor")
    return sent


def everything(caller: Caller, path: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    query: dict[str, Any] = {"limit": 100}
    while True:
        page = caller.ask("GET", path, params=query).json()
        rows += page["items"]
        if page["next"] is None:
            return rows
        query["cursor"] = page["next"]


def test_what_was_acknowledged_is_there_once_whichever_process_is_killed(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(10_000)
    print("seed", seed)
    folder = prepared(tmp_path)
    with brought_up(folder) as up:
        up.caller().ask("GET", "/healthz")
        sent = stormed(up, random.Random(seed))  # noqa: S311 - instants, and no secrets
    known = [each for each in sent if each.answer is not None]
    assert len(known) > 10
    assert {each.answer[0] for each in known if each.answer} <= {201, 202}

    with brought_up(folder) as up:
        caller = up.caller()
        caller.ask("GET", "/api/v1/leases")
        assert caller.place()["pid"] == up.process.pid
        for each in sent:
            again = each.send(caller, surely=True)
            assert again is not None
            assert each.answer is None or _same(each.answer, again), (each, again)
            assert again[0] in {201, 202}, again
        _there_once(caller, sent)
        assert up.end() == 0
    assert not (folder / ".interlock" / "server.json").exists()


def _same(first: tuple[int, Any], again: tuple[int, Any]) -> bool:
    """Whether a repetition is answered as the first time; of a run, which goes on, by its id."""
    if first[1] is not None and "run_id" in first[1]:
        return (first[0], first[1]["run_id"]) == (again[0], again[1]["run_id"])
    return first == again


def _there_once(caller: Caller, sent: list[Sent]) -> None:
    """Everything that was sent stands in the store once, and every run has completed once."""
    subscriptions = Counter(row["name"] for row in everything(caller, "/api/v1/subscriptions"))
    assert subscriptions == Counter(each.body["name"] for each in sent if "subscriptions" in each.path)
    events = Counter(row["id"] for row in everything(caller, "/api/v1/events"))
    assert events == Counter(each.body["id"] for each in sent if "events" in each.path)
    wanted = {each.body["input"]["item"] for each in sent if each.path.endswith("/runs")}
    until(lambda: {row["state"] for row in everything(caller, "/api/v1/runs")} == {"completed"}, "runs do not end")
    runs = [row["run_id"] for row in everything(caller, "/api/v1/runs")]
    assert len(runs) == len(wanted)
    told: Counter[str] = Counter()
    for run_id in runs:
        page = caller.ask("GET", f"/api/v1/runs/{run_id}/events", params={"limit": 200}).json()
        kinds = Counter(row["type"] for row in page["items"])
        assert (kinds["engine.run_started"], kinds["engine.run_completed"]) == (1, 1)
        output = caller.ask("GET", f"/api/v1/runs/{run_id}/output").json()["values"]
        told[output["pack"]] += 1
        assert output["send"] == f"sent {output['pack']}"
    assert told == Counter(wanted)


def test_a_server_that_was_killed_comes_back_at_its_address_and_who_connects_meanwhile_waits(tmp_path: Path) -> None:
    with brought_up(prepared(tmp_path)) as up:
        caller = up.caller()
        caller.ask("GET", "/api/v1/leases")
        place, killed = caller.place(), up.child("serve")
        for _ in range(2):
            up.kill("serve")
            until(lambda killed=killed: not alive(killed), "it outlives a kill")
            headers = {"Authorization": f"Bearer {place['token']}"}
            with httpx2.Client(trust_env=False) as anew:  # a connection that was kept ended with the server
                answer = anew.get(f"{place['url']}/api/v1/leases", headers=headers, timeout=60)
            assert (answer.status_code, caller.place()) == (200, place)
            assert up.child("serve") != killed
            killed = up.child("serve")
        assert up.end() == 0


def test_a_request_that_is_under_way_is_answered_when_the_supervisor_is_told_to_stop(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    with brought_up(folder) as up:
        caller = up.caller()
        until((folder / ".interlock" / "server.json").exists, "no file of the server")
        caller.ask("GET", "/api/v1/leases")
        place = caller.place()
        body = json.dumps({"name": "late", "sink": "log"}).encode()
        head = (
            f"POST /api/v1/subscriptions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {place['token']}\r\n"
            f"Content-Type: application/json\r\nExpect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode()
        with socket.create_connection(("127.0.0.1", int(place["url"].rpartition(":")[2])), timeout=20) as under_way:
            under_way.sendall(head)
            assert under_way.recv(100).startswith(b"HTTP/1.1 100 ")  # the body is waited for
            under_way.sendall(body[:5])
            up.process.send_signal(signal.SIGTERM)
            until(lambda: caller.try_("GET", "/api/v1/leases") is None, "it takes new requests while it drains")
            under_way.sendall(body[5:])
            assert under_way.recv(12) == b"HTTP/1.1 201"
        assert up.process.wait(30) == 0
        assert not [pid for pids in up.children.values() for pid in pids if alive(pid)]


def children_of(pid: int) -> set[int]:
    """The processes that one has begun, also those that it does not know of yet."""
    with suppress(OSError):
        return {int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    return set()


@pytest.mark.parametrize("spawned", ["the first", "the second", "anew"])
def test_a_stop_while_a_child_is_being_started_leaves_none_behind(tmp_path: Path, spawned: str) -> None:
    folder = prepared(tmp_path)
    with brought_up(folder) as up:
        known, wanted = set[int](), 2 if spawned == "the second" else 1
        if spawned == "anew":
            up.caller().ask("GET", "/api/v1/leases")
            up.kill("work")
            known = {up.child("serve"), *up.children["work"]}
        ends = time.monotonic() + 30
        while (
            len(children_of(up.process.pid) - known) < wanted
        ):  # without a pause: the child is there for a moment only
            assert up.process.poll() is None
            assert time.monotonic() < ends, "no child is started"
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(30) == 0
        assert working_in(folder) == set()


def test_the_proof_of_the_user_of_the_machine_is_with_the_server_alone(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    with brought_up(folder, **{TOKEN_VARIABLE: "left-over"}) as up:
        caller = up.caller()
        caller.ask("GET", "/api/v1/leases")
        token = caller.place()["token"]
        assert f"{TOKEN_VARIABLE}={token}".encode() in environment_of(up.child("serve"))
        assert not [each for each in environment_of(up.child("work")) if TOKEN_VARIABLE.encode() in each]
        assert not [each for each in environment_of(up.child("work")) if token.encode() in each]
        assert token != "left-over"  # noqa: S105 - of a test
        assert up.end() == 0


def environment_of(pid: int) -> list[bytes]:
    """With which variables a process began."""
    return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")


def test_a_file_of_a_server_that_is_no_more_does_no_harm(tmp_path: Path) -> None:
    folder = prepared(tmp_path)
    place = folder / ".interlock"
    place.mkdir(mode=0o700)
    stale = json.dumps({"url": "http://127.0.0.1:1", "token": "x", "pid": os.getpid()}).encode()
    (place / "server.json").write_bytes(stale)
    with brought_up(folder) as up:
        until(lambda: (place / "server.json").read_bytes() != stale, "the file is not written anew")
        assert up.caller().ask("GET", "/api/v1/leases").status_code == 200
        assert (place / "server.json").stat().st_mode & 0o777 == 0o600
        assert up.end() == 0
