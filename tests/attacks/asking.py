"""What the attacks on the transport of HTTP share: a client of it, and ways to be refused.

It attacks nothing itself. `PORT` in an address stands for the port of the server that runs beside the attack.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from typing import TypeVar

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.base.secrets import Secret, SecretRef
from interlock.engine.io.transports.http import HttpSettings, HttpTransport
from interlock.engine.io.transports.port import TransportContext
from tests.unit.engine.io.transports.server import Answer, Server, serving

RUN_ID = "00000000-0000-4000-8000-000000000000"
LOCAL = TransportContext(RUN_ID, "m.s.l", 0, local_plan=True)
CANARY = "canary-value-0123456789"
OPEN = HttpSettings(allow_private_networks=True)

Result = TypeVar("Result")


class Names:
    """A name server of our own: answers in turn, the last one for ever, and counts who asks."""

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, _: int) -> list[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def transport(
    settings: HttpSettings = OPEN,
    names: Names | None = None,
    tls: ssl.SSLContext | None = None,
    value: str = CANARY,
) -> HttpTransport:
    def secret(_: SecretRef) -> Secret:
        return Secret(value)

    if names is None:
        return HttpTransport(settings, secret, tls=tls)
    return HttpTransport(settings, secret, resolve=names, tls=tls)


async def ask(using: HttpTransport, url: str, context: TransportContext = LOCAL, /, **request: Json) -> dict[str, Json]:
    answer = await using.call({"kind": "http_request_v1", "url": url, **request}, context)
    assert isinstance(answer, dict)
    return answer


def against(answer: Answer | bytes | None, attack: Callable[[Server], Coroutine[None, None, Result]]) -> Result:
    """Run an attack beside a server that gives `answer`."""

    async def run() -> Result:
        async with serving(answer) as server:
            return await attack(server)

    return asyncio.run(run())


def refused(
    answer: Answer | bytes | None, using: Callable[[], HttpTransport], url: str | None = None, **request: Json
) -> tuple[InterlockError, Server]:
    """The refusal of one request, and what the server saw of it."""

    async def attack(server: Server) -> tuple[InterlockError, Server]:
        client = using()
        with pytest.raises(InterlockError) as caught:
            await ask(client, (url or server.url).replace("PORT", str(server.port)), **request)
        await client.close()
        return caught.value, server

    return against(answer, attack)
