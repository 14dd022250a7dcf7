"""The runner of deciders: one durable result for each command, whatever races with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Struct

from interlock.base.errors import Conflict, Corruption, InterlockError, Invalid, RateLimited, Refused
from interlock.base.part import DecideContext, Decider, Decision, Refusal
from interlock.base.principal import Principal
from interlock.journal.errors import OUTCOME_UNKNOWN
from interlock.journal.journal import Journal
from interlock.journal.ports import Append, Appended, Head
from interlock.journal.runner import COMMAND_INDEX, CommandRow, Runner, command_digest
from interlock.stores.memory import MemoryStore
from interlock.testing.clock import VirtualClock
from interlock.testing.loop import run
from tests.unit.journal.bank import (
    ADA,
    DEPOSIT,
    NOW_MS,
    RENAME,
    SHORT,
    TRANSFER,
    Account,
    CountedEvents,
    Declined,
    Deposit,
    Deposited,
    Noted,
    Rename,
    Transfer,
    Withdrawn,
    account,
    balance,
    damage,
    evolve,
    open_journal,
    open_runner,
    recorded,
    records,
    write,
)

A, B = account("a"), account("b")


def processes(count: int = 2, **settings: int) -> list[tuple[Journal, Runner]]:
    """Journals and runners of several processes on one store."""
    store = MemoryStore()
    stores = [store, *(store.reopen() for _ in range(count - 1))]
    journals = [open_journal(each) for each in stores]
    return [(journal, open_runner(journal, **settings)) for journal in journals]


async def refusal(work: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        await work
    return caught.value


class Interfering(CountedEvents):
    """An event log before which another writer appends, as often as it is told."""

    def __init__(self, journal: Journal, times: int) -> None:
        super().__init__(journal.store.events)
        self._other = open_journal(journal.store)
        self._other.store = MemoryStore.reopen(journal.store)  # type: ignore[arg-type]
        self._times = times

    async def append(self, appends: list[Append]) -> list[Appended | InterlockError]:  # type: ignore[override]
        if self._times > 0:
            self._times -= 1
            await write(self._other, A, Deposited(1))
        return await super().append(appends)


# One command


def test_a_command_appends_what_was_decided_and_answers_from_it() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        assert await runner.execute(DEPOSIT, Deposit(A, 100), ADA) == {A: 100}
        answer = await runner.execute(TRANSFER, Transfer(A, B, 40), ADA, "pay-1")
        assert answer == {A: 40, B: 40}
        assert await records(journal, A) == [Deposited(100), Withdrawn(40)]
        assert await records(journal, B) == [Deposited(40)]

        first, second = await recorded(journal, A)
        assert first.envelope.command_id is None
        assert first.envelope.command_digest is None
        assert second.envelope.actor == "local:ada"
        assert second.envelope.command_id == "pay-1"
        assert second.envelope.command_digest == command_digest("bank.transfer", Transfer(A, B, 40))

    run(main())


def test_a_decision_sees_the_principal_the_time_and_fresh_entropy_and_nothing_else() -> None:
    seen: list[DecideContext] = []

    def decide(_states: Mapping[str, Any], _command: Deposit, context: DecideContext) -> Decision:
        seen.append(context)
        return {}

    async def main() -> None:
        [(_, runner)] = processes(1)
        for _ in range(2):
            await runner.execute(dataclasses.replace(DEPOSIT, decide=decide), Deposit(A, 1), ADA)

    run(main())
    assert [(c.now_ms, c.principal, c.settings_digest) for c in seen] == [(NOW_MS, ADA, "0" * 64)] * 2
    assert {len(c.entropy) for c in seen} == {32}
    assert seen[0].entropy != seen[1].entropy


def test_entropy_and_identity_stay_the_same_when_a_command_is_decided_anew() -> None:
    seen: list[DecideContext] = []

    def decide(states: Mapping[str, Any], command: Deposit, context: DecideContext) -> Decision:
        seen.append(context)
        return {command.account: (Deposited(states[command.account].balance),)}

    async def main() -> None:
        [(journal, runner)] = processes(1)
        journal.store.events = Interfering(journal, 2)  # type: ignore[assignment]
        await runner.execute(dataclasses.replace(DEPOSIT, decide=decide), Deposit(A, 1), ADA, "d-1")
        # The decision rests on the state at its own head: both deposits of the other writer are in it.
        assert await records(journal, A) == [Deposited(1), Deposited(1), Deposited(2)]

    run(main())
    assert len(seen) == 3
    assert len({context.entropy for context in seen}) == 1


def test_recorded_time_never_runs_backwards_with_the_clock() -> None:
    async def main() -> None:
        clock = VirtualClock()
        journal = open_journal(MemoryStore(), clock)
        runner = open_runner(journal)
        for jump in (0, 5_000, -60_000, 1_000):
            clock.jump(jump)
            await runner.execute(DEPOSIT, Deposit(A, 1), ADA)
        times = [event.envelope.at_ms for event in await recorded(journal, A)]
        assert times == [NOW_MS, NOW_MS + 5_000, NOW_MS + 5_000, NOW_MS + 5_000]

    run(main())


def test_a_second_stream_with_a_later_clock_moves_the_time_of_both() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        await write(journal, B, Deposited(100), at_ms=NOW_MS + 9_000)
        await runner.execute(TRANSFER, Transfer(B, A, 1), ADA)
        assert [event.envelope.at_ms for event in await recorded(journal, A)] == [NOW_MS + 9_000]

    run(main())


# Refusals


def test_a_refusal_is_raised_and_what_it_records_carries_no_command_id() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        fault = await refusal(runner.execute(TRANSFER, Transfer(A, B, 40), ADA, "pay-1"))
        assert isinstance(fault, Refused)
        assert (fault.code, fault.details) == ("funds_short", {"balance": 0})
        [event] = await recorded(journal, A)
        assert event.record == Declined(40)
        assert (event.envelope.command_id, event.envelope.command_digest) == (None, None)
        assert event.envelope.actor == "local:ada"
        assert await records(journal, B) == []
        assert await journal.store.index.get("default", COMMAND_INDEX, ["pay-1"]) == [None]

    run(main())


def test_the_id_of_a_refused_command_may_be_tried_again() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        await refusal(runner.execute(TRANSFER, Transfer(A, B, 40), ADA, "pay-1"))
        await refusal(runner.execute(TRANSFER, Transfer(A, B, 41), ADA, "pay-1"))
        await runner.execute(DEPOSIT, Deposit(A, 50), ADA)
        assert await runner.execute(TRANSFER, Transfer(A, B, 40), ADA, "pay-1") == {A: 40, B: 40}
        assert await balance(journal, A) == 10

    run(main())


def test_a_refusal_that_records_nothing_appends_nothing() -> None:
    def decide(*_: object) -> Decision:
        return Refusal(SHORT.error("no"))

    async def main() -> None:
        [(journal, runner)] = processes(1)
        counted = CountedEvents(journal.store.events)
        journal.store.events = counted
        await refusal(runner.execute(dataclasses.replace(DEPOSIT, decide=decide), Deposit(A, 1), ADA, "x"))
        assert counted.appends == 0

    run(main())


# Idempotency


def test_a_repeated_command_gets_its_first_result_and_changes_nothing() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        first = await runner.execute(DEPOSIT, Deposit(A, 100), ADA, "d-1")
        await runner.execute(TRANSFER, Transfer(A, B, 30), ADA, "t-1")
        assert await runner.execute(DEPOSIT, Deposit(A, 100), ADA, "d-1") == first == {A: 100}
        assert await runner.execute(TRANSFER, Transfer(A, B, 30), ADA, "t-1") == {A: 30, B: 30}
        assert (await balance(journal, A), await balance(journal, B)) == (70, 30)

    run(main())


def test_a_first_result_is_recomputed_by_a_process_that_never_saw_the_command() -> None:
    async def main() -> None:
        store = MemoryStore()
        runner = open_runner(open_journal(store))
        await runner.execute(DEPOSIT, Deposit(A, 100), ADA, "d-1")
        await runner.execute(TRANSFER, Transfer(A, B, 30), ADA, "t-1")
        await runner.execute(DEPOSIT, Deposit(A, 1), ADA, "d-2")
        store.die()

        journal = open_journal(store.reopen())
        restarted = open_runner(journal)
        assert await restarted.execute(TRANSFER, Transfer(A, B, 30), ADA, "t-1") == {A: 30, B: 30}
        assert await journal.store.events.position("default") == 4

    run(main())


def test_the_same_id_with_other_content_is_a_conflict() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        await runner.execute(DEPOSIT, Deposit(A, 100), ADA, "d-1")
        for decider, command in (
            (DEPOSIT, Deposit(A, 101)),
            (DEPOSIT, Deposit(B, 100)),
            (DEPOSIT, Deposit(A, 100, "again")),
            (RENAME, Rename(A, "x")),
        ):
            fault = await refusal(runner.execute(decider, command, ADA, "d-1"))
            assert (fault.code, type(fault)) == ("command_id_conflict", Conflict)
        assert await records(journal, A) == [Deposited(100)]

    run(main())


def test_a_command_that_records_nothing_is_decided_anew_when_repeated() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        assert await runner.execute(DEPOSIT, Deposit(A, 0), ADA, "d-1") == {}
        assert await runner.execute(DEPOSIT, Deposit(A, 0), ADA, "d-1") == {}
        assert await runner.execute(DEPOSIT, Deposit(A, 5), ADA, "d-1") == {A: 5}
        assert await records(journal, A) == [Deposited(5)]

    run(main())


def test_a_first_result_and_its_recomputation_see_the_same_events() -> None:
    seen: list[list[tuple[str, list[Struct]]]] = []

    def result(events: Mapping[str, Any], _command: Struct) -> None:
        seen.append([(stream, list(records)) for stream, records in events.items()])

    def decide(*_: object) -> Decision:
        return {B: [Deposited(2), Noted("b")], account("c"): [], A: [Deposited(1)]}

    decider = Decider("bank.odd", lambda _: (A, B, account("c")), lambda _: Account(), decide, evolve, result)

    async def main() -> None:
        [(_, runner)] = processes(1)
        for _ in range(2):
            await runner.execute(decider, Deposit(A, 1), ADA, "odd")

    run(main())
    assert seen[0] == seen[1] == [(A, [Deposited(1)]), (B, [Deposited(2), Noted("b")])]


def test_command_ids_of_two_tenants_are_two_commands() -> None:
    async def main() -> None:
        [(_, runner)] = processes(1)
        other = "acme/account/a"
        await runner.execute(DEPOSIT, Deposit(A, 1), ADA, "d-1")
        assert await runner.execute(DEPOSIT, Deposit(other, 2), Principal(id="x", tenant="acme"), "d-1") == {other: 2}

    run(main())


@pytest.mark.parametrize("command_id", ["", "x" * 201, "a\n", "\ud800"])
def test_a_command_id_that_breaks_the_rule_is_refused(command_id: str) -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        fault = await refusal(runner.execute(DEPOSIT, Deposit(A, 1), ADA, command_id))
        assert (fault.code, type(fault)) == ("id_invalid", Invalid)
        assert await records(journal, A) == []

    run(main())


def test_a_name_that_another_stream_has_is_refused_at_once() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        await runner.execute(RENAME, Rename(A, "savings"), ADA)
        counted = CountedEvents(journal.store.events)
        journal.store.events = counted
        fault = await refusal(runner.execute(RENAME, Rename(B, "savings"), ADA, "n-1"))
        assert fault.code == "index_key_taken"
        assert counted.appends == 1
        assert await runner.execute(RENAME, Rename(B, "pension"), ADA, "n-1") == {B: 0}

    run(main())


# Contention and overload


def test_a_command_is_decided_anew_a_bounded_number_of_times() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1, decisions_max=3)
        meddler = Interfering(journal, 3)
        journal.store.events = meddler  # type: ignore[assignment]
        fault = await refusal(runner.execute(DEPOSIT, Deposit(A, 50), ADA, "d-1"))
        assert (fault.code, fault.retryable, type(fault)) == ("contention", True, RateLimited)
        assert isinstance(fault.details["retry_after_ms"], int)
        assert meddler.appends == 3
        assert await runner.execute(DEPOSIT, Deposit(A, 50), ADA, "d-1") == {A: 50}
        assert await balance(journal, A) == 53

    run(main())


def test_one_decision_may_be_all_that_is_allowed() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1, decisions_max=1)
        await runner.execute(DEPOSIT, Deposit(A, 1), ADA)
        assert await balance(journal, A) == 1

    run(main())


# Faults of the store


def test_an_unknown_outcome_reaches_the_caller_and_the_repeated_command_finds_what_happened() -> None:
    def fail(point: str) -> None:
        if point == "append:after_commit":
            raise OUTCOME_UNKNOWN.error("fsync failed")

    async def main() -> None:
        store = MemoryStore(faults=fail)
        fault = await refusal(open_runner(open_journal(store)).execute(DEPOSIT, Deposit(A, 9), ADA, "d-1"))
        assert (fault.code, fault.retryable) == ("outcome_unknown", False)

        journal = open_journal(store.reopen())
        assert await open_runner(journal).execute(DEPOSIT, Deposit(A, 9), ADA, "d-1") == {A: 9}
        assert await balance(journal, A) == 9

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
@pytest.mark.parametrize("row", [b"", b"{}", b'{"digest":1,"places":[]}', b"\xff", b'{"digest":"\xff","places":[]}'])
def test_a_damaged_row_of_a_command_id_is_corruption_and_not_a_new_command(row: bytes) -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        runner = open_runner(journal)
        await runner.execute(DEPOSIT, Deposit(A, 1), ADA, "d-1")
        store._handle.data.index["default", COMMAND_INDEX].put("d-1", row)
        assert isinstance(await refusal(runner.execute(DEPOSIT, Deposit(A, 1), ADA, "d-1")), Corruption)
        assert await balance(journal, A) == 1

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
def test_a_row_that_leads_to_another_commands_events_is_corruption() -> None:
    async def main() -> None:
        store = MemoryStore()
        runner = open_runner(open_journal(store))
        await runner.execute(DEPOSIT, Deposit(A, 1), ADA, "d-1")
        await runner.execute(DEPOSIT, Deposit(A, 1), ADA, "d-2")
        row = CommandRow(command_digest("bank.deposit", Deposit(A, 1)), ((A, 2, 2),))
        store._handle.data.index["default", COMMAND_INDEX].put("d-1", msgspec.json.encode(row))
        assert isinstance(await refusal(runner.execute(DEPOSIT, Deposit(A, 1), ADA, "d-1")), Corruption)

    run(main())


@pytest.mark.unproved("it damages its store, to see the damage refused")
@pytest.mark.parametrize("member", ["envelope", "data"])
def test_p20_damage_behind_a_cached_state_is_corruption_and_not_contention(member: str) -> None:
    async def main() -> None:
        (journal, one), (other, two) = processes()
        await one.execute(DEPOSIT, Deposit(A, 1), ADA)
        await two.execute(DEPOSIT, Deposit(A, 2), ADA)
        changes = {"envelope": {"envelope": b"{}"}, "data": {"data": b'{"amount":9}'}}
        damage(other.store, A, 2, **changes[member])  # type: ignore[arg-type]
        assert isinstance(await refusal(one.execute(DEPOSIT, Deposit(A, 3), ADA)), Corruption)
        assert journal.store.statistics().conflicts == 0

    run(main())


def test_a_stream_that_lost_its_end_behind_a_cached_state_is_corruption() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1)
        await runner.execute(DEPOSIT, Deposit(A, 1), ADA)
        log = journal.store.events

        class Claiming(CountedEvents):
            async def heads(self, streams: Sequence[str]) -> list[Head]:
                return [Head(2, "0" * 64) for _ in streams]

        journal.store.events = Claiming(log)
        assert isinstance(await refusal(runner.execute(DEPOSIT, Deposit(A, 3), ADA)), Corruption)

    run(main())


def test_a_store_that_went_back_to_an_earlier_state_is_read_anew() -> None:
    async def main() -> None:
        store = MemoryStore()
        journal = open_journal(store)
        runner = open_runner(journal)
        for amount in (1, 2, 4):
            await runner.execute(DEPOSIT, Deposit(A, amount), ADA)
        data = store._handle.data
        del data.streams[A][2:], data.feeds["default"][2:]
        await runner.execute(DEPOSIT, Deposit(A, 8), ADA)
        assert await records(journal, A) == [Deposited(1), Deposited(2), Deposited(8)]

    run(main())
