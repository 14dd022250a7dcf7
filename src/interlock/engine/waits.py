"""Waits: facts that have not arrived yet, and the way they are asked for, answered and given up.

What it does: lets a handler ask for such a fact (`wait_for`), names it to the outside, checks an answer against the
schema that was asked for, and gives the events of a suspension, an answer and a deadline. What it does not do: it keeps
no timer (an event's `index` sets it) and reads no inbox (`inbox`).

Rules: a wait that has its fact returns it, at once and in every attempt; one that has none ends the attempt, which
spends no budget and holds nothing; its deadline and default are those of the first time that it was asked for; the
token is the same over attempts and processes, and is a name, not a secret.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

from interlock.base.bounds import EVENT_DATA_BYTES_MAX
from interlock.base.canonical import canonical, digest
from interlock.base.errors import InterlockError
from interlock.base.ids import fact_key, shown
from interlock.base.secret_scan import refuse_secrets, refuse_secrets_under
from interlock.engine import events as e
from interlock.engine.answer_schema import TooMuch, fault_of, validator_of
from interlock.engine.attempt import Attempt, OpenedWait, Suspend
from interlock.engine.errors import SIGNAL_INVALID, WAIT_INVALID, WAIT_TIMED_OUT
from interlock.engine.run_state import RunState, Wait, wait_key
from interlock.journal.ports import Blob

SIGNAL = "signal"
SLEEP = "sleep"
CHILD = "child"
TIMED_OUT = "timeout"
"""Kind of the fact of a wait whose deadline passed and that had no default."""

FACT_KIND = "FactPayload"
EARLY_MAX = 100
"""Answers that are kept for a wait before it is asked for; more are refused."""

EARLY_OF_STATE_MAX = 1_000
"""The same, over all waits of a state."""

WAITS_BYTES_MAX = EVENT_DATA_BYTES_MAX * 7 // 8
"""What the open waits of one state may take in the event that records them."""

WAIT_BYTES = 256
"""What a wait takes there at most beside its name and its schema: two digests, a time, a kind, the keys."""

EXPECTED_CHARACTERS_MAX = 120
SCHEMA_BYTES_MAX = 64 * 1024
NOTHING = canonical(None)
NOTHING_ID = digest(NOTHING)
NOTHING_BLOB = Blob(NOTHING_ID, FACT_KIND, NOTHING)
"""What a wait without a default ends with; stored with the event that ends it."""

_ANY = Raw(b"null")
_DOMAIN = b"interlock/wait/1\n"
T = TypeVar("T")


def token(run_id: str, state_id: str, name: str) -> str:
    """The name of a wait to the outside."""
    return digest(_DOMAIN + canonical([run_id, state_id, name]))


async def wait_for(
    attempt: Attempt,
    name: str,
    kind: type[T] = object,  # type: ignore[assignment]  # any JSON value is an object
    *,
    schema: Mapping[str, Any] | None = None,
    timeout_ms: int | None = None,
    until_ms: int | None = None,
    default: Any = UNSET,
    wait_kind: str = SIGNAL,
) -> T:
    """The value of a wait, once it has arrived; until then the attempt ends here.

    `timeout_ms` counts from the first time that the wait is asked for, `until_ms` is a time; at the deadline the wait
    ends with `default`, or raises `wait_timed_out` where there is none.
    Raises: `wait_invalid`, `wait_timed_out`, `context_deserialize_failed`.
    """
    attempt.check_open()
    state, node = attempt.session.state, attempt.node
    key = fact_key(wait_key(node.id, name))
    refuse_secrets(key.encode(), "name of a wait")
    fact = state.facts.get(key)
    if fact is None and early_answers(state, node.id, name):
        await _take_early(attempt, name, key, schema_of(kind, schema))
        fact = attempt.session.state.facts.get(key)
    if fact is None:
        opened = _opened(attempt, name, schema_of(kind, schema), timeout_ms, until_ms, default, wait_kind)
        if name in attempt.waits and attempt.waits[name] != opened:
            raise WAIT_INVALID.error(f"the wait {name} is asked for twice, differently", name=name)
        _ask(attempt, name, opened)
        raise Suspend
    check_timely(name, fact.kind)
    [content] = await attempt.session.journal.store.artifacts.get([fact.payload_id])
    return answer_in(name, content, kind)


def _ask(attempt: Attempt, name: str, opened: OpenedWait) -> None:
    """Keep what the handler waits for; it has to fit the one event of a suspension. Raises: `wait_invalid`."""
    if name in attempt.waits:
        return
    takes = len(canonical(name)) + len(opened.record.schema) + WAIT_BYTES
    if attempt.asked_bytes + takes > WAITS_BYTES_MAX:
        raise WAIT_INVALID.error(
            "a state asks for more waits at once than one event holds: wait for some in another state",
            name=name,
            waits=len(attempt.waits),
            limit_bytes=WAITS_BYTES_MAX,
        )
    attempt.asked_bytes += takes
    attempt.waits[name] = opened


def check_timely(name: str, fact_kind: str) -> None:
    """Refuse the fact of a wait that ended without an answer. Raises: `wait_timed_out`."""
    if fact_kind == TIMED_OUT:
        raise WAIT_TIMED_OUT.error(f"the wait {name} had no answer in time", name=name)


def answer_in(name: str, content: bytes, kind: type[T]) -> T:
    """The answer to a wait as `kind`. Raises: `signal_invalid`."""
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError:
        raise SIGNAL_INVALID.error(f"the answer to {name} has another type", name=name) from None


def schema_of(kind: object, schema: Mapping[str, Any] | None) -> Raw:
    """The JSON Schema of an answer: as given, else that of the type. Raises: `wait_invalid`."""
    if schema is None and kind is object:
        return _ANY
    try:
        content = canonical(dict(schema) if schema is not None else msgspec.json.schema(kind))
    except (TypeError, InterlockError) as fault:
        raise WAIT_INVALID.error("the type of a wait has no JSON schema") from fault
    if len(content) > SCHEMA_BYTES_MAX:
        raise WAIT_INVALID.error("the schema of a wait is too large", limit_bytes=SCHEMA_BYTES_MAX)
    why = None if schema is None else fault_of(content)
    if why is not None:
        raise WAIT_INVALID.error(why)
    return Raw(content)


def _opened(
    attempt: Attempt,
    name: str,
    schema: Raw,
    timeout_ms: int | None,
    until_ms: int | None,
    default: object | UnsetType,
    wait_kind: str,
) -> OpenedWait:
    known = attempt.session.state.waits.get(attempt.node.id, {}).get(name)
    if known is not None:
        return OpenedWait(_record(name, known))
    check_limits(name, timeout_ms, until_ms, default)
    if timeout_ms is not None:
        until_ms = attempt.session.clock.now_ms() + timeout_ms
    blobs: list[Blob] = []
    if default is not UNSET:
        content = canonical(msgspec.to_builtins(default, str_keys=True))
        refuse_secrets_under(name, content, "default of a wait")
        blobs.append(Blob(digest(content), FACT_KIND, content))
    default_id = blobs[0].id if blobs else None
    name_token = token(attempt.session.run_id, attempt.node.id, name)
    return OpenedWait(e.OpenWait(default_id, until_ms, wait_kind, name, schema, name_token), tuple(blobs))


def check_limits(name: str, timeout_ms: int | None, until_ms: int | None, default: object | UnsetType) -> None:
    """Refuse a deadline that makes no sense. Raises: `wait_invalid`."""
    if timeout_ms is not None and (until_ms is not None or timeout_ms < 0):
        raise WAIT_INVALID.error("give a wait a time-out that is not negative, or a time, and not both", name=name)
    if default is not UNSET and timeout_ms is None and until_ms is None:
        raise WAIT_INVALID.error("a default needs a deadline", name=name)


def _record(name: str, wait: Wait) -> e.OpenWait:
    return e.OpenWait(wait.default_id, wait.due_ms, wait.kind, name, wait.schema, wait.token, waited=True)


async def _take_early(attempt: Attempt, name: str, key: str, schema: Raw) -> None:
    """Answers that came before they were asked for: the first that fits is the fact, those before it are refused."""
    early = early_answers(attempt.session.state, attempt.node.id, name)
    contents = await attempt.session.journal.store.artifacts.get(early)
    records, fitting = _sifted(attempt.node.id, name, schema, early, dict(zip(early, contents, strict=True)))
    if fitting is not None:
        records.append(e.FactRecorded(key, "json", fitting, None))
    await attempt.record(records)


def _sifted(
    state_id: str, name: str, schema: Raw, early: Sequence[str], answers: Mapping[str, bytes]
) -> tuple[list[Struct], str | None]:
    """The refusals of early answers that do not fit, and the first that does."""
    refused: list[Struct] = []
    for payload_id in early:
        code = misfit(schema, answers[payload_id])
        if code is None:
            return refused, payload_id
        refused.append(e.SignalReceived("system:engine", code, name, payload_id, state_id))
    return refused, None


def misfit(schema: Raw, content: bytes) -> str | None:
    """The code that says why a payload does not fit the schema of its wait; None where it does."""
    if bytes(schema) == b"null":
        return None
    try:
        value = msgspec.json.decode(content)
        fits = validator_of(bytes(schema), value).is_valid(value)
    except (ValueError, RecursionError):  # a schema that is none, or takes too much, fits nothing
        fits = False
    return None if fits else SIGNAL_INVALID.code


def misplaced(schema: Raw, content: bytes) -> str:
    """Where a payload does not fit its schema, and what is expected there: words of the schema, none of the value."""
    document = msgspec.json.decode(schema)
    try:
        value = msgspec.json.decode(content)
        error = _first_error(validator_of(bytes(schema), value, tells=True), value)
    except TooMuch:
        return "the schema takes too much on a value of this size"
    except (ValueError, RecursionError):
        return "the schema itself is none"
    if error is None:
        return "it fits"
    expected = document
    for part in error.schema_path:
        expected = _below(expected, part)
    rule = error.schema_path[-1] if error.schema_path else "false"
    place = "".join(f".{shown(part)}" if isinstance(part, str) else f"[{part}]" for part in error.instance_path)
    wanted = msgspec.json.encode(expected).decode()[:EXPECTED_CHARACTERS_MAX]
    return f"at ${place} the schema wants {rule}: {wanted}"


def _first_error(judge: Any, value: Any) -> Any:
    """What is wrong first; the iterator of the library would gather everything that is."""
    import jsonschema_rs

    try:
        judge.validate(value)
    except jsonschema_rs.ValidationError as error:
        return error
    return None


def _below(value: Any, part: object) -> Any:
    try:
        return value[part]
    except (KeyError, IndexError, TypeError):
        return None


def suspension(
    state: RunState, state_id: str, opened: Sequence[OpenedWait], answers: Mapping[str, bytes]
) -> tuple[list[Struct], list[Blob]]:
    """The events of an attempt that ended to wait, and what to store with them.

    `answers` holds the bytes of what came for its waits while it ended, by artifact id. A wait of an earlier attempt
    that this one did not ask for is given up, with its timer.
    """
    names = {wait.record.name for wait in opened}
    dropped = [
        wait.token
        for name, wait in state.waits.get(state_id, {}).items()
        if name not in names and wait.due_ms is not None
    ]
    records: list[Struct] = [e.TimersCleared(tuple(dropped))] if dropped else []
    records.append(e.StateSuspended(state_id, tuple(wait.record for wait in opened)))
    for wait in (each.record for each in opened):
        early = early_answers(state, state_id, wait.name)
        refused, fitting = _sifted(state_id, wait.name, wait.schema, early, answers)
        records += refused
        if fitting is None:
            continue
        if wait.due_ms is not None:
            records.append(e.TimersCleared((wait.token,)))
        records.append(e.FactRecorded(wait_key(state_id, wait.name), "json", fitting, None))
    return records, [blob for wait in opened for blob in wait.blobs]


def early_answers(state: RunState, state_id: str, name: str) -> list[str]:
    """The artifacts of answers that came before their wait was recorded, in order."""
    return list(state.early.get(state_id, {}).get(name, ()))


def is_kept_no_more(state: RunState, state_id: str, name: str) -> bool:
    """Whether an answer is for no open wait, and as many of these are kept as may be."""
    early = state.early.get(state_id)
    if not early or name in state.waits.get(state_id, ()):
        return False
    return len(early.get(name, ())) >= EARLY_MAX or sum(map(len, early.values())) >= EARLY_OF_STATE_MAX


def expired(state_id: str, name: str, wait: Wait) -> list[Struct]:
    """The events of a wait whose deadline passed."""
    ends_well = wait.kind == SLEEP or wait.default_id is not None
    kind = "json" if ends_well else TIMED_OUT
    fact = e.FactRecorded(wait_key(state_id, name), kind, wait.default_id or NOTHING_ID, None)
    return [e.WaitExpired(name, state_id, wait.token), fact]
