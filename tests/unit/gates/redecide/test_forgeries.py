"""What does not follow is named: forged logs, one value or record at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from interlock.base.errors import InterlockError
from interlock.gates.records import RunState
from interlock.gates.redecide.again import redecide
from interlock.gates.redecide.logs import Kind, Known, Logs
from interlock.gates.spec import ScenarioSpec
from interlock.gates.values import converted, hash_of, plain, wire
from tests.unit.gates.redecide.lives import knowing, lived, logs_of, long_life, scenario_of


@pytest.fixture(scope="module")
def long() -> tuple[ScenarioSpec, RunState]:
    return lived(long_life)


Forgery = Callable[[Any], None]


def _advance_for_hold(logs: Any) -> None:
    logs["decisions"][1]["outcome"] = {"kind": "advance", "from_stage": "one", "to_stage": "two", "timeout": False}
    decision = logs["decisions"][1]
    answer = hash_of(wire({"decision": decision, "packets": [], "status": "active"}))
    logs["tool_calls"][0]["response_hash"] = plain(answer)


def _status_of_evidence(logs: Any) -> None:
    logs["gate_evals"][0]["evidence"][1]["status"] = "True"


def _value_of_evidence(logs: Any) -> None:
    result = logs["gate_evals"][0]["evidence"][0]["result"]
    result["value"] = {"kind": "json", "value": False}


def _value_and_digest_of_evidence(logs: Any) -> None:
    _value_of_evidence(logs)
    result = logs["gate_evals"][0]["evidence"][0]["result"]
    result["evidence_hash"] = plain(hash_of(wire(False)))


def _later(logs: Any) -> None:
    logs["decisions"][3]["decided_at"]["value"] += 1


def _swap(log: str, one: int, other: int) -> Forgery:
    def change(logs: Any) -> None:
        logs[log][one], logs[log][other] = logs[log][other], logs[log][one]

    return change


def _put(log: str, place: int, *path: str | int, value: Any) -> Forgery:
    def change(logs: Any) -> None:
        found = logs[log][place]
        for step in path[:-1]:
            found = found[step]
        found[path[-1]] = value

    return change


def _drop(log: str, place: int, *path: str | int) -> Forgery:
    def change(logs: Any) -> None:
        found = logs[log]
        for step in (place, *path)[:-1]:
            found = found[step]
        del found[(place, *path)[-1]]

    return change


FORGERIES: list[tuple[str, Forgery, Kind, str]] = [
    ("a hold that became an advance, with its answer", _advance_for_hold, Kind.DECISION, "hold follows"),
    ("a decision that is later", _later, Kind.DECISION, "decided_at"),
    ("another number of a decision", _put("decisions", 2, "seq", value=9), Kind.DECISION, "seq"),
    (
        "an unmet gate that is not named",
        _put("decisions", 1, "outcome", "summary", "unmet_gates", value=[]),
        Kind.DECISION,
        "outcome",
    ),
    ("a decision that was dropped", _drop("decisions", -1), Kind.SEQUENCE, "no decision"),
    ("a trigger that was dropped", _drop("triggers", -1), Kind.SEQUENCE, "no trigger"),
    ("two triggers that changed places", _swap("triggers", 1, 2), Kind.SEQUENCE, "its number"),
    ("a trigger of another run", _put("triggers", 1, "event", "run_id", value="r2"), Kind.SEQUENCE, "another run"),
    ("a trigger of another tenant", _put("triggers", 1, "event", "tenant_id", value=7), Kind.SEQUENCE, "another run"),
    ("a trigger id that stands twice", _put("triggers", 2, "event", "trigger_id", value="t1"), Kind.SEQUENCE, "twice"),
    ("a start by somebody else", _put("triggers", 0, "event", "source_id", value="x"), Kind.SEQUENCE, "the start"),
    ("a status of evidence", _status_of_evidence, Kind.GATE, "comparators and lanes"),
    ("a value of evidence", _value_of_evidence, Kind.EVIDENCE, "digest is not that of its value"),
    ("a value of evidence with its digest", _value_and_digest_of_evidence, Kind.GATE, ""),
    (
        "a digest of evidence that is gone",
        _put("gate_evals", 0, "evidence", 0, "result", "evidence_hash", value=None),
        Kind.EVIDENCE,
        "digest",
    ),
    ("evidence that is gone", _drop("gate_evals", 0, "evidence", 0), Kind.EVIDENCE, "not that of its conditions"),
    ("evidence in another order", lambda logs: logs["gate_evals"][0]["evidence"].reverse(), Kind.EVIDENCE, "in order"),
    (
        "other evidence for the same trigger",
        _put("gate_evals", 1, "evidence", 0, "result", "content_type", value="x"),
        Kind.EVIDENCE,
        "another gate",
    ),
    (
        "an error with a content type",
        _put("gate_evals", 0, "evidence", 2, "result", "content_type", value="x"),
        Kind.EVIDENCE,
        "is an error",
    ),
    ("a trace entry that was dropped", _drop("gate_evals", 0, "evaluation", "trace", 1), Kind.GATE, "trace"),
    ("a gate that was removed", _drop("gate_evals", 0), Kind.GATE, "gates stand where"),
    (
        "all gates of a trigger removed",
        lambda logs: logs["gate_evals"].__delitem__(slice(0, 2)),
        Kind.GATE,
        "gates stand where",
    ),
    ("two gates that changed places", _swap("gate_evals", 0, 1), Kind.GATE, "in order"),
    (
        "a gate that holds",
        _put("gate_evals", 0, "evaluation", "status", value="True"),
        Kind.GATE,
        "is recorded as True",
    ),
    ("a gate of another stage", _put("gate_evals", 0, "stage_id", value="two"), Kind.GATE, "another stage"),
    (
        "gates of nobody",
        lambda logs: logs["gate_evals"].append(logs["gate_evals"][-1] | {"trigger_id": "t99"}),
        Kind.GATE,
        "no trigger asks",
    ),
    (
        "a gate of an overdue tick",
        lambda logs: logs["gate_evals"].insert(7, logs["gate_evals"][6] | {"trigger_id": "t5"}),
        Kind.GATE,
        "not evaluated",
    ),
    ("an issued packet that is gone", _drop("packets", 0), Kind.PACKET, "packets are recorded"),
    (
        "a packet of nobody",
        lambda logs: logs["packets"].append(logs["packets"][-1] | {"decision_id": "x"}),
        Kind.PACKET,
        "no decision issues",
    ),
    ("another payload", _put("packets", 0, "payload", "value", value={"say": "no"}), Kind.PACKET, "its payload"),
    ("another label", _put("packets", 0, "envelope", "visibility", "labels", value=[]), Kind.PACKET, "its envelope"),
    (
        "another digest of a packet",
        _put("packets", 1, "envelope", "content_hash", "value", value="0" * 64),
        Kind.PACKET,
        "its envelope",
    ),
    ("a receipt that is gone", _drop("packets", 1, "receipts", 0), Kind.PACKET, "receipts"),
    (
        "a receipt of something else",
        _put("packets", 1, "receipts", 0, "receipt_hash", "value", value="0" * 64),
        Kind.PACKET,
        "receipts",
    ),
    ("a submission of another run", _put("submissions", 0, "run_id", value="r2"), Kind.SUBMISSION, "another run"),
    (
        "another content of a submission",
        _put("submissions", 0, "payload", "value", value=1),
        Kind.SUBMISSION,
        "its digest",
    ),
    (
        "a submission without a call",
        lambda logs: logs["submissions"].append(logs["submissions"][0] | {"submission_id": "s2"}),
        Kind.CALL,
        "handed in without",
    ),
    ("a call that was dropped", _drop("tool_calls", 0), Kind.CALL, ""),
    (
        "the last calls dropped",
        lambda logs: logs["tool_calls"].__delitem__(slice(14, None)),
        Kind.CALL,
        "without a call",
    ),
    ("a number of a call", _put("tool_calls", 3, "call_id", value="call-9"), Kind.CALL, "its number"),
    ("a method of a call", _put("tool_calls", 0, "method", value="scenario.define"), Kind.CALL, "no call of a run"),
    (
        "an answer of a trigger",
        _put("tool_calls", 0, "response_hash", "value", value="0" * 64),
        Kind.CALL,
        "digest of the decision",
    ),
    ("a time of a trigger's call", _put("tool_calls", 0, "called_at", "value", value=77), Kind.CALL, "its time"),
    (
        "a request of a trigger",
        _put("tool_calls", 0, "request_hash", "value", value="0" * 64),
        Kind.CALL,
        "no decision of the run",
    ),
    (
        "an answer after the end",
        _put("tool_calls", 15, "response_hash", "value", value="0" * 64),
        Kind.CALL,
        "no decision of the run",
    ),
    ("a request of a status", _put("tool_calls", 2, "request_hash", "value", value="0" * 64), Kind.CALL, "its request"),
    (
        "an answer of a status",
        _put("tool_calls", 2, "response_hash", "value", value="0" * 64),
        Kind.CALL,
        "how the run stood",
    ),
    (
        "an answer to what was handed in",
        _put("tool_calls", 3, "response_hash", "value", value="0" * 64),
        Kind.CALL,
        "what was handed in",
    ),
    ("a time of what was handed in", _put("tool_calls", 3, "called_at", "value", value=77), Kind.CALL, "its time"),
    (
        "a repeated submission",
        _put("tool_calls", 4, "response_hash", "value", value="0" * 64),
        Kind.CALL,
        "nothing that was handed in",
    ),
    (
        "an error of another call",
        _put("tool_calls", 5, "method", value="scenario.status"),
        Kind.CALL,
        "with this error",
    ),
    (
        "a trigger behind the end",
        lambda logs: logs["triggers"].append(
            {"seq": 10, "event": logs["triggers"][8]["event"] | {"trigger_id": "t99"}}
        ),
        Kind.SEQUENCE,
        "behind the end",
    ),
]


@pytest.mark.parametrize("what", [each[0] for each in FORGERIES])
def test_what_does_not_follow_is_named(what: str, long: tuple[ScenarioSpec, RunState]) -> None:
    [(_, forge, kind, words)] = [each for each in FORGERIES if each[0] == what]
    document, state = long
    logs = plain(logs_of(state))
    forge(logs)
    forged = converted(logs, Logs)

    for known in (Known(), knowing(state)):
        found = redecide(scenario_of(document), forged, known)
        assert any(each.kind is kind and words in each.message for each in found.findings), found.findings


ANSWERED = {
    "gate_evals/result/lane",
    "gate_evals/result/content_type",
    "gate_evals/result/error/code",
    "gate_evals/result/error/message",
    "gate_evals/result/error/details",
}
"""What a provider says of its answer, and no digest of the contract holds."""
REFUSED = {
    "tool_calls/request_hash/value",
    "tool_calls/response_hash/value",
    "tool_calls/called_at/value",
    "tool_calls/correlation_id",
    "tool_calls/error/message",
    "tool_calls/error/details/info",
    "tool_calls/error/details/missing_providers",
    "tool_calls/error/details/required_capabilities",
    "tool_calls/error/details/blocked_by_policy",
}
"""What is said of calls that were repeated or refused (`call_requests`)."""
HELD = {"gate_evals/result/error/details/lane", "gate_evals/result/error/details/required"}
"""What is said of evidence whose lane is too low, as far as nobody knows the rules."""
DISPATCHED = {"packets/receipts/dispatcher"}
"""Who dispatched, where nobody knows the targets (`dispatchers`)."""


@pytest.mark.parametrize("known", [False, True])
def test_every_value_of_every_log_is_held_against_the_others_but_for_these(
    known: bool, long: tuple[ScenarioSpec, RunState]
) -> None:
    document, state = long
    scenario, knowledge = scenario_of(document), knowing(state) if known else Known()
    logs = plain(logs_of(state))
    unnoticed = set()
    for path, value in list(_leaves({name: logs[name] for name in logs if isinstance(logs[name], list)})):
        holder = logs
        for step in path[:-1]:
            holder = holder[step]
        holder[path[-1]] = _other(value)
        try:
            noticed = bool(redecide(scenario, converted(logs, Logs), knowledge).findings)
        except InterlockError:
            noticed = True
        if not noticed:
            unnoticed.add("/".join(step for step in path if isinstance(step, str)).replace("/evidence/", "/"))
        holder[path[-1]] = value
    assert unnoticed == (ANSWERED | REFUSED if known else ANSWERED | REFUSED | HELD | DISPATCHED)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value that holds no other, with the way to it."""
    if isinstance(value, dict | list):
        for step, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(item, (*path, step))
    else:
        yield path, value


def _other(value: Any) -> Any:
    """Another value of the same kind, where there is one."""
    pairs = {"True": "False", "False": "Unknown", "Unknown": "True", "verified": "asserted", "asserted": "verified"}
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if value is None or len(value) != 64:
        return "x" if value is None else pairs.get(value, f"{value}x")
    return ("1" if value[0] == "0" else "0") + value[1:]
