"""IO of a replayed attempt: every answer comes from the record (seed 001, `replay_io`).

What it does: gives a handler the surface of `surface.Io` and answers from facts that the run has recorded, compares
what it is told (requests, values, kinds of draws) with what was told then, and notes what was read and what was
missing. What it does not do: it is given no router, opens no transport, writes nothing, and reads no clock and no
entropy; it never falls back.

Rules: a call without a key is `missing_fact_key`, an unknown key `missing_fact`, and bytes that the store has lost are
neither: they are `record_incomplete`. An attempt sees the facts that were recorded before its end; those that it
recorded itself `get_recorded_fact` does not reveal before it has asked for them. A wait that ended the attempt then
ends it now.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Any, TypeVar

import msgspec
from msgspec import UNSET

from interlock.base.canonical import canonical, digest
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import fact_key
from interlock.base.merkle_map import MerkleMap
from interlock.base.secret_scan import refuse_secrets
from interlock.engine.attempt import Scope, Suspend
from interlock.engine.authoring import Plan
from interlock.engine.config import RunConfig, read_manifest
from interlock.engine.context import RunContext
from interlock.engine.decide import EngineSettings
from interlock.engine.errors import (
    FACT_PAYLOAD_CONFLICT,
    FACT_PAYLOAD_INVALID,
    FACT_REQUEST_MISMATCH,
    MISSING_FACT_KEY,
)
from interlock.engine.io.secret_facts import answer_of
from interlock.engine.io.surface import RANDOM, TIME, Io, IoCall, IoResult, digest_of_request, drawn_key, named
from interlock.engine.pipelines.pipeline import start_values
from interlock.engine.plan import StateNode
from interlock.engine.run_state import Fact, Wait, wait_key
from interlock.engine.spawning import SpawnedChild, child_key
from interlock.engine.waits import answer_in, check_limits, check_timely, schema_of
from interlock.journal.ports import Artifacts

MISSING_FACT = ErrorCode(
    "missing_fact",
    Category.NOT_FOUND,
    "The run never recorded this: replay it with the code that ran, or start a new run.",
)
ERRORS = (MISSING_FACT,)
T = TypeVar("T")


class ReplayedAttempt(Scope):
    """What a recorded attempt knew, and what its replay asks for.

    `facts` are those of the run before the attempt ended, `fresh` the keys of those that were recorded while it was
    open, `waiting` the waits that ended it and `known_waits` those that its state had before.
    """

    __slots__ = (
        "artifacts",
        "facts",
        "fresh",
        "known_waits",
        "missing",
        "number",
        "read",
        "retryable",
        "settings",
        "waiting",
        "waits",
    )

    def __init__(
        self,
        node: StateNode,
        number: int,
        artifacts: Artifacts,
        facts: Mapping[str, Fact],
        fresh: AbstractSet[str],
        waiting: AbstractSet[str],
        known_waits: Mapping[str, Wait],
        settings: EngineSettings,
        *,
        retryable: bool,
    ) -> None:
        super().__init__(node)
        self.settings = settings
        self.number = number
        self.artifacts = artifacts
        self.facts = facts
        self.fresh = fresh
        self.waiting = waiting
        self.known_waits = known_waits
        self.retryable = retryable
        self.read: set[str] = set()
        self.waits: dict[str, str] = {}
        """What was waited for, with its kind."""
        self.missing: list[str] = []
        """What the record has no answer to: keys of facts, or the namespace of a call without a key."""

    def found(self, key: str) -> Fact | None:
        """The fact of a key, which counts as read."""
        fact = self.facts.get(key)
        if fact is not None:
            self.read.add(key)
        return fact

    def unknown(self, key: str) -> InterlockError:
        """The error of a key that the record does not have."""
        self.missing.append(key)
        kind = replace(MISSING_FACT, retryable=self.retryable)
        return kind.error(f"the run has recorded no fact {key} by the end of this attempt", key=key)


class ReplayIo(Io):
    """The IO of one attempt that happened before."""

    def __init__(self, attempt: ReplayedAttempt) -> None:
        super().__init__(attempt.node.id)
        self._attempt = attempt

    async def call(self, call: IoCall) -> IoResult:
        """The recorded answer. Raises: `missing_fact_key`, `missing_fact`, `fact_request_mismatch`."""
        attempt = self._attempt
        attempt.check_open()
        request = canonical(call.request)
        refuse_secrets(request, f"request of {call.namespace}")
        if call.fact_key is None:
            attempt.missing.append(call.namespace)
            raise MISSING_FACT_KEY.error(f"a call through {call.namespace} without a fact key cannot be replayed")
        key = named(call.fact_key)
        fact = self._fact(key)
        if fact.request_digest != digest_of_request(call.namespace, request):
            raise FACT_REQUEST_MISMATCH.error(f"the fact {key} answers another request", key=key)
        answer = answer_of(attempt.settings, key, fact, await self._payload(fact), secret=call.secret)
        return IoResult(answer, fact.payload_id)

    async def record_value(self, key: str, value: Any) -> str:
        """The recorded value's id, if it is this value. Raises: `missing_fact`, `fact_payload_conflict`."""
        self._attempt.check_open()
        key = named(key)
        payload = canonical(value)
        fact = self._attempt.found(key)
        if fact is None:
            refuse_secrets(payload, f"fact {key}")
            raise self._attempt.unknown(key)
        if fact.payload_id != digest(payload):
            raise FACT_PAYLOAD_CONFLICT.error(f"the fact {key} is bound to another value", key=key)
        return fact.payload_id

    async def get_recorded_fact(self, key: str) -> str | None:
        """Artifact id of the payload that was bound to `key` at this point, or None."""
        attempt = self._attempt
        attempt.check_open()
        key = fact_key(key)
        if key in attempt.fresh and key not in attempt.read:
            return None
        fact = attempt.found(key)
        return None if fact is None else fact.payload_id

    async def spawn(
        self,
        plan: Any,
        input: Any = None,  # noqa: A002 - the contract's own word
        *,
        name: str,
        config: RunConfig | None = None,
        detached: bool = False,
    ) -> str:
        """The recorded child; nothing is started. Raises: `missing_fact`, `fact_request_mismatch`."""
        del detached
        self._attempt.check_open()
        key = fact_key(child_key(self._state_id, name))
        refuse_secrets(key.encode(), "name of a child run")
        child = msgspec.json.decode(await self._payload(self._fact(key)), type=SpawnedChild)
        execution = plan.build() if isinstance(plan, Plan) else plan
        given, _ = start_values(execution, input, config)
        manifest = read_manifest(child.child_manifest_id, await self._content(child.child_manifest_id))
        params = {} if given is None else msgspec.to_builtins(given, str_keys=True, order="deterministic")
        if manifest.op_id != execution.op_id or canonical(manifest.input_params) != canonical(params):
            raise FACT_REQUEST_MISMATCH.error(f"the child {name} was started with another plan or input", key=key)
        return child.child_run_id

    async def _wait(self, name: str, kind: type[T], wait_kind: str, **options: Any) -> T:
        attempt = self._attempt
        attempt.check_open()
        key = fact_key(wait_key(self._state_id, name))
        refuse_secrets(key.encode(), "name of a wait")
        fact = None if name in attempt.waiting else attempt.found(key)
        if fact is None:
            if name not in attempt.known_waits:
                schema_of(kind, options.get("schema"))
                limits = options.get("timeout_ms"), options.get("until_ms"), options.get("default", UNSET)
                check_limits(name, *limits)
            attempt.waits[name] = wait_kind
            raise Suspend
        check_timely(name, fact.kind)
        return answer_in(name, await self._payload(fact), kind)

    async def _drawn(self, key: str, kind: str, count: int) -> bytes:
        del count
        self._attempt.check_open()
        key = named(key)
        fact = self._attempt.found(key)
        if fact is None:
            self._check_order(key, kind)
            raise self._attempt.unknown(key)
        if fact.kind != kind:
            raise FACT_PAYLOAD_INVALID.error(f"the fact {key} is of kind {fact.kind}", key=key)
        return await self._payload(fact)

    def _check_order(self, key: str, kind: str) -> None:
        """Notice that another kind was drawn under this name: the draws of the handler have another order now (R8)."""
        other = TIME if kind == RANDOM else RANDOM
        name = key.removeprefix(drawn_key(kind, self._state_id, ""))
        if drawn_key(other, self._state_id, name) in self._attempt.facts:
            raise FACT_PAYLOAD_INVALID.error(f"the draw {name} of {self._state_id} was of another kind", key=key)

    def _fact(self, key: str) -> Fact:
        fact = self._attempt.found(key)
        if fact is None:
            raise self._attempt.unknown(key)
        return fact

    async def _payload(self, fact: Fact) -> bytes:
        return await self._content(fact.payload_id)

    async def _content(self, artifact_id: str) -> bytes:
        [content] = await self._attempt.artifacts.get([artifact_id])
        return content

    def _context_at(self, snapshot_id: str) -> RunContext:
        return RunContext(MerkleMap.load(snapshot_id), self._attempt.artifacts)
