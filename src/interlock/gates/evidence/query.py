"""Asks for evidence: all that a stage needs, each condition once.

What it does: asks providers within a deadline, holds their answers against the configuration, and compares; says which
providers a scenario lacks, and answers queries of single checks. What it does not do: it decides no gate (`logic`) and
writes nothing; the caller records what it gets.

Rules (seed 000): a provider that raises, or does not answer in time, is the error `provider_error`; conditions are
asked at one time, a bounded number of them, and their records stand in the order in which they were named; a value that
is too large ends the whole call.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack

from msgspec import Struct
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.evidence.config import EvidenceSettings
from interlock.gates.evidence.contracts import Contracts, Registered
from interlock.gates.evidence.disclosure import disclosed, shows_raw
from interlock.gates.evidence.offered import OfferedProviders
from interlock.gates.evidence.port import Answered, CallMade, EvidenceProvider
from interlock.gates.evidence.providers.answers import fault_of, refused
from interlock.gates.evidence.records import EvidenceContext, EvidenceResult
from interlock.gates.evidence.trust import Compare, ProviderRules, Requirements, age_fault, floor_of, judged, settled
from interlock.gates.records import EvidenceRecord, ProviderMissing
from interlock.gates.spec import ConditionSpec, EvidenceQuery, ScenarioSpec


class Source(Struct, frozen=True):
    """A provider, what is asked of its evidence, and whether it lets its raw values be shown."""

    provider: EvidenceProvider
    requirements: Requirements
    allow_raw: bool = False


class Gathered(Struct, frozen=True):
    """The evidence of a condition before any gate's own requirement, when it was observed, and what was called."""

    record: EvidenceRecord
    observed_ms: int | None = None
    calls: tuple[CallMade, ...] = ()


class Evidence:
    """The evidence of an application."""

    def __init__(
        self,
        settings: EvidenceSettings,
        sources: Mapping[str, Source],
        contracts: Contracts,
        compare: Compare,
    ) -> None:
        self._settings = settings
        self._sources = sources
        self.contracts = contracts
        self._compare = compare
        self.offered = OfferedProviders.of(settings.providers)

    def missing(self, spec: ScenarioSpec) -> ProviderMissing | None:
        """Which providers a scenario needs that are not there, and for which checks; None where all are."""
        queries = [each.query for each in spec.conditions if each.query.provider_id not in self._sources]
        if not queries:
            return None
        return ProviderMissing(
            missing_providers=sorted({query.provider_id for query in queries}),
            required_capabilities=sorted({f"{query.provider_id}.{query.check_id}" for query in queries}),
            blocked_by_policy=False,
        )

    def rules(self, spec: ScenarioSpec) -> dict[str, ProviderRules]:
        """What is asked of the evidence of each provider that a scenario asks, in the order of their ids."""
        wanted = {each.query.provider_id for each in spec.conditions}
        return {each: self._rules(each) for each in sorted(wanted & self._sources.keys())}

    def _rules(self, provider_id: str) -> ProviderRules:
        asked = self._sources[provider_id].requirements
        return ProviderRules(floor_of(provider_id, self._settings.trust, self._settings.dev), asked.anchor, asked.keys)

    def contract(self, provider_id: str) -> Registered:
        """The contract of a provider, its hash, and where it is from. Raises: `provider_missing`."""
        return self.contracts.contract(provider_id)

    def check(self, spec: ScenarioSpec) -> None:
        """Whether every condition of a scenario asks for what there is; the first fault counts.

        Raises: `provider_missing`, `check_missing`, `params_missing`, `params_invalid`, `expected_invalid`,
        `comparator_not_allowed`.
        """
        for condition in spec.conditions:
            self.contracts.check_condition(condition)

    async def gather(
        self, conditions: Iterable[ConditionSpec], context: EvidenceContext, *, tenant: str
    ) -> list[Gathered]:
        """The evidence of conditions, each once, in the order in which they first stand.

        Raises: `evidence_too_large`.
        """
        wanted = {each.condition_id: each for each in conditions}
        turns = asyncio.Semaphore(self._settings.query.concurrency_max)

        async def in_turn(condition: ConditionSpec) -> Gathered | InterlockError:
            async with turns:
                try:
                    return await self._gathered(condition, context, tenant)
                except InterlockError as fault:
                    return fault

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(in_turn(each)) for each in wanted.values()]
        gathered: list[Gathered] = []
        for task in tasks:
            found = task.result()
            if isinstance(found, InterlockError):
                raise found
            gathered.append(found)
        return gathered

    async def query(self, query: EvidenceQuery, context: EvidenceContext, *, tenant: str) -> EvidenceResult:
        """The evidence of one check, as far as it may be shown.

        Raises: `provider_missing`, `check_missing`, `params_missing`, `params_invalid`, `evidence_too_large`.
        """
        self.contracts.check_query(query)
        result = (await self._answered(query, context, tenant)).result
        return disclosed(result, raw=self.shows_raw(query.provider_id))

    def shows_raw(self, provider_id: str) -> bool:
        """Whether raw values of a provider may be shown."""
        source = self._sources.get(provider_id)
        return shows_raw(self._settings.evidence, provider_allows=source is not None and source.allow_raw)

    async def close(self) -> None:
        """Let go of every provider."""
        async with AsyncExitStack() as ends:
            for source in self._sources.values():
                ends.push_async_callback(source.provider.close)

    async def _gathered(self, condition: ConditionSpec, context: EvidenceContext, tenant: str) -> Gathered:
        answered = await self._answered(condition.query, context, tenant)
        result = answered.result
        if result.error is None:
            stale = age_fault(answered.observed_ms, context.trigger_time, condition.max_age_ms)
            result = replace(result, error=stale)
        record = self.judged(condition, result)
        return Gathered(record, answered.observed_ms, answered.calls)

    def judged(self, condition: ConditionSpec, result: EvidenceResult) -> EvidenceRecord:
        """What a condition is, given its evidence, before any gate's own requirement."""
        floor = floor_of(condition.query.provider_id, self._settings.trust, self._settings.dev)
        return judged(condition, result, floor, self._compare)

    async def _answered(self, query: EvidenceQuery, context: EvidenceContext, tenant: str) -> Answered:
        """What a provider answers, as it is recorded. Raises: `evidence_too_large`."""
        source = self._sources.get(query.provider_id)
        if source is None:
            return Answered(refused("there is no such provider"))
        try:
            async with asyncio.timeout(self._settings.query.timeout_ms / 1000):
                answered = await source.provider.query(query, context, tenant=tenant)
        except TimeoutError:
            return Answered(refused(f"the provider did not answer within {self._settings.query.timeout_ms} ms"))
        except InterlockError as fault:
            return Answered(EvidenceResult(error=fault_of(fault)))
        except Exception:  # noqa: BLE001 - whatever a provider raises is an answer, and its words may hold anything
            return Answered(refused("the provider failed"))
        return replace(answered, result=settled(answered.result, source.requirements))
