"""One recorded attempt, enacted anew.

What it does: lets the handler work on the recorded base with the IO of the record, and says how it ended, what it
wrote and which events it told. What it does not do: it compares nothing (`replayer`) and appends nothing.

Rules: damage of the store is no outcome of a handler, even of one that swallows it. A handler whose attempt was cut
off from outside may be one that never ends, so it gets `HUNG_MS` and no more; the event loop's timer for that, and for
states that have a time limit of their own, is the only clock here, and no outcome that is compared depends on it unless
the limit itself is reached.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from interlock.base.canonical import digest
from interlock.base.errors import InterlockError
from interlock.base.secret_scan import redact_error_message
from interlock.engine import events as e
from interlock.engine.attempt import Recorder, ended
from interlock.engine.context import Context, RunContext
from interlock.engine.decide import EngineSettings
from interlock.engine.errors import STATE_TIMEOUT, error_info
from interlock.engine.io.replay import ReplayedAttempt, ReplayIo
from interlock.engine.perform import NOT_THE_STATES, leaves
from interlock.engine.replay.artifacts import RecordedArtifacts

HUNG_MS = 1_000
COMPLETED, FAILED, SUSPENDED = "completed", "failed", "suspended"
Told = tuple[str, str]
"""A domain event as it is compared: its name, and the digest of what it carries."""


class Enacted(Struct):
    """How an attempt ended now; `code` only where it failed."""

    outcome: str
    code: str | None
    message: str
    fact_key: str | None
    writes: dict[str, bytes | None]
    told: list[Told]


def told(record: e.DomainEmitted | e.ArtifactWritten) -> Told:
    """A domain event as it is compared."""
    if isinstance(record, e.ArtifactWritten):
        return f"artifact {record.kind}", digest(record.artifact_id.encode() + bytes(record.meta))
    return record.name, digest((record.payload_ref or "").encode() + b"\n" + bytes(record.payload))


class ReplayRecorder(Recorder):
    """Checks domain events as the live one does, and keeps what would be appended."""

    __slots__ = ("_artifacts", "_replayed", "_stored", "told")

    def __init__(self, attempt: ReplayedAttempt) -> None:
        self._state_id = attempt.node.id
        self._replayed = attempt
        self._stored: set[str] = set()
        self.told: list[Told] = []

    @property
    def _settings(self) -> EngineSettings:
        return self._replayed.settings

    def _check_open(self) -> None:
        self._replayed.check_open()

    async def _keep(self, records: Sequence[Struct]) -> None:
        self._replayed.check_open()
        self.told += [told(each) for each in records if isinstance(each, (e.DomainEmitted, e.ArtifactWritten))]

    async def _are_stored(self, ids: Sequence[str]) -> bool:
        others = [each for each in ids if each not in self._stored]
        return not others or all(await self._replayed.artifacts.exists(others))

    async def _store(self, kind: str, content: bytes) -> str:
        del kind
        identity = digest(content)
        self._stored.add(identity)
        return identity


async def enacted(
    attempt: ReplayedAttempt, base: RunContext, artifacts: RecordedArtifacts, limit_ms: int | None
) -> Enacted:
    """Let the handler of an attempt work again, for at most `limit_ms`. Raises: what damage of the store raises."""
    context, recorder = Context(base), ReplayRecorder(attempt)
    fault: BaseException | None = None
    limit: asyncio.Timeout | None = None
    try:
        handling = attempt.node.state.handle(context, ReplayIo(attempt), recorder)
        if limit_ms is None:
            await ended(handling, attempt.waits)
        else:
            limit = asyncio.timeout(limit_ms / 1000)
            async with limit:
                await ended(handling, attempt.waits)
    except (Exception, SystemExit, asyncio.CancelledError) as raised:  # noqa: BLE001 - each is an outcome
        _let_through(raised)
        is_late = limit is not None and limit.expired()
        fault = STATE_TIMEOUT.error(f"no end within {limit_ms} ms") if is_late else raised
    finally:
        attempt.closed = True
    if artifacts.damage is not None:
        raise artifacts.damage
    if fault is not None:
        return failed(fault, recorder.told)
    outcome = SUSPENDED if attempt.waits else COMPLETED
    return Enacted(outcome, None, outcome, None, context.writes, recorder.told)


def failed(fault: BaseException, events: list[Told]) -> Enacted:
    """The end of an attempt that failed. Raises: the fault itself where it is damage and not the handler's."""
    faults = list(leaves(fault)) if isinstance(fault, Exception) else [fault]
    for each in faults:
        if isinstance(each, InterlockError) and each.kind in NOT_THE_STATES:
            raise each
    info = error_info(faults[0] if len(faults) == 1 else fault)
    key = msgspec.json.decode(info.details) if isinstance(faults[0], InterlockError) else None
    named = key.get("key") if isinstance(key, dict) else None
    message = redact_error_message(info.message)
    return Enacted(FAILED, info.code, message, named if isinstance(named, str) else None, {}, events)


def _let_through(raised: BaseException) -> None:
    """Raise a cancellation that is the caller's own, not one that a handler made up."""
    task = asyncio.current_task()
    if isinstance(raised, asyncio.CancelledError) and task is not None and task.cancelling():
        raise raised
