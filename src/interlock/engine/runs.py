"""Runs, as an application uses them: start, resume, watch, ask.

What it does: claims a run, loads it, drives it through `loop`, waits out back-offs, and answers questions about runs.
What it does not do: it decides no step (`decide`) and orders no I/O inside a run (`loop`).

Rules: a run has one owner, whoever else asks watches and takes over when the claim ends; a known run id with the same
manifest attaches, with another it is a conflict; nothing is written before plan, input and configuration are checked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base import ids
from interlock.base.canonical import canonical, digest
from interlock.base.errors import Conflict, InterlockError
from interlock.base.events import Claim
from interlock.base.merkle_map import EMPTY_NODE, MerkleMap
from interlock.base.principal import ENGINE, Principal
from interlock.base.secret_scan import refuse_secrets
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.config import (
    BuildProvenance,
    RunConfig,
    RunManifest,
    check_supported,
    manifest_bytes,
)
from interlock.engine.context import SNAPSHOT_KIND, RunContext, encoded
from interlock.engine.decide import EngineSettings, Stop, check_history
from interlock.engine.errors import INPUT_INVALID, RUN_CONFLICT, RUN_HELD, RUN_NOT_FOUND
from interlock.engine.fold import RUN_FOLD, RunState
from interlock.engine.inbox import RESOLVE, Resolve, consequences
from interlock.engine.io.router import Router
from interlock.engine.loop import drive
from interlock.engine.ownership import ClaimKeeper
from interlock.engine.plan import ExecutionPlan
from interlock.engine.provenance import provenance
from interlock.engine.reader import RunReader
from interlock.engine.reports import (
    RunResult,
    Waiting,
    result_of,
    waiting_of,
)
from interlock.engine.session import Session
from interlock.engine.sources import Plans, absolute_source, source_folder
from interlock.journal.journal import Journal, Loaded
from interlock.journal.ports import EMPTY, Blob, Held
from interlock.journal.runner import Runner
from interlock.journal.streams import stream_id

MANIFEST_KIND = "Manifest"
PLAN_KIND = "Plan"


def _unless_lost(fault: Conflict) -> None:
    """Raise `fault`, unless it says that another owner has taken the run: then there is somebody to watch."""
    if fault.kind is not RUN_HELD:
        raise fault


def _claimed(claim: Claim, epoch: int) -> e.OwnerClaimed:
    return e.OwnerClaimed(claim.epoch, epoch, claim.expires_ms, claim.owner)


def _input_members(given: Any, plan: ExecutionPlan) -> dict[str, bytes]:
    """The members of a run's input as first context. Raises: `run_input_invalid`, `secrets_detected`."""
    try:
        members = {} if given is None else msgspec.to_builtins(given, str_keys=True, order="deterministic")
    except (TypeError, ValueError) as fault:
        raise INPUT_INVALID.error(f"the input is not JSON ({type(fault).__name__})") from None
    if not isinstance(members, dict):
        raise INPUT_INVALID.error("the input is not an object with named members")
    shadowed = sorted({node.id.split(".")[1] for node in plan.states}.intersection(members))
    if shadowed:
        raise INPUT_INVALID.error(f"the input has a member named like the state {shadowed[0]}", member=shadowed[0])
    return {ids.context_key(key): encoded(value, f"input {key}") for key, value in members.items()}


class Runs:
    """The runs of one tenant on one journal. One instance serves a process."""

    def __init__(
        self, journal: Journal, runner: Runner, plans: Plans, router: Router, settings: EngineSettings
    ) -> None:
        self._journal = journal
        self._runner = runner
        self.plans = plans
        self._router = router
        self._settings = settings
        self._keeper = ClaimKeeper(journal.store.activations, journal.clock, settings.claim_lease_ms)
        self.read = RunReader(journal)

    async def close(self) -> None:
        """Stop renewing claims; runs that are being driven lose them when they lapse."""
        await self._keeper.close()

    async def start(
        self,
        plan: Plan | ExecutionPlan,
        input: Any = None,  # noqa: A002 - the contract's own word
        *,
        run_id: str | None = None,
        config: RunConfig | None = None,
        source: str | None = None,
        build: BuildProvenance | None = None,
        detach: bool = False,
        principal: Principal = ENGINE,
    ) -> RunResult:
        """Start a run and drive it until it ends or waits; a known id with the same manifest attaches.

        `input` is a JSON object or a record: its members are the first context. `detach` returns once the start is
        durable and leaves the driving to a later `resume`. `principal` is recorded as who started it.

        Raises: `plan_invalid`, `run_input_invalid`, `run_config_unsupported`, `secrets_detected`, `run_conflict`;
        storage errors.
        """
        execution = self.plans.add(plan)
        config = config or RunConfig()
        check_supported(config)
        given = _input_members(input, execution)
        if run_id is None:
            run_id = ids.run_id_from_entropy(self._journal.entropy.random_bytes(16))
        if build is None:
            build = provenance(None if source is None else source_folder(source))
        params = {} if input is None else msgspec.to_builtins(input, str_keys=True, order="deterministic")
        manifest = RunManifest(execution.op_id, execution.version, params, config, build)
        content = manifest_bytes(manifest)
        refuse_secrets(content, "manifest")
        refuse_secrets(canonical(source), "plan source")
        stream = stream_id(principal.tenant, e.RUN, ids.run_id(run_id))
        [head] = await self._journal.store.events.heads([stream])
        if head == EMPTY:
            session = await self._opened(
                stream, run_id, execution, config, given, content, source, principal, owned=not detach
            )
            try:
                result = await self._begin(session, detach=detach)
            except Conflict as fault:
                _unless_lost(fault)
                result = None
            if result is not None:
                return result
        await self._check_same(stream, run_id, digest(content))
        return await (
            self.read.result(run_id, tenant=principal.tenant)
            if detach
            else self._drive_or_watch(stream, run_id, principal=principal)
        )

    async def resume(
        self,
        run_id: str,
        *,
        plan: Plan | ExecutionPlan | None = None,
        steal: bool = False,
        principal: Principal = ENGINE,
    ) -> RunResult:
        """Drive an interrupted run until it ends or waits; while another owner drives it, watch.

        `principal` is recorded as who took it over.

        Raises: `run_not_found`, `plan_not_found`, `plan_drifted`, `run_corrupt`; storage errors.
        """
        stream = stream_id(principal.tenant, e.RUN, ids.run_id(run_id))
        if plan is not None:
            self.plans.add(plan)
        return await self._drive_or_watch(stream, run_id, principal=principal, steal=steal)

    async def resolve(
        self,
        run_id: str,
        step: str,
        action: e.Resolution,
        reason: str,
        *,
        adopt: Any = None,
        principal: Principal,
        command_id: str | None = None,
    ) -> None:
        """Decide a parked effect: adopt a result, retry or abandon. The decision waits in the run's inbox.

        Raises: `run_not_found`, `resolve_invalid`, `secrets_detected`, `command_id_conflict`.
        """
        refuse_secrets(reason.encode("utf-8", "backslashreplace"), "reason")
        payload_id = None
        if action is e.Resolution.ADOPT:
            payload = canonical(adopt)
            refuse_secrets(payload, "adopted result")
            blob = Blob(digest(payload), "FactPayload", payload)
            [payload_id] = await self._journal.store.artifacts.put([blob])
        stream = stream_id(principal.tenant, e.RUN, ids.run_id(run_id))
        await self._runner.execute(RESOLVE, Resolve(stream, step, action, reason, payload_id), principal, command_id)

    async def _opened(
        self,
        stream: str,
        run_id: str,
        plan: ExecutionPlan,
        config: RunConfig,
        given: Mapping[str, bytes],
        manifest: bytes,
        source: str | None,
        principal: Principal,
        *,
        owned: bool,
    ) -> Session:
        """A session for a run that does not exist yet, with its opening folded; the first flush makes it exist."""
        context, blobs = await RunContext(MerkleMap.empty(), self._journal.store.artifacts).updated(given)
        if not given:
            blobs = [Blob(context.snapshot_id, SNAPSHOT_KIND, EMPTY_NODE)]
        blobs.append(Blob(digest(manifest), MANIFEST_KIND, manifest))
        blobs.append(Blob(plan.fingerprint, PLAN_KIND, plan.outline))
        now_ms = self._journal.now_ms()
        claim = Claim(stream, e.RUN, self._journal.store.owner, 1, now_ms + self._settings.claim_lease_ms)
        loaded = Loaded(RUN_FOLD.initial(stream), EMPTY, 0)
        session = Session(self._journal, loaded, plan, config, context, claim, self._settings, run_id, principal.id)
        opening: list[Struct] = [
            e.RunStarted(context.snapshot_id, digest(manifest), plan.op_id),
            e.PlanRecorded(plan.fingerprint, plan.version, None if source is None else absolute_source(source)),
        ]
        session.fold([*opening, _claimed(claim, 1)] if owned else opening, blobs)
        return session

    async def _begin(self, session: Session, *, detach: bool) -> RunResult | None:
        if detach:
            await session.flush()
            return result_of(session.run_id, session.state, waiting_of(session.state, None))
        with self._keeper.keep(session.claim):
            result = await self._drive(session)
        return await self._waited_out(result)

    async def _check_same(self, stream: str, run_id: str, manifest_id: str) -> None:
        loaded = await self._journal.load(RUN_FOLD, stream)
        if loaded.state.manifest_id != manifest_id:
            raise RUN_CONFLICT.error("this run id belongs to a run with another manifest", run_id=run_id)

    async def _drive_or_watch(
        self, stream: str, run_id: str, *, principal: Principal = ENGINE, steal: bool = False
    ) -> RunResult:
        """Drive the run as soon as nobody else does; return when it has ended or waits for somebody."""
        store, settings = self._journal.store, self._settings
        seen = store.doorbell.seen()
        loaded = await self._journal.load(RUN_FOLD, stream)
        look_ms = 0
        while True:
            now_ms = self._journal.now_ms()
            # Asked before the events are read: an owner that is gone because the run has ended shows in them.
            owner = await store.activations.holder(stream, now_ms)
            loaded = await self._journal.catch_up(RUN_FOLD, stream, loaded)
            if not loaded.state.exists:
                raise RUN_NOT_FOUND.error("there is no such run", run_id=run_id)
            if loaded.state.status is not None:
                return result_of(run_id, loaded.state, None)
            # Taking writes, so a watcher that its owner's appends wake up tries it only now and then.
            if owner is None or steal or now_ms >= look_ms:
                look_ms = now_ms + settings.watch_interval_ms
                claim = await store.activations.take(
                    stream, e.RUN, store.owner, now_ms, settings.claim_lease_ms, steal=steal
                )
                if not isinstance(claim, Held):
                    result = await self._taken(claim, loaded, run_id, principal)
                    if result is not None:
                        return result
                    steal = False
                    loaded = await self._journal.load(RUN_FOLD, stream)
                    continue
            seen = await store.doorbell.wait(seen, settings.watch_interval_ms)

    async def _taken(
        self, claim: Claim, loaded: Loaded[RunState], run_id: str, principal: Principal
    ) -> RunResult | None:
        """Own a claimed run; None when it is to be looked at again."""
        try:
            with self._keeper.keep(claim):
                outcome = await self._own(claim, loaded, run_id, principal)
        except Conflict as fault:
            _unless_lost(fault)
            return None
        return await self._waited_out(outcome)

    async def _own(self, claim: Claim, loaded: Loaded[RunState], run_id: str, principal: Principal) -> RunResult:
        """Take a claimed run from where its history stands, and drive it."""
        activations = self._journal.store.activations
        try:
            # Read after the claim, so that no wake is lost. `loaded` is consumed: the session goes on with it.
            loaded = await self._journal.catch_up(RUN_FOLD, claim.stream, loaded)
            entries = await self._inbox(loaded.state)
            waiting = None if entries else waiting_of(loaded.state, None)
            if loaded.state.status is not None or (waiting is not None and self._is_still(waiting)):
                await activations.release([claim], None if waiting is None else waiting.until_ms)
                return result_of(run_id, loaded.state, waiting)
            session = await self._session(claim, loaded, run_id, principal)
            session.fold([_claimed(claim, loaded.state.epoch + 1), *consequences(loaded.state, entries)])
        except BaseException as fault:
            await self._let_go(claim, fault)
            raise
        return await self._drive(session)

    def _is_still(self, waiting: Waiting) -> bool:
        """Whether a run has nothing to do now: then nothing is written by looking at it."""
        return waiting.kind == "parked" or (waiting.until_ms or 0) > self._journal.now_ms()

    async def _session(self, claim: Claim, loaded: Loaded[RunState], run_id: str, principal: Principal) -> Session:
        state = loaded.state
        manifest = await self.read.manifest(state)
        plan = self.plans.find(state.op_id, state.plan_version, state.plan_source)
        check_history(state, plan)
        context = self.read.context_at(state.checkpoint)
        await context.check()  # a checkpoint that is damaged must stop the run before it goes on (S4)
        return Session(
            self._journal,
            loaded,
            plan,
            manifest.run_config,
            context,
            claim,
            self._settings,
            run_id,
            principal.id,
        )

    async def _drive(self, session: Session) -> RunResult:
        """Drive a session to its end or to a wait."""
        try:
            decision = await drive(session, self._router)
        except BaseException as fault:
            if session.begun:  # else the claim was never written, and one of that name is somebody else's
                await self._let_go(session.claim, fault)
            raise
        if not isinstance(decision, Stop):
            return result_of(session.run_id, session.state, None)
        await self._journal.store.activations.release([session.claim], decision.until_ms)
        return result_of(session.run_id, session.state, waiting_of(session.state, None))

    async def _waited_out(self, result: RunResult) -> RunResult | None:
        """None once a back-off that this process sits out is over; else the result."""
        if result.waiting is None or result.waiting.until_ms is None:
            return result
        delay_ms = result.waiting.until_ms - self._journal.now_ms()
        if delay_ms > self._settings.backoff_held_ms_max:
            return result
        await asyncio.sleep(max(delay_ms, 0) / 1000)
        return None

    async def _let_go(self, claim: Claim, fault: BaseException) -> None:
        """Let the next owner in at once, unless the fault is that there is one: that owner is not touched by this."""
        lost = isinstance(fault, Conflict) and fault.kind is RUN_HELD
        with suppress(InterlockError):
            due_ms = None if lost else self._journal.now_ms()
            await asyncio.shield(self._journal.store.activations.release([claim], due_ms))

    async def _inbox(self, state: RunState) -> list[tuple[Any, Struct]]:
        page = await self._journal.tail(f"{state.stream}/inbox", state.inbox_seq)
        return [(event.place, event.record) for event in page if event.record is not None]
