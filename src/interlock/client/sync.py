"""The client of a server, for programs without an event loop.

What it does: runs an `AsyncClient` on a loop in a thread of its own, and gives its verbs as plain calls that wait. What
it does not do: it adds nothing; everything is `AsyncClient`.

Rule: a call that is interrupted is cancelled, and has ended before the client closes.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from msgspec import Struct

from interlock.base.part import Command
from interlock.base.secrets import Secret
from interlock.client.errors import CLIENT_CLOSED
from interlock.client.exchange import PACK_SECONDS
from interlock.client.remote import AsyncClient
from interlock.client.retrying import Retrying
from interlock.client.stream import ServerEvent
from interlock.surfaces.application import Application

if TYPE_CHECKING:
    from interlock.client.uploads import Source
    from interlock.engine.control.attach_command import Attached
    from interlock.engine.reports.records import RunReport
    from interlock.packs.commands import Exported, Verification

Result = TypeVar("Result")


class Client:
    """`AsyncClient` whose calls wait. Use it as a context manager, or `close` it; safe for several threads."""

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
    ) -> None:
        self._client = AsyncClient(
            url,
            token,
            profile,
            timeout_s=timeout_s,
            ca=ca,
            proxy=proxy,
            unsafe_plain_http=unsafe_plain_http,
            retrying=retrying,
            application=application,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._calls: set[Future[Any]] = set()
        self._closed = False
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """The address of the server."""
        return self._client.url

    def commands(self) -> tuple[Command, ...]:
        """As of `AsyncClient`."""
        return self._client.commands()

    def call(self, name: str, given: Struct | Mapping[str, object], *, command_id: str | None = None) -> Struct:
        """As of `AsyncClient`."""
        return self._wait(self._client.call(name, given, command_id=command_id))

    def attach(
        self,
        run: str,
        source: Source,
        *,
        name: str | None = None,
        kind: str | None = None,
        media_type: str | None = None,
        command_id: str | None = None,
    ) -> Attached:
        """As of `AsyncClient`."""
        said = {"name": name, "kind": kind, "media_type": media_type}
        return self._wait(self._client.attach(run, source, **said, command_id=command_id))

    def artifact(self, run: str, artifact_id: str, *, seq: int | None = None) -> bytes:
        """As of `AsyncClient`."""
        return self._wait(self._client.artifact(run, artifact_id, seq=seq))

    def save_artifact(self, run: str, artifact_id: str, path: str | Path, *, seq: int | None = None) -> int:
        """As of `AsyncClient`."""
        return self._wait(self._client.save_artifact(run, artifact_id, path, seq=seq))

    def pack(
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
        """As of `AsyncClient`."""
        flags = {"contract": contract, "without_children": without_children, "force": force}
        return self._wait(self._client.pack(run, path, scenario=scenario, sign=sign, timeout_s=timeout_s, **flags))

    def verify(self, source: Source, *, timeout_s: float = PACK_SECONDS) -> Verification:
        """As of `AsyncClient`."""
        return self._wait(self._client.verify(source, timeout_s=timeout_s))

    def wait(self, run_id: str, *, timeout_s: float | None = None) -> RunReport:
        """As of `AsyncClient`."""
        return self._wait(self._client.wait(run_id, timeout_s=timeout_s))

    def events(
        self, *, after: str | None = None, filters: Mapping[str, str | Sequence[str]] | None = None
    ) -> Iterator[ServerEvent]:
        """As of `AsyncClient`; a message is fetched while the one before is used, and no more."""
        arrived: asyncio.Queue[ServerEvent | Exception] = asyncio.Queue(maxsize=1)

        async def pump() -> None:
            try:
                async with aclosing(self._client.events(after=after, filters=filters)) as found:
                    async for message in found:
                        await arrived.put(message)
            except Exception as fault:  # noqa: BLE001 - whoever listens is told, in its own thread
                await arrived.put(fault)

        pumping = self._begun(pump())
        try:
            while not isinstance(message := self._wait(arrived.get()), Exception):
                yield message
            raise message
        finally:
            pumping.cancel()

    def close(self) -> None:
        """End every call and close every connection; nothing can be called afterwards."""
        with self._lock:
            loop, thread, self._closed = self._loop, self._thread, True
            self._loop = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _end(self) -> None:
        """End the calls that somebody waits for or was interrupted in, then close the connections."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._client.close()

    def _wait(self, call: Coroutine[Any, Any, Result]) -> Result:
        running = self._begun(call)
        try:
            return running.result()
        except CancelledError:
            raise CLIENT_CLOSED.error("the client was closed before the call had ended") from None
        except BaseException:
            running.cancel()
            raise

    def _begun(self, call: Coroutine[Any, Any, Result]) -> Future[Result]:
        with self._lock:
            if self._closed:
                call.close()
                raise CLIENT_CLOSED.error("the client is closed")
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="interlock-client", daemon=True)
                self._thread.start()
            return asyncio.run_coroutine_threadsafe(call, self._loop)
