"""Runs, as an application uses them: start, resume, tell, ask.

What it does: checks plan, input and configuration, opens a run, and hands it to `driving`; `control` tells runs things
and `read` answers questions. What it does not do: it decides no step (`decide`), owns no run (`driving`) and orders no
I/O inside a run (`loop`).

Rules: a known run id with the same manifest attaches, with another it is a conflict; nothing is written before plan,
input and configuration are checked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base import ids
from interlock.base.errors import Conflict
from interlock.base.events import Claim
from interlock.base.ids import shown
from interlock.base.merkle_map import EMPTY_NODE, MerkleMap
from interlock.base.part import unheard
from interlock.base.principal import ENGINE, Principal
from interlock.base.secret_scan import refuse_secrets
from interlock.engine import events as e
from interlock.engine.authoring import Plan
from interlock.engine.budget import BudgetSettings
from interlock.engine.children import Children
from interlock.engine.config import (
    BuildProvenance,
    RunConfig,
)
from interlock.engine.context import SNAPSHOT_KIND, RunContext
from interlock.engine.control.service import Control
from interlock.engine.decide import EngineSettings
from interlock.engine.errors import CHILD_CONFLICT, PLAN_DRIFTED, RUN_CONFLICT
from interlock.engine.flow.limits import Flow, Rate, needs_of
from interlock.engine.flow.turnstile import Turnstile
from interlock.engine.fold import RUN_FOLD
from interlock.engine.input import check_parameters, input_members, plain
from interlock.engine.io.router import Router
from interlock.engine.lineage.diff import RunDifference
from interlock.engine.lineage.diffing import compare_runs
from interlock.engine.lineage.fork import Choices
from interlock.engine.lineage.forking import Forked, Forking, ForkResult, fork_of, fork_result
from interlock.engine.lineage.inheriting import inherit
from interlock.engine.lineage.migrate import Migration, compared
from interlock.engine.opening import (
    MANIFEST_KIND,
    Opening,
    checked_attributes,
    checked_source,
    manifest_of,
    plan_blob,
)
from interlock.engine.owners.driving import Driver, claimed, unless_lost
from interlock.engine.owners.work import Worker
from interlock.engine.pipelines.pipeline import start_values
from interlock.engine.plan import ExecutionPlan
from interlock.engine.provenance import provenance
from interlock.engine.replay.replayer import Replayer
from interlock.engine.replay.report import ReplayReport
from interlock.engine.reports.reader import RunReader
from interlock.engine.reports.records import RunResult, result_of, waiting_of
from interlock.engine.run_state import RunState
from interlock.engine.sameness import differences
from interlock.engine.session import Session
from interlock.engine.sources import Plans, named_source, source_folder, source_of
from interlock.journal.journal import Journal, Loaded, Post
from interlock.journal.leases import Leases
from interlock.journal.ports import EMPTY, Blob
from interlock.journal.runner import Runner
from interlock.journal.streams import stream_id
from interlock.journal.timers import TimerService


class Runs:
    """The runs of one tenant on one journal. One instance serves a process."""

    def __init__(
        self,
        journal: Journal,
        runner: Runner,
        timers: TimerService,
        plans: Plans,
        router: Router,
        settings: EngineSettings,
        leases: Leases,
        budget: BudgetSettings,
    ) -> None:
        self._journal = journal
        self.plans = plans
        self._settings = settings
        self._budget = budget
        turnstile = Turnstile(journal, leases, timers, settings)
        self.read = RunReader(journal, turnstile, budget)
        self._forking = Forking(journal, self.read, plans)
        self._driver = Driver(journal, plans, router, self.read, timers, settings, turnstile, budget)
        self._driver.spawner = Children(self, self._driver)
        self.control = Control(journal, runner, self.read, self._driver.settle, settings, budget)
        self.worker = Worker(journal, self._driver, timers, settings)

    async def close(self) -> None:
        """Stop renewing claims; runs that are being driven lose them when they lapse."""
        await self._driver.close()

    async def start(
        self,
        plan: Plan | ExecutionPlan,
        input: Any = None,  # noqa: A002 - the contract's own word
        *,
        run_id: str | None = None,
        config: RunConfig | None = None,
        source: str | None = None,
        build: BuildProvenance | None = None,
        attributes: Mapping[str, Any] | None = None,
        timeout_ms: int | None = None,
        flow: Flow | None = None,
        rate: Rate | None = None,
        detach: bool = False,
        principal: Principal = ENGINE,
        begun: Callable[[str], None] = unheard,
    ) -> RunResult:
        """Start a run and drive it until it ends or waits; a known id with the same manifest attaches.

        `input` is a JSON object or a record: its members are the first context. `attributes` are short values that
        the run can be found by. The run fails if it has not ended after `timeout_ms`. `flow` bounds how many runs of
        its key are driven at once, `rate` how many begin in a time; a run over it waits its turn. `detach` returns once
        the start is durable and leaves the driving to a later `resume`. `principal` is recorded as who started it.
        `begun` is told the id once everything is checked, before anything is written.

        Raises: `plan_invalid`, `run_input_invalid`, `run_input_too_large`, `run_config_unsupported`,
        `run_attributes_invalid`, `flow_invalid`, `secrets_detected`, `run_conflict`; storage errors.
        """
        execution = self.plans.add(plan)
        input, config = start_values(execution, plain(input), config)  # noqa: A001 - the contract's own word
        execution = execution.under(config)
        if run_id is None:
            run_id = ids.run_id_from_entropy(self._journal.entropy.random_bytes(16))
        source = named_source(execution, source)
        if build is None:
            build = provenance(None if source is None else source_folder(source))
        opening = Opening(
            stream_id(principal.tenant, e.RUN, ids.run_id(run_id)),
            run_id,
            execution,
            config,
            input_members(input, execution, self._settings.input_bytes_max),
            manifest_of(execution, input, config, build),
            checked_source(source),
            checked_attributes(attributes),
            None if timeout_ms is None else self._journal.now_ms() + timeout_ms,
            principal,
            needs=needs_of(flow, rate),
        )
        return await self._begun(opening, begun, detach=detach)

    async def fork(
        self,
        source_run_id: str,
        step: str | None = None,
        *,
        absorb: Sequence[str] = (),
        again: Sequence[str] = (),
        absorb_all: bool = False,
        again_all: bool = False,
        plan: Plan | ExecutionPlan | None = None,
        input: Any = None,  # noqa: A002 - the contract's own word
        run_id: str | None = None,
        source: str | None = None,
        build: BuildProvenance | None = None,
        detach: bool = False,
        principal: Principal = ENGINE,
        begun: Callable[[str], None] = unheard,
    ) -> ForkResult:
        """Start a run that inherits what completed in another before `step`, and drive it as `start` does.

        Without a step it begins where the source stands. Each effect that the source sent at or after the position is
        absorbed (same idempotency key) or sent again (a new one), as the caller chooses by its fact key. `plan` and
        `input` are the source's unless they are given; work that is inherited must fit them. The same id attaches.
        `begun` is told the id as by `start`.

        Raises: `run_not_found`, `step_unknown`, `fork_position_needed`, `fork_choice_needed`, `fork_choice_invalid`,
        `plan_drifted`, `run_conflict`, and what `start` raises.
        """
        if run_id is None:
            run_id = ids.run_id_from_entropy(self._journal.entropy.random_bytes(16))
        choices = Choices(tuple(absorb), tuple(again), absorb_all, again_all)
        asked = (ids.run_id(source_run_id), ids.run_id(run_id), step, choices, plan, input, source, principal.tenant)
        forked = await self._forking.prepare(*asked)
        opening = self._fork_opening(forked, run_id, build, principal)
        result = await self._begun(opening, begun, detach=detach)
        state = await self.read.state(run_id, tenant=principal.tenant)
        if state.fork != fork_of(forked.event):  # somebody else was quicker, and made it at another moment
            forked = await self._forking.prepare(*asked)
        return fork_result(msgspec.structs.replace(result, detached=detach), forked)

    def _fork_opening(
        self, forked: Forked, run_id: str, build: BuildProvenance | None, principal: Principal
    ) -> Opening:
        given, config = start_values(forked.plan, plain(forked.input), forked.config)
        source = named_source(forked.plan, forked.source)
        if build is None:
            build = provenance(None if source is None else source_folder(source))
        return Opening(
            stream_id(principal.tenant, e.RUN, run_id),
            run_id,
            forked.plan,
            config,
            input_members(given, forked.plan, self._settings.input_bytes_max),
            manifest_of(forked.plan, given, config, build),
            checked_source(source),
            forked.attributes,
            None,
            principal,
            forked=forked.event,
            needs=forked.needs,
        )

    async def _begun(self, opening: Opening, begun: Callable[[str], None], *, detach: bool) -> RunResult:
        """Start the run, or attach to the one of its id and manifest."""
        run_id, principal = opening.run_id, opening.principal
        [head] = await self._journal.store.events.heads([opening.stream])
        if head == EMPTY:
            result = await self._begin(opening, begun, detach=detach)
            if result is not None:
                return result
        await self._check_same(opening, run_id)
        begun(run_id)
        return await (
            self.read.result(run_id, tenant=principal.tenant)
            if detach
            else self._driver.drive_or_watch(opening.stream, run_id, principal=principal)
        )

    def child(
        self,
        plan: Plan | ExecutionPlan,
        input: Any,  # noqa: A002 - the contract's own word
        *,
        run_id: str,
        tenant: str,
        config: RunConfig | None,
        parent: e.ParentLinked,
        parent_source: str | None,
    ) -> Opening:
        """What a child run is opened with (see `children.Opener`)."""
        execution = self.plans.add(plan)
        source = None if parent_source is None else named_source(execution, source_of(plan, parent_source))
        input, config = start_values(execution, plain(input), config)  # noqa: A001 - the contract's own word
        execution = execution.under(config)
        build = provenance(None if source is None else source_folder(source))
        principal = msgspec.structs.replace(ENGINE, tenant=tenant)
        manifest = manifest_of(execution, input, config, build)
        stream = stream_id(tenant, e.RUN, run_id)
        given = input_members(input, execution, self._settings.input_bytes_max)
        return Opening(
            stream,
            run_id,
            execution,
            config,
            given,
            manifest,
            checked_source(source),
            checked_attributes(None),
            None,
            principal,
            parent,
        )

    async def post(self, opening: Opening) -> Post:
        """The first events of a child run (see `children.Opener`)."""
        [head] = await self._journal.store.events.heads([opening.stream])
        if head != EMPTY:
            raise CHILD_CONFLICT.error("a run that this one did not start has the child's id", run_id=opening.run_id)
        return (await self._opened(opening, owned=False)).posted()

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
            built, state = self.plans.add(plan), await self.read.state(run_id, tenant=principal.tenant)
            if state.status is None and (built.op_id, built.version) != (state.op_id, state.plan_version):
                raise PLAN_DRIFTED.error(f"the run goes on with version {shown(state.plan_version)} of its plan")
        return await self._driver.drive_or_watch(stream, run_id, principal=principal, steal=steal)

    async def migration(self, run_id: str, plan: Plan | ExecutionPlan, *, tenant: str = "default") -> Migration:
        """What it would mean for a run to go on with another plan; `control.migrate` tells it to.

        Raises: `run_not_found`, `plan_invalid`.
        """
        return (await compared(self.read, run_id, plan, tenant)).migration

    async def diff(self, a: str, b: str, *, tenant: str = "default") -> RunDifference:
        """How run `b` differs from run `a`. Raises: `run_not_found`."""
        return await compare_runs(self._journal, self.read, a, b, tenant)

    async def cancel_now(self, run_id: str, reason: str, *, principal: Principal) -> RunResult:
        """Seize a run and end it as cancelled, whoever drives it. Raises: `run_not_found`, `run_ended`."""
        refuse_secrets(reason.encode("utf-8", "backslashreplace"), "reason")
        stream = stream_id(principal.tenant, e.RUN, ids.run_id(run_id))
        return await self._driver.cancel_now(stream, run_id, reason, principal)

    async def replay(
        self, run_id: str, plan: Plan | ExecutionPlan | None = None, *, tenant: str = "default"
    ) -> ReplayReport:
        """Drive what a run has recorded anew, offline, and say where it differs; nothing is written.

        `plan` is used instead of the one that the run names, and is not registered; it may differ from that one, as
        long as it has the run's states. Raises: `run_not_found`, `plan_not_found`, `plan_drifted`, `run_corrupt`,
        `record_incomplete`; storage errors.
        """
        given = plan.build() if isinstance(plan, Plan) else plan

        async def found(state: RunState, config: RunConfig) -> ExecutionPlan:
            if given is not None:
                return given.under(config)
            known = (await self.plans.of_run(state, self._journal.store.artifacts)).under(config)
            if known.fingerprint != state.fingerprint:
                raise PLAN_DRIFTED.error("the plan that the run names is another now: say which to replay it with")
            return known

        stream = stream_id(tenant, e.RUN, ids.run_id(run_id))
        return await Replayer(self._journal, stream, run_id, self._settings, found).replay()

    async def _opened(self, opening: Opening, *, owned: bool) -> Session:
        """A session for a run that does not exist yet, with its opening folded; the first flush makes it exist.

        Raises: `run_input_invalid`.
        """
        if opening.plan.planned is None and opening.forked is None:  # what a fork inherits was given by its states
            check_parameters(opening.plan, opening.given, opening.config.skip_tags)
        context, blobs = await RunContext(MerkleMap.empty(), self._journal.store.artifacts).updated(opening.given)
        if not opening.given:
            blobs = [Blob(context.snapshot_id, SNAPSHOT_KIND, EMPTY_NODE)]
        plan = opening.plan
        blobs.append(Blob(opening.manifest_id, MANIFEST_KIND, opening.manifest))
        blobs.append(plan_blob(plan))
        now_ms = self._journal.now_ms()
        stream = opening.stream
        claim = Claim(stream, e.RUN, self._journal.store.owner, 1, now_ms + self._settings.claim_lease_ms)
        session = Session(
            self._journal,
            Loaded(RUN_FOLD.initial(stream), EMPTY, 0),
            plan,
            opening.config,
            context,
            claim,
            self._settings,
            opening.run_id,
            self._budget,
            opening.principal.id,
        )
        records: list[Struct] = [
            e.RunStarted(context.snapshot_id, opening.manifest_id, plan.op_id),
            e.PlanRecorded(opening.attributes, plan.fingerprint, plan.version, opening.source),
            *opening.extras(self._settings.concurrency_max),
        ]
        session.fold([*records, claimed(claim, 1)] if owned else records, blobs)
        return session

    async def _begin(self, opening: Opening, begun: Callable[[str], None], *, detach: bool) -> RunResult | None:
        try:
            session = await self._opened(opening, owned=not detach)
            begun(opening.run_id)
            if not detach:
                return await self._driver.begin(session)
            await inherit(session)
            await session.flush()
        except Conflict as fault:
            unless_lost(fault)
            return None
        return result_of(session.run_id, session.state, waiting_of(session.state, None))

    async def _check_same(self, opening: Opening, run_id: str) -> None:
        state = (await self._journal.load(RUN_FOLD, opening.stream)).state
        if state.manifest_id != opening.manifest_id:
            what = differences(await self.read.manifest(state), opening.manifest)
            raise RUN_CONFLICT.error(f"this run id belongs to another run; what differs: {what}", run_id=run_id)
        source = None if opening.forked is None else opening.forked.source_run_id
        if source != (None if state.fork is None else state.fork.run_id):
            raise RUN_CONFLICT.error("this run id belongs to a run that was not begun like this one", run_id=run_id)
