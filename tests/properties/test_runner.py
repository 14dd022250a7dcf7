"""The runner under races: exactly once by command id, at the head that was read, over all interleavings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from interlock.base.errors import InterlockError, RateLimited
from interlock.base.part import DecideContext, Decider, Decision
from interlock.journal.journal import Fold, Journal
from interlock.journal.queues import QueueStatistics
from interlock.journal.runner import Runner
from interlock.stores.memory import MemoryStore
from interlock.testing.explorer import explore
from interlock.testing.loop import over_seeds, run
from tests.unit.journal.bank import (
    ADA,
    DEPOSIT,
    TRANSFER,
    Account,
    CountedEvents,
    Declined,
    Deposit,
    Deposited,
    Noted,
    Transfer,
    account,
    balance,
    evolve,
    open_journal,
    open_runner,
    recorded,
    records,
    write,
)

A, B = account("a"), account("b")
NAMES = [account(name) for name in "abcde"]


def processes(count: int = 2, **settings: int) -> list[tuple[Journal, Runner]]:
    """Journals and runners of several processes on one store."""
    store = MemoryStore()
    journals = [open_journal(each) for each in (store, *(store.reopen() for _ in range(count - 1)))]
    return [(journal, open_runner(journal, **settings)) for journal in journals]


# Races between processes


@over_seeds(40)
async def test_one_command_id_in_two_processes_is_done_exactly_once_and_both_get_its_result() -> None:
    (journal, one), (_, two) = processes()
    await one.execute(DEPOSIT, Deposit(A, 100), ADA)

    answers = await asyncio.gather(
        *(runner.execute(TRANSFER, Transfer(A, B, 60), ADA, "pay-1") for runner in (one, two, one, two))
    )

    assert answers == [{A: 60, B: 60}] * 4
    assert (await balance(journal, A), await balance(journal, B)) == (40, 60)
    assert await journal.store.events.position("default") == 3


@over_seeds(40)
async def test_one_command_id_with_two_contents_is_done_once_and_the_other_is_a_conflict() -> None:
    (journal, one), (_, two) = processes()

    outcomes = await asyncio.gather(
        one.execute(DEPOSIT, Deposit(A, 1), ADA, "d-1"),
        two.execute(DEPOSIT, Deposit(B, 2), ADA, "d-1"),
        return_exceptions=True,
    )

    assert await journal.store.events.position("default") == 1
    [fault] = [each for each in outcomes if isinstance(each, InterlockError)]
    assert fault.code == "command_id_conflict"


@over_seeds(40)
async def test_a_race_for_the_last_money_has_one_winner() -> None:
    (journal, one), (_, two) = processes()
    await one.execute(DEPOSIT, Deposit(A, 100), ADA)

    outcomes = await asyncio.gather(
        one.execute(TRANSFER, Transfer(A, B, 60), ADA, "t-1"),
        two.execute(TRANSFER, Transfer(A, B, 60), ADA, "t-2"),
        return_exceptions=True,
    )

    assert sorted(type(each).__name__ for each in outcomes) == ["Refused", "dict"]
    assert (await balance(journal, A), await balance(journal, B)) == (40, 60)
    assert (await records(journal, A)).count(Declined(60)) == 1


def test_k1_k3_of_two_processes_on_one_stream_every_interleaving_decides_at_the_head_that_it_appends_to() -> None:
    async def race() -> tuple[int, int]:
        (journal, one), (_, two) = processes()
        await asyncio.gather(one.execute(DEPOSIT, Deposit(A, 1), ADA), two.execute(DEPOSIT, Deposit(A, 2), ADA))
        found = await recorded(journal, A)
        assert [event.envelope.seq for event in found] == [1, 2]
        return found[0].record.amount, found[1].record.amount  # type: ignore[union-attr]

    seen: set[tuple[int, int]] = set()

    exploration = explore(race, seen.add)

    assert exploration.complete
    assert exploration.count > 100
    assert seen == {(1, 2), (2, 1)}


def test_k4_a_reader_beside_a_command_over_two_streams_sees_both_of_them_or_none() -> None:
    async def race() -> tuple[int, int]:
        [(journal, runner)] = processes(1)
        await write(journal, A, Deposited(1))
        moving = asyncio.create_task(runner.execute(TRANSFER, Transfer(A, B, 1), ADA))

        async def look() -> tuple[int, int]:
            page = await journal.store.events.feed("default", 1, 10)
            return sum(e.stream == A for e in page), sum(e.stream == B for e in page)

        looked = await asyncio.create_task(look())
        await moving
        return looked

    seen: set[tuple[int, int]] = set()

    assert explore(race, seen.add).complete
    assert seen == {(0, 0), (1, 1)}


def test_k8_in_one_process_commands_on_one_stream_wait_for_each_other_and_never_conflict() -> None:
    async def race() -> int:
        [(journal, runner)] = processes(1)
        await asyncio.gather(*(runner.execute(DEPOSIT, Deposit(A, n), ADA, f"d-{n}") for n in (1, 2)))
        assert await balance(journal, A) == 3
        return journal.store.statistics().conflicts

    seen: set[int] = set()

    assert explore(race, seen.add).complete
    assert seen == {0}


@over_seeds(10)
async def test_a_crowd_on_one_stream_is_served_in_order_and_beyond_the_bound_refused() -> None:
    [(journal, runner)] = processes(1, queue_per_stream_max=5)

    outcomes = await asyncio.gather(
        *(runner.execute(DEPOSIT, Deposit(A, 1), ADA) for _ in range(20)), return_exceptions=True
    )

    served = [each for each in outcomes if isinstance(each, dict)]
    refused = [each for each in outcomes if isinstance(each, RateLimited)]
    assert (len(served) + len(refused), len(served) >= 6, len(refused) > 0) == (20, True, True)
    assert {each.code for each in refused} == {"queue_full"}
    assert await balance(journal, A) == len(served)
    assert runner.statistics() == QueueStatistics(0, 0, len(served), len(refused), 0)


# Cached states


@over_seeds(20)
async def test_cached_states_equal_full_folds() -> None:
    pairs = processes(3, cached_states_max=3)
    (journal, runner), *_ = pairs
    for name in NAMES:
        await runner.execute(DEPOSIT, Deposit(name, 100), ADA)

    await asyncio.gather(
        *(
            pairs[n % 3][1].execute(TRANSFER, Transfer(NAMES[n % 5], NAMES[(n * 3 + 1) % 5], n), ADA, f"t-{n}")
            for n in range(12)
            if n % 5 != (n * 3 + 1) % 5
        ),
        return_exceptions=True,
    )

    compared = 0
    for _, each in pairs:
        for (decider, stream), loaded in each._states.items():
            full = await journal.load(Fold(decider, 1, lambda _: Account(), evolve), stream)
            if loaded.head == full.head:
                assert loaded == full
                compared += 1
        assert len(each._states) <= 3
    assert compared > 0
    assert sum([await balance(journal, name) for name in NAMES]) == 500


def test_a_command_reads_only_what_is_new_however_long_the_stream_is() -> None:
    async def main() -> None:
        (journal, runner), (_, other) = processes()
        await write(journal, A, *(Deposited(1) for _ in range(500)))
        counted = CountedEvents(journal.store.events)
        journal.store.events = counted

        async def read_by(command: Deposit, command_id: str | None = None) -> int:
            before = counted.events_read
            await runner.execute(DEPOSIT, command, ADA, command_id)
            return counted.events_read - before

        assert await read_by(Deposit(A, 1)) == 500  # once, to know the state
        assert await read_by(Deposit(A, 1), "d-1") == 0
        assert await read_by(Deposit(A, 1), "d-2") == 0
        for _ in range(3):
            await other.execute(DEPOSIT, Deposit(A, 1), ADA)
        assert await read_by(Deposit(A, 1)) == 3
        assert await read_by(Deposit(A, 1), "d-1") == 2  # its own event and the one before it
        assert await read_by(Deposit(A, 1)) == 0

    run(main())


def test_a_fold_that_fails_half_way_leaves_no_half_folded_state() -> None:
    class Sum:
        def __init__(self) -> None:
            self.total = 0

    faults = [KeyError("a fault of the program")]
    totals: list[int] = []

    def count(state: Sum, record: Struct, _place: object) -> Sum:
        if isinstance(record, Deposited):
            state.total += record.amount
        elif faults:
            raise faults.pop()
        return state

    def decide(states: Mapping[str, Any], command: Deposit, _context: DecideContext) -> Decision:
        totals.append(states[A].total)
        return {A: (Deposited(command.amount), Noted("and then"))}

    decider = Decider("bank.sum", lambda _: (A,), lambda _: Sum(), decide, count, lambda *_: None)

    async def main() -> None:
        [(_, runner)] = processes(1)
        with pytest.raises(KeyError):
            await runner.execute(decider, Deposit(A, 1), ADA)
        await runner.execute(decider, Deposit(A, 2), ADA)
        await runner.execute(decider, Deposit(A, 4), ADA)

    run(main())
    assert totals == [0, 1, 3]


def test_a_cache_of_no_states_changes_no_result() -> None:
    async def main() -> None:
        [(journal, runner)] = processes(1, cached_states_max=0)
        for amount in (1, 2, 4):
            await runner.execute(DEPOSIT, Deposit(A, amount), ADA)
        assert await balance(journal, A) == 7
        assert len(runner._states) == 0

    run(main())


# Any commands against a model

COMMANDS = st.one_of(
    st.builds(Deposit, st.sampled_from(NAMES[:3]), st.integers(0, 50)),
    st.builds(Transfer, st.sampled_from(NAMES[:2]), st.just(NAMES[2]), st.integers(1, 50)),
)
STEP = st.tuples(st.integers(0, 1), COMMANDS, st.none() | st.sampled_from(["id-1", "id-2", "id-3"]))


class Model:
    """What accounts and command ids are expected to be, in the plainest way."""

    def __init__(self) -> None:
        self.balances = dict.fromkeys(NAMES, 0)
        self.done: dict[str, tuple[Struct, dict[str, int]]] = {}

    def expected(self, command: Deposit | Transfer, command_id: str | None) -> dict[str, int] | str:
        """The answer, or the code of the error."""
        if command_id in self.done:
            first, answer = self.done[command_id]
            return answer if first == command else "command_id_conflict"
        if isinstance(command, Deposit):
            answer = {command.account: command.amount} if command.amount else {}
            self.balances[command.account] += command.amount
        elif self.balances[command.source] < command.amount:
            return "funds_short"
        else:
            answer = {command.source: command.amount, command.target: command.amount}
            self.balances[command.source] -= command.amount
            self.balances[command.target] += command.amount
        if command_id is not None and answer:
            self.done[command_id] = (command, answer)
        return answer


@given(st.lists(STEP, max_size=25), st.integers(0, 4))
def test_any_commands_of_two_processes_do_what_the_model_says(
    steps: list[tuple[int, Deposit | Transfer, str | None]], cached: int
) -> None:
    async def main() -> None:
        pairs = processes(2, cached_states_max=cached)
        model = Model()
        for process, command, command_id in steps:
            decider = DEPOSIT if isinstance(command, Deposit) else TRANSFER
            try:
                answer = await pairs[process][1].execute(decider, command, ADA, command_id)
            except InterlockError as fault:
                answer = fault.code
            assert answer == model.expected(command, command_id)
        journal = pairs[0][0]
        assert {name: await balance(journal, name) for name in NAMES} == model.balances

    run(main())
