"""Leases: whatever is asked in whatever order, no unit is held twice, no token repeats, and nobody starves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from interlock.base.errors import InterlockError
from interlock.journal.leases import events as e
from interlock.journal.leases.decide import Expire, Granted, Queued, Release, Renew, Seize, Withdraw
from interlock.journal.leases.fold import save
from tests.properties.lease_desk import STREAM, Desk, asked

GROUPS = st.sampled_from(["", "a", "b"])
UNITS = st.integers(1, 4)


class LeaseModel(RuleBasedStateMachine):
    """One lease under commands in any order; `Desk` holds the invariants after each."""

    @initialize(capacity=st.integers(1, 6))
    def begin(self, capacity: int) -> None:
        self.desk = Desk()
        self.capacity = capacity
        self.requests: dict[str, dict[str, int | str | None]] = {}

    @rule(units=UNITS, group=GROUPS, priority=st.integers(-1, 1), lease_ms=st.integers(1, 300))
    def ask(self, units: int, group: str, priority: int, lease_ms: int) -> None:
        name = f"r{len(self.requests)}"
        given: dict[str, int | str | None] = {
            "units": units,
            "group": group,
            "priority": priority,
            "lease_ms": lease_ms,
            "capacity": self.capacity,
            "wake": f"default/run/{name}",
        }
        answer = self.desk.give(asked(name, **given))
        if units > self.capacity:
            assert isinstance(answer, InterlockError)
            assert answer.code == "lease_too_large"
            return
        self.requests[name] = given
        token = self.desk.state.token_of(name)
        if token is None:
            places = [request.request_id for request in self.desk.state.places()]
            assert answer == Queued(places.index(name) + 1)
        else:
            assert answer == Granted(token, self.desk.now_ms + lease_ms)

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def ask_again(self, data: st.DataObject) -> None:
        self.desk.fire_due()
        state = self.desk.state
        standing = [holder.request_id for holder in state.holders.values()] + list(state.queue)
        if not standing:
            return
        name = data.draw(st.sampled_from(standing))
        before = len(self.desk.records)
        assert self.desk.give(asked(name, **self.requests[name])) is None
        assert len(self.desk.records) == before
        other = self.desk.give(asked(name, **{**self.requests[name], "holder": "another"}))
        assert isinstance(other, InterlockError)
        assert (other.code, len(self.desk.records)) == ("command_id_conflict", before)

    @rule(capacity=st.integers(1, 6))
    def state_another_capacity(self, capacity: int) -> None:
        self.capacity = capacity

    @rule(data=st.data(), lease_ms=st.integers(1, 300))
    def renew(self, data: st.DataObject, lease_ms: int) -> None:
        token = data.draw(st.integers(0, self.desk.state.token + 1))
        held = token in self.desk.state.holders
        overdue = held and self.desk.state.holders[token].expires_ms <= self.desk.now_ms
        answer = self.desk.give(Renew(STREAM, token, lease_ms))
        if held and not overdue:
            assert answer == Granted(token, self.desk.now_ms + lease_ms)
        else:
            assert isinstance(answer, InterlockError)
            assert answer.code == "lease_lost"

    @rule(data=st.data(), seize=st.booleans())
    def end(self, data: st.DataObject, *, seize: bool) -> None:
        token = data.draw(st.integers(0, self.desk.state.token + 1))
        last = self.desk.state.token
        holder = self.desk.state.holders.get(token)
        ends = holder is not None and holder.expires_ms > self.desk.now_ms
        command = Seize(STREAM, token, "it must") if seize else Release(STREAM, token)
        assert self.desk.give(command) is ends
        # A token that is not given out yet may be, for what has just come free.
        assert token not in self.desk.state.holders or token > last

    @precondition(lambda self: self.requests)
    @rule(data=st.data())
    def withdraw(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.requests)))
        self.desk.give(Withdraw(STREAM, name))
        assert name not in self.desk.state.queue
        assert self.desk.state.token_of(name) is None

    @rule(by_ms=st.integers(1, 200), fired=st.booleans())
    def time_passes(self, by_ms: int, *, fired: bool) -> None:
        self.desk.now_ms += by_ms
        if fired:
            self.desk.fire_due()

    @rule(data=st.data())
    def a_timer_fires_that_was_read_before_it_moved(self, data: st.DataObject) -> None:
        token = data.draw(st.integers(1, self.desk.state.token + 1))
        self.desk.give(Expire(STREAM, token, self.desk.now_ms - data.draw(st.integers(0, 300))))

    @invariant()
    def the_state_is_the_fold_of_all_events(self) -> None:
        if hasattr(self, "desk"):
            assert save(self.desk.folded()) == save(self.desk.state)

    @invariant()
    def whoever_waited_and_was_granted_was_woken(self) -> None:
        if hasattr(self, "desk"):
            granted = [record for record in self.desk.records if isinstance(record, e.LeaseGranted)]
            assert self.desk.wakes == [record.wake for record in granted if record.queued]


TestLeaseModel = LeaseModel.TestCase
NEWCOMERS = "abcd"


@given(st.lists(st.tuples(UNITS, st.booleans()), min_size=1, max_size=60), st.integers(4, 8))
def test_within_one_priority_and_group_the_first_to_come_is_the_first_to_get(
    steps: list[tuple[int, bool]], capacity: int
) -> None:
    desk = Desk()
    for number, (units, release) in enumerate(steps):
        desk.give(asked(f"{number:03d}", units=units, capacity=capacity))
        if release and desk.state.holders:
            desk.give(Release(STREAM, min(desk.state.holders)))
    while desk.state.holders:
        desk.give(Release(STREAM, min(desk.state.holders)))

    granted = [record.request_id for record in desk.records if isinstance(record, e.LeaseGranted)]
    assert granted == [f"{number:03d}" for number in range(len(steps))]


@given(st.data())
def test_within_one_priority_nobody_starves_whatever_comes_after(data: st.DataObject) -> None:
    """Every holder goes within `held_max` rounds, and newcomers of any size and group never cease.

    Of each other group, which has had less, one may go first that came later.
    """
    capacity, held_max = data.draw(st.integers(1, 5)), data.draw(st.integers(1, 4))
    names = iter(range(100_000))
    desk, since = Desk(), dict[int, int]()

    def arrive() -> str:
        name = f"r{next(names)}"
        units, group = data.draw(st.integers(1, capacity)), data.draw(st.sampled_from(NEWCOMERS))
        desk.give(asked(name, units=units, group=group, capacity=capacity, lease_ms=1_000_000))
        return name

    for _ in range(data.draw(st.integers(0, 8))):
        arrive()
    ahead = len(desk.state.queue)
    victim = arrive()
    for number in range((ahead + len(NEWCOMERS)) * (2 * held_max + 2) + 2):
        if desk.state.token_of(victim) is not None:
            return
        for token in list(desk.state.holders):
            if number - since.setdefault(token, number) >= held_max or data.draw(st.booleans()):
                desk.give(Release(STREAM, token))
        for _ in range(data.draw(st.integers(0, 2))):
            arrive()
    assert desk.state.token_of(victim) is not None


@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=30), st.integers(1, 4))
def test_groups_that_all_wait_hold_shares_that_differ_by_one_unit_at_most(groups: list[str], capacity: int) -> None:
    desk = Desk()
    desk.give(asked("first", units=capacity, capacity=capacity, group="z"))
    for number, group in enumerate(groups):
        desk.give(asked(f"r{number}", group=group, capacity=capacity))

    desk.give(Release(STREAM, 1))

    held = dict.fromkeys(groups, 0)
    for holder in desk.state.holders.values():
        held[holder.group] += holder.units
    waiting = {request.group for request in desk.state.queue.values()}
    assert all(max(held.values()) - held[group] <= 1 for group in waiting)


@given(st.integers(1, 5), st.integers(1, 5), st.integers(1, 40))
def test_a_lease_that_is_never_released_grants_no_more_than_its_units_in_any_period(
    rate: int, period_ms: int, asks: int
) -> None:
    desk = Desk()
    granted: list[int] = []
    for number in range(asks):
        desk.give(asked(f"r{number}", capacity=rate, lease_ms=period_ms))
        granted += [desk.now_ms] * (desk.state.token - len(granted))
        desk.now_ms += 1
        desk.fire_due()
        granted += [desk.now_ms] * (desk.state.token - len(granted))

    for start in granted:
        assert sum(start <= at < start + period_ms for at in granted) <= rate
