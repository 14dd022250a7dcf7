"""The decider of tokens: what each command makes of each state, as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from msgspec import Struct
from msgspec.structs import replace

from interlock.access.tokens.decide import DAY_MS, DECIDER, GENERATIONS_MAX, LIFETIME_MS_MAX, MINUTE_MS, New, Revoke
from interlock.access.tokens.events import EVENTS, TokenCreated, TokenRevoked, token_stream
from interlock.access.tokens.fold import TokenState
from interlock.base.events import Place
from interlock.base.part import DecideContext, Decided, Refusal
from interlock.journal.catalogue import EventCatalogue
from tests.unit.access.people import LOCAL

STREAM = token_stream("default", "0123456789abcdef")
CREATED = TokenCreated("d" * 64, 5_000 + DAY_MS, ("g",), (), "ci", ("viewer",))
REVOKED = TokenRevoked("lost")


def given(*history: Struct) -> TokenState:
    state: TokenState = DECIDER.initial(STREAM)
    for seq, record in enumerate(history, 1):
        state = DECIDER.evolve(state, record, Place(STREAM, seq, 1_000 + seq, "local:ada", None))
    return state


def decided(history: Sequence[Struct], command: Any) -> list[Struct] | str:
    """The events that a command records, or the code with which it is refused."""
    decision = DECIDER.decide({STREAM: given(*history)}, command, DecideContext(5_000, LOCAL, b"e" * 32, "0" * 64))
    assert not isinstance(decision, Decided), "a token names no artifact"
    return decision.error.code if isinstance(decision, Refusal) else list(decision.get(STREAM, ()))


def new(**changed: Any) -> New:
    usual: dict[str, Any] = {"name": "ci", "roles": ("viewer",), "groups": ("g",), "lifetime_ms": DAY_MS}
    return New(STREAM, **{**usual, "digest": "d" * 64, **changed})


@pytest.mark.parametrize(
    ("history", "command", "outcome"),
    [
        ([], new(), [CREATED]),
        ([], new(groups=()), [TokenCreated("d" * 64, 5_000 + DAY_MS, (), (), "ci", ("viewer",))]),
        ([], new(lifetime_ms=MINUTE_MS), [TokenCreated("d" * 64, 5_000 + MINUTE_MS, ("g",), (), "ci", ("viewer",))]),
        ([], new(lifetime_ms=MINUTE_MS - 1), "token_unsound"),
        ([], new(lifetime_ms=LIFETIME_MS_MAX + 1), "token_unsound"),
        ([], new(roles=(), groups=()), "token_unsound"),
        ([], new(roles=("r",) * 65), "token_unsound"),
        ([], new(name="no name"), "token_unsound"),
        ([], new(name="ci\n"), "token_unsound"),
        ([CREATED], new(), "command_id_conflict"),
        ([CREATED, REVOKED], new(), "command_id_conflict"),
        ([], Revoke(STREAM, "lost"), "token_not_found"),
        ([CREATED], Revoke(STREAM, "lost"), [REVOKED]),
        ([CREATED, REVOKED], Revoke(STREAM, "again"), []),
    ],
)
def test_a_command_makes_of_a_state(history: list[Struct], command: Any, outcome: list[Struct] | str) -> None:
    assert decided(history, command) == outcome


MAKER = token_stream("default", "feedfeedfeedfeed")


@pytest.mark.parametrize(
    ("maker", "changed", "outcome"),
    [
        (CREATED, {}, (CREATED.expires_ms, ("feedfeedfeedfeed",))),
        (CREATED, {"lifetime_ms": MINUTE_MS}, (5_000 + MINUTE_MS, ("feedfeedfeedfeed",))),
        (CREATED, {"lifetime_ms": DAY_MS + 1}, "token_outlives"),
        (CREATED, {"lifetime_ms": DAY_MS + 1, "fits": True}, (CREATED.expires_ms, ("feedfeedfeedfeed",))),
        (CREATED, {"lifetime_ms": LIFETIME_MS_MAX + 1, "fits": True}, "token_unsound"),
        (replace(CREATED, expires_ms=5_000), {"fits": True}, "token_invalid"),
        (replace(CREATED, makers=("a", "b")), {}, (CREATED.expires_ms, ("feedfeedfeedfeed", "a", "b"))),
        (replace(CREATED, makers=("a",) * GENERATIONS_MAX), {}, "token_generations"),
        (None, {}, "token_invalid"),
        (REVOKED, {}, "token_invalid"),
    ],
)
def test_a_token_of_a_token_ends_no_later_and_names_all_that_it_goes_back_to(
    maker: Struct | None, changed: dict[str, Any], outcome: tuple[int, tuple[str, ...]] | str
) -> None:
    history = [] if maker is None else [CREATED, REVOKED] if maker is REVOKED else [maker]
    states = {STREAM: given(), MAKER: given(*history)}
    command = new(maker=MAKER, **changed)
    assert set(DECIDER.streams(command)) == set(states)
    decision = DECIDER.decide(states, command, DecideContext(5_000, LOCAL, b"e" * 32, "0" * 64))

    if isinstance(decision, Refusal):
        assert decision.error.code == outcome
    else:
        assert not isinstance(decision, Decided)
        [created] = decision[STREAM]
        assert isinstance(created, TokenCreated)
        assert (created.expires_ms, created.makers) == outcome


def test_a_creation_of_version_1_is_read_as_one_without_a_token() -> None:
    catalogue = EventCatalogue(EVENTS)
    stored = b'{"digest":"d","expires_ms":7,"groups":["g"],"name":"ci","roles":["viewer"]}'
    assert catalogue.decode("access.token_created", 1, stored) == TokenCreated("d", 7, ("g",), (), "ci", ("viewer",))
    kind, data = catalogue.encode(CREATED)
    assert (kind.version, catalogue.decode(kind.name, kind.version, data)) == (2, CREATED)


def test_a_token_is_good_from_its_making_until_it_expires_or_is_revoked() -> None:
    assert not given().is_good(0)
    assert given(CREATED).is_good(CREATED.expires_ms - 1)
    assert not given(CREATED).is_good(CREATED.expires_ms)
    assert not given(CREATED, REVOKED).is_good(0)


def test_the_answer_is_made_of_the_events() -> None:
    assert DECIDER.result({STREAM: (CREATED,)}, new()) == CREATED
    assert DECIDER.result({STREAM: (REVOKED,)}, Revoke(STREAM, "lost")) is True
    assert DECIDER.result({}, Revoke(STREAM, "again")) is False
