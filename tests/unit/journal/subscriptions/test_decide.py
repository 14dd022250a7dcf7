"""The decider of subscriptions: what each command makes of each state, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from msgspec import Raw, Struct

from interlock.base.events import Claim, Hold, IndexRow, Place
from interlock.base.part import DecideContext, Decided, Refusal
from interlock.base.principal import Principal, PrincipalKind
from interlock.journal.subscriptions import events as e
from interlock.journal.subscriptions.decide import (
    DECIDER,
    LETTERS_FULL,
    LETTERS_MAX,
    TEXT_CHARACTERS_MAX,
    Add,
    Arrive,
    GiveUp,
    Pause,
    Redrive,
    Remove,
    Resume,
)
from interlock.journal.subscriptions.fold import SubscriptionState, orders_of, restore, save
from tests.unit.journal.subscriptions.outside import ADA, STREAM

THING = "default/thing/a"
CLAIM = Claim(STREAM, e.SUBSCRIPTION, "host-1", 4, 9_000)
ADDED = e.SubscriptionAdded(None, e.Filter(kinds=("thing",), types=("toy.*",)), True, "toy", Raw(b'{"place":"here"}'))
PAUSED, RESUMED, REMOVED = e.SubscriptionPaused(None, "why"), e.SubscriptionResumed(), e.SubscriptionRemoved()
REDRIVEN, REDONE = e.DeliveryRedriven(3, THING), e.DeliveryRedone(4, 9_000, "host-1", 3, THING)


def dead(seq: int = 3, *, again: bool = False) -> e.DeliveryDead:
    return e.DeliveryDead(again, 5, "toy_refused", 4, 9_000, "not this one", "host-1", seq, THING)


def given(*history: Struct) -> SubscriptionState:
    state: SubscriptionState = DECIDER.initial(STREAM)
    for seq, record in enumerate(history, 1):
        state = DECIDER.evolve(state, record, Place(STREAM, seq, 1_000 + seq, "local:ada", None))
    return state


def decided(history: Sequence[Struct], command: Any, principal: Principal = ADA) -> list[Struct] | str:
    """The events that a command records, or the code with which it is refused."""
    context = DecideContext(5_000, principal, b"e" * 32, "0" * 64)
    decision = DECIDER.decide({STREAM: given(*history)}, command, context)
    assert not isinstance(decision, Decided), "a subscription names no artifact"
    return decision.error.code if isinstance(decision, Refusal) else list(decision.get(STREAM, ()))


def add(**changed: Any) -> Add:
    usual: dict[str, Any] = {"sink": "toy", "target": '{"place": "here"}', "filter": ADDED.filter}
    return Add(STREAM, **{**usual, **changed})


def give_up(**changed: Any) -> GiveUp:
    usual: dict[str, Any] = {"generation": 1, "seq": 3, "attempts": 5, "code": "toy_refused", "message": "not this one"}
    return GiveUp(CLAIM, event_stream=THING, **{**usual, **changed})


ARRIVE = Arrive(CLAIM, 1, THING, 3)
PAUSE, RESUME, REMOVE, REDRIVE = Pause(STREAM, "why"), Resume(STREAM), Remove(STREAM), Redrive(STREAM)
KEY = f"{THING}#3"


@pytest.mark.parametrize(
    ("history", "command", "expected"),
    [
        # adding
        ([], add(), [ADDED]),
        ([], add(after_position=7), [msgspec.structs.replace(ADDED, after_position=7)]),
        ([ADDED], add(), []),
        ([ADDED], add(after_position=7), []),
        ([ADDED, PAUSED], add(), []),
        ([ADDED], add(sink="file"), "subscription_exists"),
        ([ADDED], add(target="{}"), "subscription_exists"),
        ([ADDED], add(filter=e.Filter()), "subscription_exists"),
        ([ADDED, REMOVED], add(sink="toy"), [ADDED]),
        ([], add(filter=e.Filter(types=("x",))), "subscription_invalid"),
        # pausing and resuming
        ([], PAUSE, "subscription_not_found"),
        ([ADDED], PAUSE, [PAUSED]),
        ([ADDED, PAUSED], PAUSE, []),
        ([ADDED], Pause(STREAM, "r" * 600, "sink_gone", 1), [e.SubscriptionPaused("sink_gone", "r" * 500)]),
        ([ADDED, REMOVED, ADDED], Pause(STREAM, "gone", "sink_gone", 1), []),
        ([ADDED, REMOVED], PAUSE, "subscription_not_found"),
        ([], RESUME, "subscription_not_found"),
        ([ADDED], RESUME, []),
        ([ADDED, PAUSED], RESUME, [RESUMED]),
        ([ADDED, PAUSED, RESUMED], PAUSE, [PAUSED]),
        # removing
        ([], REMOVE, []),
        ([ADDED], REMOVE, [REMOVED]),
        ([ADDED, REMOVED], REMOVE, []),
        # dead letters
        ([ADDED], give_up(), [dead()]),
        ([ADDED], give_up(message="m" * 600), [msgspec.structs.replace(dead(), message="m" * TEXT_CHARACTERS_MAX)]),
        ([ADDED, dead()], give_up(), []),
        ([ADDED, dead()], give_up(seq=4), [dead(4)]),
        ([ADDED, dead(), REDRIVEN], give_up(), [dead(again=True)]),
        ([ADDED], give_up(generation=2), []),
        ([], give_up(), []),
        ([ADDED, REMOVED], give_up(), []),
        # redriving
        ([], REDRIVE, "subscription_not_found"),
        ([ADDED], REDRIVE, []),
        ([ADDED, dead(), dead(4)], REDRIVE, [REDRIVEN, e.DeliveryRedriven(4, THING)]),
        ([ADDED, dead(), dead(4)], Redrive(STREAM, (KEY, KEY)), [REDRIVEN]),
        ([ADDED, dead(), REDRIVEN], REDRIVE, []),
        ([ADDED, dead()], Redrive(STREAM, (KEY, f"{THING}#9")), "letter_not_found"),
        ([ADDED, dead(), REDRIVEN], ARRIVE, [REDONE]),
        ([ADDED, dead()], ARRIVE, []),
        ([ADDED, dead(), REDRIVEN, REDONE], ARRIVE, []),
        ([ADDED, dead(), REDRIVEN, dead(again=True)], ARRIVE, []),
        ([ADDED, REMOVED, ADDED, dead(), REDRIVEN], ARRIVE, []),
        ([], ARRIVE, []),
    ],
)
def test_what_a_command_makes_of_a_subscription(
    history: list[Struct], command: Any, expected: list[Struct] | str
) -> None:
    assert decided(history, command) == expected


@pytest.mark.parametrize("name", ["Audit", "1st", "a" * 64, "a.b", "å"])
def test_a_name_of_another_form_is_refused(name: str) -> None:
    stream = e.subscription_stream("default", name)
    decision = DECIDER.decide(
        {stream: SubscriptionState()},
        Add(stream, "toy", "{}"),
        DecideContext(5_000, ADA, b"e" * 32, "0" * 64),
    )

    assert isinstance(decision, Refusal)
    assert decision.error.code == "subscription_invalid"


@pytest.mark.parametrize(
    ("kind", "local"),
    [(PrincipalKind.LOCAL, True), (PrincipalKind.TOKEN, False), (PrincipalKind.LOCAL_DECLARED, False)],
)
def test_only_what_the_user_of_this_machine_adds_is_local(kind: PrincipalKind, local: bool) -> None:
    recorded = decided([], add(), Principal(id="someone", kind=kind))

    assert recorded == [msgspec.structs.replace(ADDED, local=local)]


def test_a_subscription_with_as_many_dead_letters_as_are_kept_pauses_itself() -> None:
    history: list[Struct] = [ADDED, *(dead(seq) for seq in range(1, LETTERS_MAX))]

    assert decided(history[:-1], give_up(seq=LETTERS_MAX)) == [dead(LETTERS_MAX)]
    last = decided(history, give_up(seq=LETTERS_MAX))
    assert isinstance(last, list)
    assert last[0] == dead(LETTERS_MAX)
    assert isinstance(last[1], e.SubscriptionPaused)
    assert last[1].code == LETTERS_FULL
    assert decided([*history, PAUSED], give_up(seq=LETTERS_MAX)) == [dead(LETTERS_MAX)]


def test_the_orders_name_what_is_redriven_in_order_and_nothing_else() -> None:
    history = [ADDED, dead(4), dead(3), e.DeliveryRedriven(4, THING), REDRIVEN, dead(9)]

    orders = orders_of(given(*history))

    assert orders is not None
    assert [letter.seq for letter in orders.redriven] == [3, 4]
    assert (orders.generation, orders.paused, orders.sink) == (1, False, "toy")
    assert orders_of(given()) is None
    assert orders_of(given(ADDED, REMOVED)) is None
    paused = orders_of(given(ADDED, REMOVED, ADDED, PAUSED))
    assert paused is not None
    assert (paused.generation, paused.paused) == (3, True)


def test_a_state_is_the_same_after_a_snapshot() -> None:
    state = given(ADDED, dead(), REDRIVEN, dead(4), PAUSED)

    assert save(restore(save(state))) == save(state)
    assert restore(save(state)).letters == state.letters


def test_what_only_the_deliverer_records_is_fenced_by_its_claim_and_what_is_there_stands_in_the_index() -> None:
    rows = {
        kind.name: [] if kind.index is None else list(kind.index(Place(STREAM, 3, 0, "", None), record))
        for kind in e.EVENTS
        for record in (ADDED, PAUSED, RESUMED, REMOVED, dead(), REDRIVEN, REDONE)
        if isinstance(record, kind.record)
    }

    standing = msgspec.json.encode(e.Present(None, 3))
    assert rows == {
        "journal.subscription_added": [IndexRow("subscription", "audit", standing)],
        "journal.subscription_paused": [],
        "journal.subscription_resumed": [],
        "journal.subscription_removed": [IndexRow("subscription", "audit", None)],
        "journal.delivery_dead": [Hold(CLAIM)],
        "journal.delivery_redriven": [],
        "journal.delivery_redone": [Hold(CLAIM)],
    }
