"""Which transport serves a namespace, and when it is made."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import Invalid
from interlock.base.part import Services, TransportFactory
from interlock.engine.io.router import Router
from interlock.engine.io.transports.port import TransportContext


class Named:
    """A transport that answers with its group and remembers that it was closed."""

    def __init__(self, group: str) -> None:
        self.group = group
        self.closed = 0

    async def call(self, request: Json, context: TransportContext) -> Json:
        del request, context
        return self.group

    def effectful(self, request: Json) -> bool:
        del request
        return False

    async def close(self) -> None:
        self.closed += 1


class Empty:
    def get(self, kind: type[Any]) -> Any:
        raise KeyError(kind)


def router(*groups: str) -> tuple[Router, list[Named]]:
    made: list[Named] = []

    def factory(group: str) -> TransportFactory:
        def make(_: Services) -> Named:
            made.append(Named(group))
            return made[-1]

        return TransportFactory(group, make)

    return Router([factory(group) for group in groups], Empty()), made


@pytest.mark.parametrize(
    ("namespace", "group"),
    [
        ("nix", "nix"),
        ("nix.exec", "nix.exec"),
        ("nix.exec.fast", "nix.exec"),
        ("nix.eval", "nix"),
        ("nix.execute", "nix"),
    ],
)
def test_the_longest_group_that_is_a_prefix_by_whole_segments_serves(namespace: str, group: str) -> None:
    routes, _ = router("nix", "nix.exec", "exec")

    served = routes.route(namespace)

    assert isinstance(served, Named)
    assert served.group == group


@pytest.mark.parametrize("namespace", ["", ".", "nixos", "http", "a.nix", "nix" * 1000, "secret\ncanary"])
def test_an_unknown_namespace_is_refused_and_makes_no_transport(namespace: str) -> None:
    routes, made = router("nix")

    with pytest.raises(Invalid) as caught:
        routes.route(namespace)

    assert caught.value.code == "io_unknown_namespace"
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200
    assert made == []


@pytest.mark.parametrize("groups", [("",), ("exec", "exec"), ("a..b",), ("Exec",), ("exec.",), ("exec\n",)])
def test_an_empty_malformed_or_doubled_group_is_refused(groups: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        router(*groups)

    assert caught.value.code == "transport_group_invalid"


def test_a_transport_is_made_at_its_first_call_and_once() -> None:
    routes, made = router("exec", "http")
    assert made == []

    assert routes.route("exec") is routes.route("exec.other")
    assert [transport.group for transport in made] == ["exec"]


def test_closing_closes_what_was_made_once() -> None:
    routes, made = router("exec", "http")
    routes.route("http")

    asyncio.run(routes.close())
    asyncio.run(routes.close())

    assert [(transport.group, transport.closed) for transport in made] == [("http", 1)]
