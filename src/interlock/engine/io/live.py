"""Live IO: calls to the outside whose answers become facts.

What it does: gives a handler `call`, `record_value`, `get_recorded_fact`, time and entropy (seed 001, `io`), records
every keyed answer as a fact before handing it out, and makes an effect's intent durable before it is sent.
What it does not do: it opens nothing itself (transports do) and it never falls back: a recorded fact is the answer.

The procedure of a keyed call:
 1. a fact of that key answers at once, if it answers the same request; the transport is not touched
 2. an effect is refused unless its state declared side effects; its idempotency key is its own
 3. the intent (key, request digest) is appended, durable before the request is sent
 4. the transport sends; a failure that leaves the outcome open is in doubt unless a key lets it be repeated
 5. the answer is canonical, free of secrets or sealed, stored and bound to the key in one append, then returned
Calls of one key go in turn, over all attempts of the run (single flight). What waits is `waits`.
"""

from __future__ import annotations

from typing import Any, TypeVar

import orjson

from interlock.base.canonical import Json, canonical, digest
from interlock.base.errors import Category, InterlockError
from interlock.base.ids import fact_key
from interlock.base.secret_scan import refuse_secrets, refuse_secrets_under
from interlock.base.secrets import SecretValue
from interlock.engine import events as e
from interlock.engine.attempt import Attempt, check_artifact
from interlock.engine.config import RunConfig
from interlock.engine.context import RunContext
from interlock.engine.errors import (
    EFFECT_KEY_REUSED,
    EFFECT_UNDECLARED,
    EFFECT_UNKNOWN,
    FACT_PAYLOAD_CONFLICT,
    FACT_PAYLOAD_INVALID,
    FACT_REQUEST_MISMATCH,
    MISSING_FACT_KEY,
)
from interlock.engine.io.router import Router
from interlock.engine.io.secret_facts import SEALED, SEALED_KIND, answer_of, sealer
from interlock.engine.io.surface import TIME, Io, IoCall, IoResult, digest_of_request, named
from interlock.engine.io.transports.port import Transport, TransportContext
from interlock.engine.meta import SideEffectKind
from interlock.engine.run_state import Fact
from interlock.engine.spawning import Spawner
from interlock.engine.waits import FACT_KIND, wait_for
from interlock.journal.ports import Blob

T = TypeVar("T")


class LiveIo(Io):
    """The IO of one attempt that happens now."""

    def __init__(self, attempt: Attempt, router: Router, spawner: Spawner) -> None:
        super().__init__(attempt.node.id)
        self._attempt = attempt
        self._router = router
        self._spawner = spawner

    async def call(self, call: IoCall) -> IoResult:
        """As `Io.call`."""
        self._attempt.check_open()
        request = canonical(call.request)
        refuse_secrets(request, f"request of {call.namespace}")
        if call.fact_key is None:
            return await self._unrecorded(call)
        key = named(call.fact_key)
        async with self._attempt.session.turn_of(key):
            return await self._recorded(call, key, digest_of_request(call.namespace, request))

    async def record_value(self, key: str, value: Any) -> str:
        """As `Io.record_value`."""
        self._attempt.check_open()
        key = named(key)
        async with self._attempt.session.turn_of(key):
            payload = canonical(value)
            known = self._facts.get(key)
            if known is None:
                return await self._bind(key, "json", payload, None)
            if known.payload_id != digest(payload):
                raise FACT_PAYLOAD_CONFLICT.error(f"the fact {key} is bound to another value", key=key)
            return known.payload_id

    async def get_recorded_fact(self, key: str) -> str | None:
        """As `Io.get_recorded_fact`."""
        self._attempt.check_open()
        known = self._facts.get(fact_key(key))
        return None if known is None else known.payload_id

    async def spawn(
        self,
        plan: Any,
        input: Any = None,  # noqa: A002 - the contract's own word
        *,
        name: str,
        config: RunConfig | None = None,
        detached: bool = False,
    ) -> str:
        """As `Io.spawn`."""
        return await self._spawner.spawn(self._attempt, plan, input, name, config, detached=detached)

    async def _wait(self, name: str, kind: type[T], wait_kind: str, **options: Any) -> T:
        return await wait_for(self._attempt, name, kind, wait_kind=wait_kind, **options)

    def _context_at(self, snapshot_id: str) -> RunContext:
        return self._attempt.session.context_at(snapshot_id)

    @property
    def _facts(self) -> dict[str, Fact]:
        return self._attempt.session.state.facts

    def _draw(self, kind: str, count: int) -> bytes:
        session = self._attempt.session
        if kind == TIME:
            return str(session.clock.now_ms()).encode()
        return session.journal.entropy.random_bytes(count)

    async def _drawn(self, key: str, kind: str, count: int) -> bytes:
        self._attempt.check_open()
        key = named(key)
        async with self._attempt.session.turn_of(key):
            known = self._facts.get(key)
            if known is None:
                payload = self._draw(kind, count)
                await self._bind(key, kind, payload, None)
                return payload
            if known.kind != kind:
                raise FACT_PAYLOAD_INVALID.error(f"the fact {key} is of kind {known.kind}", key=key)
            return await self._payload(known)

    async def _payload(self, fact: Fact) -> bytes:
        [content] = await self._attempt.session.journal.store.artifacts.get([fact.payload_id])
        return content

    async def _bind(self, key: str, kind: str, payload: bytes, request_digest: str | None) -> str:
        check_artifact(self._attempt.session.settings, payload)
        if kind == "json":
            refuse_secrets_under(key, payload, f"fact {key}")
        blob = Blob(digest(payload), SEALED_KIND if kind == SEALED else FACT_KIND, payload)
        fact = e.FactRecorded(key, kind, blob.id, request_digest, self._attempt.node.id)
        await self._attempt.record([fact], [blob])
        return blob.id

    async def _unrecorded(self, call: IoCall) -> IoResult:
        transport = self._router.route(call.namespace)
        if self._is_effect(transport, call):
            raise MISSING_FACT_KEY.error(f"an effect through {call.namespace} needs a fact key")
        response = await transport.call(call.request, self._transport_context(None))
        return IoResult(SecretValue(canonical(response)) if call.secret else response, None)

    async def _recorded(self, call: IoCall, key: str, request_digest: str) -> IoResult:
        session, known = self._attempt.session, self._facts.get(key)
        if known is not None:
            if known.request_digest != request_digest:
                raise FACT_REQUEST_MISMATCH.error(f"the fact {key} answers another request", key=key)
            answer = answer_of(session.settings, key, known, await self._payload(known), secret=call.secret)
            return IoResult(answer, known.payload_id)
        keep = sealer(session.settings, session.journal.entropy, key, request_digest) if call.secret else None
        transport = self._router.route(call.namespace)
        if not self._is_effect(transport, call):
            response = await transport.call(call.request, self._transport_context(None))
        else:
            response = await self._effect(transport, call, key, request_digest)
        payload = canonical(response)
        kind, kept = ("json", payload) if keep is None else (SEALED, keep(payload))
        payload_id = await self._bind(key, kind, kept, request_digest)
        self._attempt.doubts.discard(key)
        return IoResult(orjson.loads(payload) if keep is None else SecretValue(payload), payload_id)

    def _is_effect(self, transport: Transport, call: IoCall) -> bool:
        """Whether the call counts as a write; refuses one from a state whose author did not say so."""
        if not transport.effectful(call.request):
            return False
        node = self._attempt.node
        if not node.declared or node.meta.side_effects is SideEffectKind.PURE:
            raise EFFECT_UNDECLARED.error(f"state {node.id} calls {call.namespace} without declaring side effects")
        return node.meta.side_effects is SideEffectKind.APPLY_SIDE_EFFECT

    async def _effect(self, transport: Transport, call: IoCall, key: str, request_digest: str) -> Json:
        attempt = self._attempt
        idempotency_key = call.idempotency_key or attempt.node.meta.idempotency
        if idempotency_key is not None:
            named(idempotency_key)
            resender = attempt.session.state.again.get(key)
            if resender is not None:  # a fork is to send the effect once more, and not be absorbed
                idempotency_key = f"{idempotency_key}#{resender}"
        self._check_intent(key, request_digest, idempotency_key)
        await attempt.record([e.EffectIntended(key, idempotency_key, call.namespace, request_digest, attempt.node.id)])
        if idempotency_key is None:
            attempt.doubts.add(key)
        try:
            return await transport.call(call.request, self._transport_context(idempotency_key))
        except InterlockError as fault:
            if fault.category is not Category.UNAVAILABLE:  # the port's rule: then nothing is in doubt
                attempt.doubts.discard(key)
                await attempt.record([e.EffectSettled(fault.code, key)])
                raise
            if idempotency_key is not None:
                raise
            raise EFFECT_UNKNOWN.error(f"nobody knows whether the effect {key} happened", key=key) from fault

    def _check_intent(self, key: str, request_digest: str, idempotency_key: str | None) -> None:
        state = self._attempt.session.state
        known = state.intents.get(key)
        if known is not None and known.request_digest != request_digest:
            raise FACT_REQUEST_MISMATCH.error(f"the effect {key} was intended with another request", key=key)
        if known is not None and known.idempotency_key is None:
            raise EFFECT_UNKNOWN.error(f"the effect {key} may have happened already", key=key)
        other = key if idempotency_key is None else state.effect_keys.get(idempotency_key, key)
        if other != key:
            raise EFFECT_KEY_REUSED.error(f"the effects {other} and {key} share an idempotency key", key=key)

    def _transport_context(self, idempotency_key: str | None) -> TransportContext:
        attempt = self._attempt
        return TransportContext(
            run_id=attempt.session.run_id,
            state_id=attempt.node.id,
            attempt=attempt.number,
            idempotency_key=idempotency_key,
            local_plan=True,  # a plan written in Python is code of this machine's user
            nix_flake_allowlist=attempt.session.config.nix_flake_allowlist,
        )
