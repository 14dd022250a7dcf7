"""What people and programs outside may tell a run: answers to its waits, orders, and files that belong to it.

What it does: checks what is told against the run as it stands, and puts it into the run's inbox; a run that nobody
drives takes it at once, without its plan's code. What it does not do: it drives nothing, and never writes to a run's
own stream.

Rules: what is told is durable when the call returns (the append is the acknowledgement); an answer to a wait that has
one is acknowledged and changes nothing; an order that cannot take effect is refused with what to do instead.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from msgspec import Raw

from interlock.base import ids
from interlock.base.canonical import canonical, digest
from interlock.base.ids import first_names, shown, step_name
from interlock.base.principal import Principal
from interlock.base.secret_scan import refuse_secrets, refuse_secrets_under
from interlock.engine import events as e
from interlock.engine.attachments import Label
from interlock.engine.attempt import check_artifact
from interlock.engine.authoring import Plan
from interlock.engine.budget import BudgetSettings, check
from interlock.engine.config import RetryPolicy
from interlock.engine.control import inbox_events as i
from interlock.engine.control.tell import RESOLVE, TELL, Resolve, keeping, tell
from interlock.engine.decide import EngineSettings
from interlock.engine.errors import (
    MIGRATION_IMPOSSIBLE,
    MIGRATION_UNSEEN,
    RUN_ENDED,
    SIGNAL_INVALID,
    STEP_NOT_READY,
    WAIT_UNKNOWN,
)
from interlock.engine.lineage.migrate import Migration, compared
from interlock.engine.opening import plan_blob
from interlock.engine.plan import ExecutionPlan, read_outline
from interlock.engine.reports.fitting import what_fits
from interlock.engine.reports.reader import RunReader
from interlock.engine.run_state import WAIT_PREFIX, RunState, wait_key
from interlock.engine.sources import absolute_source, named_source
from interlock.engine.waits import FACT_KIND, misfit, misplaced, token
from interlock.journal.journal import Journal, Loaded
from interlock.journal.runner import Runner
from interlock.journal.streams import parse_stream, stream_id

REASON_CHARACTERS_MAX = 2000

Settle = Callable[[str, str, Loaded[RunState] | None], Awaitable[None]]
"""Lets a run (its stream, its id, and its state if that is at hand) take what its inbox holds, if nobody drives it."""


class Control:
    """Tells runs of one journal things. One instance serves a process."""

    def __init__(
        self,
        journal: Journal,
        runner: Runner,
        read: RunReader,
        settle: Settle,
        settings: EngineSettings,
        budget: BudgetSettings,
    ) -> None:
        self._journal = journal
        self._runner = runner
        self._read = read
        self._settle = settle
        self._settings = settings
        self._budget = budget

    async def signal(
        self,
        run_id: str,
        step: str | None,
        name: str,
        value: Any = None,
        *,
        early: bool = False,
        principal: Principal,
        command_id: str | None = None,
    ) -> bool:
        """Answer the wait `name` of a step; `name` is its token where `step` is None.

        A step that waits for nothing takes any name, for later; one that waits for something else refuses it unless
        it is `early` on purpose. False where the wait had its answer already: that one counts.
        Raises: `run_not_found`, `run_ended`, `step_unknown`, `wait_unknown`, `signal_invalid`, `secrets_detected`.
        """
        state = await self._read.state(run_id, tenant=principal.tenant)
        state_id, name = _by_token(state, name) if step is None else (await self._state_id(state, step), name)
        payload = canonical(msgspec.to_builtins(value, str_keys=True))
        refuse_secrets_under(name, payload, "signal")
        wait = state.waits.get(state_id, {}).get(ids.fact_key(name))
        if wait is not None and misfit(wait.schema, payload) is not None:
            where, words = misplaced(wait.schema, payload), what_fits(msgspec.json.decode(wait.schema))
            fits = "" if words is None else f"; what fits is {words}"
            raise SIGNAL_INVALID.error(f"the value does not fit the schema of {shown(name)}: {where}{fits}", name=name)
        if wait_key(state_id, name) in state.facts:
            return False
        if wait is None and not early:
            _refuse_stray(state, state_id, name)
        stream = state.stream
        entry = i.SignalSent(name, digest(payload), stream, state_id)
        await self._tell(run_id, entry, stream, principal, command_id, payload)
        return True

    async def cancel(self, run_id: str, reason: str, *, principal: Principal, command_id: str | None = None) -> None:
        """Ask a run to end as cancelled; its owner interrupts what is under way. Raises: `run_ended`."""
        stream = _stream(run_id, principal)
        await self._tell(run_id, i.CancelRequested(_reason(reason), stream), stream, principal, command_id)

    async def pause(self, run_id: str, reason: str, *, principal: Principal, command_id: str | None = None) -> None:
        """Let a run enter no more states; attempts under way go on to their end. Raises: `run_ended`."""
        stream = _stream(run_id, principal)
        await self._tell(run_id, i.PauseRequested(_reason(reason), stream), stream, principal, command_id)

    async def unpause(self, run_id: str, reason: str, *, principal: Principal, command_id: str | None = None) -> None:
        """Let a paused run go on. Raises: `run_ended`."""
        stream = _stream(run_id, principal)
        await self._tell(run_id, i.UnpauseRequested(_reason(reason), stream), stream, principal, command_id)

    async def skip(
        self, run_id: str, step: str, reason: str, *, principal: Principal, command_id: str | None = None
    ) -> None:
        """Pass a step over: it completes without its handler. Raises: `step_unknown`, `step_not_ready`."""
        stream, state_id = await self._step(run_id, step, principal)
        await self._tell(run_id, i.SkipRequested(_reason(reason), stream, state_id), stream, principal, command_id)

    async def retry(
        self,
        run_id: str,
        step: str,
        reason: str,
        *,
        reset: bool = False,
        principal: Principal,
        command_id: str | None = None,
    ) -> None:
        """Try a failed step again now; `reset` gives it its whole budget. Raises: `step_unknown`, `step_not_ready`."""
        stream, state_id = await self._step(run_id, step, principal)
        entry = i.RetryRequested(_reason(reason), reset, stream, state_id)
        await self._tell(run_id, entry, stream, principal, command_id)

    async def edit(
        self,
        run_id: str,
        step: str,
        reason: str,
        *,
        retry: RetryPolicy | None = None,
        timeout_ms: int | None = None,
        principal: Principal,
        command_id: str | None = None,
    ) -> None:
        """Give a step another retry policy or time limit; manifest and plan fingerprint stay.

        Raises: `step_unknown`, `step_not_ready`.
        """
        stream, state_id = await self._step(run_id, step, principal)
        policy = Raw(canonical(msgspec.to_builtins(retry)))
        entry = i.EditRequested(_reason(reason), policy, stream, state_id, timeout_ms)
        await self._tell(run_id, entry, stream, principal, command_id)

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
        """Decide a parked step: adopt a result, retry or abandon.

        Raises: `run_not_found`, `resolve_invalid`, `secrets_detected`, `command_id_conflict`.
        """
        payload_id, decider = None, RESOLVE
        if action is e.Resolution.ADOPT:
            payload = canonical(adopt)
            state = await self._read.state(run_id, tenant=principal.tenant)
            parked = [each.fact_key for id_, each in state.parked.items() if step in (id_, step_name(id_))]
            refuse_secrets_under(next(filter(None, parked), ids.fact_key(step)), payload, "adopted result")
            payload_id, decider = digest(payload), keeping(RESOLVE, payload)
        stream = _stream(run_id, principal)
        command = Resolve(stream, step, action, _reason(reason), payload_id)
        await self._runner.execute(decider, command, principal, command_id)
        await self._settle(stream, run_id, self._runner.hand_over(RESOLVE, stream))

    @property
    def attached_bytes_max(self) -> int:
        """Bytes of one file that is attached."""
        return self._settings.artifact_bytes_max

    async def check_attachable(self, run_id: str, *, principal: Principal, command_id: str | None = None) -> None:
        """Refuse, before its bytes are read, what could not be attached. Raises: `run_not_found`, `run_ended`.

        A command that has an id may have been carried out before the run has ended: that is told when it is repeated.
        """
        state = await self._read.state(run_id, tenant=principal.tenant)
        if state.status is not None and command_id is None:
            raise RUN_ENDED.error(f"the run has ended: {state.status.value}")

    async def attach(
        self,
        run_id: str,
        said: Label,
        content: bytes,
        *,
        principal: Principal,
        command_id: str | None = None,
        known_id: str | None = None,
    ) -> str:
        """Attach a file to a run, and return the id of its bytes; the same file under the same name changes nothing.

        The bytes are not looked into; `known_id` is their SHA-256, where that was computed already.
        Raises: `run_not_found`, `run_ended`, `artifact_too_large`, `run_budget_exceeded`, `command_id_conflict`.
        """
        check_artifact(self._settings, content)
        stream = _stream(run_id, principal)
        artifact_id = known_id or digest(content)
        entry = i.ArtifactAttached(artifact_id, len(content), said.kind, said.media_type, said.name, stream)
        state = await self._read.state(run_id, tenant=principal.tenant)
        if state.status is None:
            check(self._budget, state, 0, (), len(content), lambda: 0)
        await self._tell(run_id, entry, stream, principal, command_id, content, said.kind)
        await self._check_taken(run_id, entry, principal)
        return artifact_id

    async def _check_taken(self, run_id: str, entry: i.ArtifactAttached, principal: Principal) -> None:
        """Whoever attached something while the run ended is told so. Raises: `run_ended`."""
        state = await self._read.state(run_id, tenant=principal.tenant)
        if state.status is None:  # its owner takes it, here or elsewhere
            return
        left = await self._journal.tail(f"{state.stream}/inbox", state.inbox_seq)
        if any(each.record == entry for each in left):
            raise RUN_ENDED.error(f"the run has ended before it took the file: {state.status.value}")

    async def _tell(
        self,
        run_id: str,
        entry: i.Entry,
        stream: str,
        principal: Principal,
        command_id: str | None,
        payload: bytes | None = None,
        kind: str = FACT_KIND,
    ) -> None:
        """Put an entry into the inbox of a run, with the value that it names."""
        decider = TELL if payload is None else keeping(TELL, payload, kind)
        await self._runner.execute(decider, tell(stream, entry), principal, command_id)
        await self._settle(stream, run_id, self._runner.hand_over(TELL, stream))

    async def migrate(
        self,
        run_id: str,
        plan: Plan | ExecutionPlan,
        *,
        expect: str,
        reason: str,
        source: str | None = None,
        principal: Principal,
        command_id: str | None = None,
    ) -> Migration:
        """Let a run go on with another plan, whose fingerprint `expect` is the one that was shown.

        A run that is driven has to be paused first; nothing changes until its owner has taken this.
        Raises: `run_ended`, `migration_impossible`, `migration_unseen`, `step_not_ready`.
        """
        found = await compared(self._read, run_id, plan, principal.tenant)
        migration, built, stream = found.migration, found.plan, found.stream
        if migration.fingerprint != expect:
            raise MIGRATION_UNSEEN.error("the plan is not the one that was shown", fingerprint=migration.fingerprint)
        if migration.is_applied:
            return migration
        if found.status is not None:
            raise RUN_ENDED.error(f"the run has ended: {found.status.value}", run_id=run_id)
        if not migration.is_possible:
            raise MIGRATION_IMPOSSIBLE.error(migration.objections[0], objections=migration.objections[:20])
        holder = await self._journal.store.activations.holder(stream, self._journal.now_ms())
        if found.is_open and holder is not None:
            raise STEP_NOT_READY.error(
                "an attempt is under way: pause the run, and wait until it has ended", run_id=run_id
            )
        await self._journal.store.artifacts.put([plan_blob(built)])
        source = named_source(built, source)
        named = None if source is None else absolute_source(source)
        entry = i.MigrationRequested(
            found.completed, found.entered, built.fingerprint, built.version, _reason(reason), stream, named
        )
        await self._tell(run_id, entry, stream, principal, command_id)
        is_applied = (await self._read.state(run_id, tenant=principal.tenant)).fingerprint == built.fingerprint
        return msgspec.structs.replace(migration, is_applied=is_applied, is_pending=not is_applied)

    async def _step(self, run_id: str, step: str, principal: Principal) -> tuple[str, str]:
        state = await self._read.state(run_id, tenant=principal.tenant)
        return state.stream, await self._state_id(state, step)

    async def _state_id(self, state: RunState, step: str) -> str:
        """The id of a step that is named by its id or by its step name. Raises: `step_unknown`."""
        [content] = await self._journal.store.artifacts.get([state.fingerprint])
        return read_outline(content).named(step)


def _refuse_stray(state: RunState, state_id: str, name: str) -> None:
    """Refuse an answer that the open waits of a step do not ask for. Raises: `wait_unknown`."""
    names = list(state.waits.get(state_id, ()))
    if not names or name in state.early.get(state_id, ()):
        return
    said = first_names([shown(each) for each in names])
    raise WAIT_UNKNOWN.error(
        f"the step {step_name(state_id)} does not wait for {shown(name)}; it waits for: {said}", name=shown(name)
    )


def _by_token(state: RunState, wanted: str) -> tuple[str, str]:
    """The state and name of the wait that a token names, open or answered. Raises: `wait_unknown`."""
    for state_id, waits in state.waits.items():
        for name, wait in waits.items():
            if wait.token == wanted:
                return state_id, name
    run_id = parse_stream(state.stream).id
    for key in state.facts:
        if key.startswith(WAIT_PREFIX):
            _, state_id, name = key.split(":", 2)
            if token(run_id, state_id, name) == wanted:
                return state_id, name
    raise WAIT_UNKNOWN.error("no wait of this run has that token", token=shown(wanted))


def _stream(run_id: str, principal: Principal) -> str:
    return stream_id(principal.tenant, e.RUN, ids.run_id(run_id))


def _reason(reason: str) -> str:
    refuse_secrets(reason.encode("utf-8", "backslashreplace"), "reason")
    return reason[:REASON_CHARACTERS_MAX]
