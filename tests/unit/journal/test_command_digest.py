"""The digest of a command: for ever the same for the same content, whatever members come later."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Struct

from interlock.base.canonical import digest
from interlock.journal.runner import command_digest


class Line(Struct, frozen=True):
    text: str
    times: int = 1


class Order(Struct, frozen=True, rename={"to": "recipient"}):
    lines: list[Line]
    to: str
    first: Line = Line("none")
    labels: dict[str, int] = {}
    marks: list[str] = []
    note: str | None = None


class OrderOfLater(Struct, frozen=True, rename={"to": "recipient"}):
    """The same with members that came later, here and within."""

    lines: list[Any]
    to: str
    first: Any = Line("none")
    labels: dict[str, int] = {}
    marks: list[str] = []
    note: str | None = None
    urgent: bool = False
    tags: list[str] = []
    weights: dict[str, int] = {}


class LineOfLater(Struct, frozen=True):
    text: str
    times: int = 1
    unit: str = "piece"


class Express(Struct, frozen=True, tag="express"):
    hours: int = 24


class Post(Struct, frozen=True, tag="post"):
    hours: int = 24


class Sent(Struct, frozen=True):
    by: Express | Post


ORDER_DIGEST = "8c655d22096b6cdefea489eaed169b77b7c5115abf6f6978e2e89a7c3c24e5dc"


def test_a_command_digest_is_this_for_ever() -> None:
    order = Order([Line("x", 2), Line("y")], "ada", labels={"b": 1, "a": 2})
    content = (
        b'{"command":"bank.order","input":{"labels":{"a":2,"b":1},'
        b'"lines":[{"text":"x","times":2},{"text":"y"}],"recipient":"ada"}}'
    )

    assert digest(b"interlock/command/1\n" + content) == ORDER_DIGEST
    assert command_digest("bank.order", order) == ORDER_DIGEST


def test_members_that_are_added_later_change_no_digest() -> None:
    then = Order([Line("x", 2)], "ada")
    now = OrderOfLater([LineOfLater("x", 2)], "ada")

    assert command_digest("bank.order", then) == command_digest("bank.order", now)
    assert command_digest("bank.order", then) != command_digest("bank.order", OrderOfLater([], "ada"))


@pytest.mark.parametrize(
    "other",
    [
        Order([Line("x")], "bob"),
        Order([Line("x", 2)], "ada"),
        Order([Line("x"), Line("x")], "ada"),
        Order([Line("x")], "ada", first=Line("some")),
        Order([Line("x")], "ada", labels={"a": 0}),
        Order([Line("x")], "ada", marks=[""]),
        Order([Line("x")], "ada", note=""),
    ],
)
def test_any_other_content_has_another_digest(other: Order) -> None:
    order = Order([Line("x")], "ada")

    assert command_digest("bank.order", order) != command_digest("bank.order", other)
    assert command_digest("bank.order", order) != command_digest("bank.orders", order)


def test_the_digest_tells_variants_apart_that_have_equal_members() -> None:
    assert command_digest("send", Sent(Express())) != command_digest("send", Sent(Post()))
