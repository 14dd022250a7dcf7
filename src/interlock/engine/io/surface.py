"""What a handler may ask of the outside, the same whether it is asked live or of the record (seed 001, `io`).

What it does: declares `Io` with its requests and answers, and does what needs no more than the answers themselves:
named time and entropy, keys of facts, digests of requests. What it does not do: it gets no answer; `live` asks the
outside and records, `replay` reads what was recorded.

Rules: a key of a fact is a function of the state and of a name that its author chose, or of the ordinal of an unnamed
draw; one counter numbers all unnamed draws of an attempt.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import orjson
from msgspec import UNSET, Struct

from interlock.base.canonical import Json, digest
from interlock.base.ids import fact_key
from interlock.base.secret_scan import refuse_secrets
from interlock.engine.config import RunConfig
from interlock.engine.context import RunContext
from interlock.engine.errors import FACT_KEY_RESERVED, FACT_PAYLOAD_INVALID
from interlock.engine.run_state import WAIT_PREFIX
from interlock.engine.waits import CHILD, SIGNAL, SLEEP

RANDOM_BYTES_MAX = 65_536
TIME, RANDOM = "time", "bytes"
"""Kinds of facts that are drawn."""
_PREFIX = {TIME: "time", RANDOM: "random"}
T = TypeVar("T")


class IoCall(Struct, frozen=True):
    """A request to the outside: `namespace` picks the transport, `fact_key` records the answer, `secret` seals it."""

    namespace: str
    request: Any
    fact_key: str | None = None
    idempotency_key: str | None = None
    secret: bool = False


class IoResult(Struct, frozen=True):
    """The answer (of a secret call a `SecretValue`), and the artifact that records it."""

    response: Any
    recorded_payload_id: str | None


class ChildResult(Struct, frozen=True):
    """How a child run ended: `status` is completed, failed or cancelled."""

    child_run_id: str
    final_snapshot_id: str | None
    status: str


class Io(ABC):
    """The IO of one attempt."""

    def __init__(self, state_id: str) -> None:
        self._state_id = state_id
        self._ordinals = 0

    @abstractmethod
    async def call(self, call: IoCall) -> IoResult:
        """Send a request, or give back the answer that a fact of its key records.

        Raises: `missing_fact_key`, `fact_request_mismatch`, `side_effects_undeclared`, `idempotency_key_reused`,
        `side_effect_outcome_unknown`, `io_unknown_namespace`, `secrets_detected`, of secret calls `secret_key_…`,
        `fact_is_secret` and `sealed_…`, and the transport's own errors.
        """

    @abstractmethod
    async def record_value(self, key: str, value: Any) -> str:
        """Bind a deterministic value to a fact key; return its artifact id.

        Raises: `fact_payload_conflict` when the key is bound to another value.
        """

    @abstractmethod
    async def get_recorded_fact(self, key: str) -> str | None:
        """Artifact id of the payload bound to `key`, or None."""

    async def now(self, name: str) -> int:
        """The time in milliseconds, drawn once for this state and name: the same over attempts and processes."""
        key = drawn_key(TIME, self._state_id, name)
        return _time_in(key, await self._drawn(key, TIME, 0))

    async def random(self, name: str, count: int) -> bytes:
        """`count` random bytes, drawn once for this state and name. Raises: `fact_payload_invalid` on another count."""
        if not 0 < count <= RANDOM_BYTES_MAX:
            raise FACT_PAYLOAD_INVALID.error(f"draw 1 to {RANDOM_BYTES_MAX} bytes", count=count)
        key = drawn_key(RANDOM, self._state_id, name)
        drawn = await self._drawn(key, RANDOM, count)
        if len(drawn) != count:
            raise FACT_PAYLOAD_INVALID.error(f"the fact {key} has {len(drawn)} bytes", key=key)
        return drawn

    async def wait(
        self,
        name: str,
        kind: type[T] = object,  # type: ignore[assignment]  # any JSON value is an object
        *,
        schema: Mapping[str, Any] | None = None,
        timeout_ms: int | None = None,
        until_ms: int | None = None,
        default: Any = UNSET,
    ) -> T:
        """The answer that somebody outside gives to `name`; until it is there, the run waits and holds nothing.

        The value is read as `kind`, and held against its JSON Schema (or `schema`) when it is sent. At the deadline the
        wait ends with `default`, or raises `wait_timed_out`. Raises: also `wait_invalid`.
        """
        limits: dict[str, Any] = {"timeout_ms": timeout_ms, "until_ms": until_ms, "default": default}
        return await self._wait(name, kind, SIGNAL, schema=schema, **limits)

    async def sleep(self, name: str, ms: int) -> None:
        """Wait for `ms` milliseconds from the first time this is reached, without holding anything."""
        await self._wait(name, object, SLEEP, timeout_ms=ms, default=None)

    @abstractmethod
    async def spawn(
        self,
        plan: Any,
        input: Any = None,  # noqa: A002 - the contract's own word
        *,
        name: str,
        config: RunConfig | None = None,
        detached: bool = False,
    ) -> str:
        """Start a child run, once; return its run id. It is cancelled with this run unless it is `detached`.

        Raises: `child_run_conflict`, `child_limit_exceeded`, and what starting a run raises.
        """

    async def child(
        self,
        plan: Any,
        input: Any = None,  # noqa: A002 - the contract's own word
        *,
        name: str,
        config: RunConfig | None = None,
    ) -> ChildResult:
        """Start a child run and wait until it has ended, well or not: the caller decides what that means."""
        await self.spawn(plan, input, name=name, config=config)
        return await self.joined(name)

    async def joined(self, name: str) -> ChildResult:
        """How the child `name` of this state has ended; waits until it has."""
        return await self._wait(f"child:{name}", ChildResult, CHILD)

    async def output(self, child: ChildResult, key: str) -> Json:
        """A value of the context that a child ended with; None where there is none."""
        if child.final_snapshot_id is None:
            return None
        raw = await self._context_at(child.final_snapshot_id).value(key)
        return None if raw is None else orjson.loads(raw)

    async def now_millis(self) -> int:
        """The contract's unnamed clock: named by its ordinal among unnamed draws of the attempt."""
        return await self.now(self._ordinal())

    async def random_bytes(self, count: int) -> bytes:
        """The contract's unnamed entropy: named by its ordinal among unnamed draws of the attempt."""
        return await self.random(self._ordinal(), count)

    @abstractmethod
    async def _drawn(self, key: str, kind: str, count: int) -> bytes:
        """The recorded draw of a kind; a live one draws it first."""

    @abstractmethod
    async def _wait(self, name: str, kind: type[T], wait_kind: str, **options: Any) -> T:
        """The value of a wait, or the end of the attempt."""

    @abstractmethod
    def _context_at(self, snapshot_id: str) -> RunContext:
        """The context of a snapshot."""

    def _ordinal(self) -> str:
        self._ordinals += 1
        return f"#{self._ordinals}"


def drawn_key(kind: str, state_id: str, name: str) -> str:
    """The key of a drawn fact."""
    return f"{_PREFIX[kind]}:{state_id}:{name}"


def digest_of_request(namespace: str, request: bytes) -> str:
    """What a fact keeps of the request that it answers: the digest of its namespace and canonical bytes."""
    return digest(namespace.encode() + b"\n" + request)


def named(key: str) -> str:
    """A key that may be kept: of the right form and no secret. Raises: `id_invalid`, `secrets_detected`."""
    refuse_secrets(fact_key(key).encode(), "key")
    if key.startswith((WAIT_PREFIX, "child:")):
        raise FACT_KEY_RESERVED.error("keys that begin with `wait:` or `child:` are the engine's")
    return key


def _time_in(key: str, content: bytes) -> int:
    """The time in a fact. Raises: `fact_payload_invalid`."""
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FACT_PAYLOAD_INVALID.error(f"the fact {key} is no time", key=key)
    return value
