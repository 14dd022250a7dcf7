"""The client of a server: the commands of the catalogue, as they are called on a store of this machine.

What it does: checks an input as the embedded client does, sends it where the command's route says, and gives the output
as the command's record or raises the error that the server tells. What it does not do: it keeps nothing between calls
but connections, and no command runs here.

Rules: what changes something is sent under an idempotency key, which the client makes where the caller gives none, and
only then is it sent again; the token is in the header `Authorization` and in no error, text or log; the catalogue is
that of this installation.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, cast
from urllib.parse import urlencode

import msgspec
from msgspec import Struct

from interlock.base.clock import Clock, SystemClock
from interlock.base.errors import InterlockError
from interlock.base.extras import install_advice
from interlock.base.part import Command, unheard
from interlock.base.secrets import Secret
from interlock.client.calls import Known, may_repeat, request_of
from interlock.client.errors import (
    CLIENT_ANSWER_INVALID,
    CLIENT_CLOSED,
    CLIENT_LIBRARY_MISSING,
    CLIENT_TIMEOUT,
)
from interlock.client.exchange import PACK_SECONDS, Received, Sending, Taking
from interlock.client.feed import PROBLEM_BYTES_MAX, listened
from interlock.client.places import place_of
from interlock.client.problems import fault_of
from interlock.client.retrying import Failure, Retrying, retry_after_ms
from interlock.client.stream import Messages, ServerEvent, is_id
from interlock.surfaces.application import Application, load
from interlock.surfaces.client import checked_input
from interlock.surfaces.errors import INPUT_INVALID

if TYPE_CHECKING:
    from interlock.client.carrying import Carrier
    from interlock.client.uploads import Source
    from interlock.client.wire import Wire
    from interlock.engine.control.attach_command import Attached
    from interlock.engine.reports.records import RunReport
    from interlock.packs.commands import Exported, Verification

WAIT_SECONDS_FIRST: Final = 0.1
WAIT_SECONDS_MAX: Final = 5.0
_WAIT_GROWTH: Final = 1.5
_RECONNECT_MS: Final = 1_000
_FAILURES_COUNTED_MAX: Final = 10


class AsyncClient:
    """Calls the commands of a server. Use it as a context manager, or `close` it.

    `url` names the server, or `profile` does; without either, the default profile. `timeout_s` is for one request.
    `ca` names a file with the authorities to trust instead of the usual ones. `proxy` is asked only if it is given.
    `unsafe_plain_http` sends everything, the token too, unencrypted to other machines.
    """

    def __init__(
        self,
        url: str | None = None,
        token: str | Secret | None = None,
        profile: str | None = None,
        *,
        timeout_s: float = 60.0,
        ca: str | Path | None = None,
        proxy: str | None = None,
        unsafe_plain_http: bool = False,
        retrying: Retrying = Retrying(),  # noqa: B008 - immutable
        application: Application | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        clock: Clock = SystemClock(),  # noqa: B008 - immutable
    ) -> None:
        self._place = place_of(url, token, profile, ca, plain=unsafe_plain_http, environ=os.environ, folder=Path.cwd())
        self._timeout_s = timeout_s
        self._proxy = proxy
        self._retrying = retrying
        self._application = application
        self._sleep = sleep
        self._clock = clock
        self._wire: Wire | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection; nothing can be called afterwards."""
        self._closed = True
        if self._wire is not None:
            await self._wire.close()
            self._wire = None

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._place.address.url

    def commands(self) -> tuple[Command, ...]:
        """The commands that a server can be asked for, in the order of the catalogue."""
        return self._known.commands()

    async def call(
        self,
        name: str,
        given: Struct | Mapping[str, object],
        *,
        command_id: str | None = None,
        begun: Callable[[str], None] = unheard,
    ) -> Struct:
        """Have the server run the command `name`, and return its output.

        `begun` hears nothing: what a server drives it drives after it has answered. Raises: what the embedded client
        raises before anything is sent; what the command raises; `client_…`; `server_error`.
        """
        del begun
        if (command := self._known.carrying(name)) is not None:
            return await self._carrier.run(checked_input(command, given), command_id)
        route = self._known.route(name)
        sending = request_of(route, given, command_id)
        received = await self._answered(sending, route.command)
        try:
            return msgspec.json.decode(received.body or b"{}", type=route.command.output)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise CLIENT_ANSWER_INVALID.error(f"the answer to {name} has not the form of this version") from None

    async def attach(
        self,
        run: str,
        source: Source,
        *,
        name: str | None = None,
        kind: str | None = None,
        media_type: str | None = None,
        command_id: str | None = None,
    ) -> Attached:
        """Attach a file to a run: that of a path, or bytes, or whatever gives them piece by piece.

        `name` is that of the file where there is a path; else it is needed. What gives its bytes once is sent once,
        anything else again under the same key where the server was too busy. Raises: `attachment_…`, what the server
        refuses, `client_…`.
        """
        return await self._carrier.attach(run, source, (name, kind, media_type), command_id)

    async def artifact(self, run: str, artifact_id: str, *, seq: int | None = None) -> bytes:
        """The bytes that a run stored, or was attached, under an id of 64 digits: 64 MiB at most.

        `seq` is the event that names it, as `run.artifacts` lists it: it is needed far on in a long history. Raises:
        `artifact_…`, `run_not_found`, `client_answer_too_large`, `client_content_wrong`, what the server refuses.
        """
        return await self._carrier.artifact(run, artifact_id, seq)

    async def save_artifact(self, run: str, artifact_id: str, path: str | Path, *, seq: int | None = None) -> int:
        """Write the bytes that a run stored under an id to a new file; return how many they are.

        The file has its name when all of it is there. Raises: `artifact_out_unwritable`, and as `artifact`.
        """
        return await self._carrier.save_artifact(run, artifact_id, Path(path), seq)

    async def pack(
        self,
        run: str,
        path: str | Path,
        *,
        scenario: str | None = None,
        contract: bool = False,
        without_children: bool = False,
        sign: str | Path | None = None,
        force: bool = False,
        timeout_s: float = PACK_SECONDS,
    ) -> Exported:
        """Have a run exported, and write its pack to a file, which has its name when all of it is there and sound.

        `run`, `scenario` and the options are those of `pack.export`; `sign` names a private key of this machine, and
        `force` replaces a pack of this name. `timeout_s` is how long the server may take before the first byte, and
        for each further piece. Raises: `pack_…`, `key_…`, `run_not_found`, `client_content_wrong`, what the server
        refuses, `client_…`.
        """
        from interlock.packs.commands import ExportInput

        given = ExportInput(
            run=run,
            out=str(path),
            scenario=scenario,
            contract=contract,
            without_children=without_children,
            sign=None if sign is None else str(sign),
            force=force,
        )
        return await self._carrier.pack(given, timeout_s)

    async def verify(self, source: Source, *, timeout_s: float = PACK_SECONDS) -> Verification:
        """What the server proves of a pack: that of a path, or bytes, or whatever gives them piece by piece.

        A pack that does not verify is an answer, with `status` `fail`. `timeout_s` is how long the server may take for
        each piece and for its answer. Raises: `pack_not_found`, `pack_unreadable`, `input_invalid` for a folder; what
        the server refuses, `client_…`.
        """
        return await self._carrier.verify(source, timeout_s)

    async def wait(self, run_id: str, *, timeout_s: float | None = None) -> RunReport:
        """How a run stands once it has ended, or waits for somebody; asked with growing pauses.

        Raises: what `run.status` raises; `client_timeout` where that is not so after `timeout_s`.
        """
        from interlock.engine.reports.settled import is_settled

        async def ask(run: str) -> RunReport:
            return cast("RunReport", await self.call("run.status", {"run": run}))

        pause_s, spent_s = WAIT_SECONDS_FIRST, 0.0
        while not await is_settled(report := await ask(run_id), ask, self._clock.now_ms()):
            if timeout_s is not None and spent_s + pause_s > timeout_s:
                raise CLIENT_TIMEOUT.error(f"the run has not ended within {timeout_s:g} s")
            await self._sleep(pause_s)
            spent_s += pause_s
            pause_s = min(pause_s * _WAIT_GROWTH, WAIT_SECONDS_MAX)
        return report

    async def events(
        self, *, after: str | None = None, filters: Mapping[str, str | Sequence[str]] | None = None
    ) -> AsyncGenerator[ServerEvent, None]:
        """The messages of the server's feed as they come, without end; `after` is the id of the last one known.

        A connection that is lost is opened anew where it was; only a refusal, or a server that stays away, ends it.
        Raises: `input_invalid` for an id that no server gives; `client_…`; what the server refuses.
        """
        if after is not None and not is_id(after):
            raise INPUT_INVALID.error("`after`: not the id of a message", place="after")
        query, failed = urlencode(dict(filters or {}), doseq=True), 0
        messages = Messages(after or "")
        while True:
            lost: InterlockError | None = None
            try:
                wire = await self._opened()
                async with aclosing(listened(wire, messages, query, self._timeout_s, self._error)) as found:
                    async for message in found:
                        failed = 0
                        yield message
            except InterlockError as fault:
                if not fault.retryable:
                    raise
                lost = fault
            failed = 0 if lost is None else failed + 1
            if lost is not None and failed >= self._retrying.attempts_max:
                raise lost
            times = max(1, min(failed, _FAILURES_COUNTED_MAX))
            await self._sleep((messages.retry_ms or _RECONNECT_MS) * times / 1000)
            messages = messages.resumed()

    async def _answered(
        self, sending: Sending, command: Command, timeout_s: float | None = None, taking: Taking | None = None
    ) -> Received:
        """The answer of the server, if need be to a later attempt. Raises: what the last one came to."""
        wire = await self._opened()
        attempt, waited_ms = 1, 0
        began = asyncio.get_running_loop().time()
        while True:
            try:
                received = await wire.ask(sending, self._timeout_s if timeout_s is None else timeout_s, taking)
                if received.status < 300:
                    return received
                failure = self._refused(received, command)
            except InterlockError as fault:
                failure = Failure(fault, may_repeat=True)
            if sending.once:
                raise failure.error
            spent_ms = max(waited_ms, int((asyncio.get_running_loop().time() - began) * 1000))
            wait_ms = self._retrying.wait_ms(attempt, spent_ms, failure, os.urandom(8))
            if wait_ms is None:
                raise failure.error
            await self._sleep(wait_ms / 1000)
            attempt, waited_ms = attempt + 1, waited_ms + wait_ms

    def _refused(self, received: Received, command: Command) -> Failure:
        after_ms, error = retry_after_ms(received.headers.get("retry-after")), self._error(received)
        return Failure(error, may_repeat(command, error), received.status, after_ms)

    def _error(self, received: Received) -> InterlockError:
        return fault_of(received.status, received.body[:PROBLEM_BYTES_MAX], self._known.codes, self._hidden)

    def _hidden(self, text: str) -> str:
        """The text without the token, should a server repeat it."""
        token = self._place.token
        return text if token is None else text.replace(token.reveal(), "[token]")

    async def _opened(self) -> Wire:
        if self._closed:
            raise CLIENT_CLOSED.error("the client is closed")
        async with self._opening:
            if self._wire is None:
                self._wire = await asyncio.to_thread(self._open)  # the library takes a while to load
        return self._wire

    def _open(self) -> Wire:
        try:
            from interlock.client.wire import Wire
        except ImportError:
            raise CLIENT_LIBRARY_MISSING.error(f"the HTTP library is not installed. {install_advice('http')}") from None
        return Wire(self._place, proxy=self._proxy)

    @cached_property
    def _carrier(self) -> Carrier:
        from interlock.client.carrying import Carrier

        return Carrier(self._answered)

    @cached_property
    def _known(self) -> Known:
        return Known(self._application or load())
