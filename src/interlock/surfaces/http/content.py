"""What is not JSON: bytes of artifacts, files that are attached, packs to take away, and packs to prove.

What it does: answers the requests for them, each under its permission. What it does not do: it makes and verifies no
pack itself (`packs`), and describes none of its paths (`content_paths`).

Rules: an artifact is given only as something that a run of the caller's tenant names, which is found out before
anything else is said of it, and always as bytes to keep, whatever its sender called it; what is more than a piece is
sent piece by piece, from a seat; a pack of a scenario's run holds raw values of evidence, so that it is for those alone
who may see them; an answer is to be kept, not shown.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from io import BytesIO
from typing import BinaryIO, Final, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from interlock.access.check import Access
from interlock.base import ids
from interlock.base.principal import TRUSTED, Principal
from interlock.engine.attachments import label
from interlock.engine.control.attach_command import PERMISSION, attached
from interlock.engine.events import RUN
from interlock.engine.reports.artifacts import check_named
from interlock.engine.runs import Runs
from interlock.gates.config import GatesSettings
from interlock.gates.control.errors import SCENARIO_RUN_NOT_FOUND
from interlock.gates.control.reading import RunReading
from interlock.gates.evidence.disclosure import shows_raw
from interlock.journal.journal import Journal
from interlock.journal.streams import stream_id
from interlock.packs.errors import PACK_WITHHELD
from interlock.packs.survey import Wanted
from interlock.surfaces.application import Opened
from interlock.surfaces.client import own_id
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.app import Endpoint
from interlock.surfaces.http.bodies import JSON, check_media_type, check_no_body
from interlock.surfaces.http.calls import IDEMPOTENCY_KEY
from interlock.surfaces.http.content_paths import (
    ARTIFACT,
    ARTIFACTS,
    LABEL_MAX,
    RUN_PACK,
    SCENARIO_PACK,
    SEQ_MAX,
    VERIFY,
)
from interlock.surfaces.http.digested import Digested
from interlock.surfaces.http.pace import Pace
from interlock.surfaces.http.packs import Packs, seats_of
from interlock.surfaces.http.requests import FLAGS, header_of, key_of
from interlock.surfaces.http.sending import BYTES, PIECE_BYTES, SentFile, attended
from interlock.surfaces.http.settings import ServerSettings
from interlock.surfaces.http.tags import is_known, refuse_expected

READ, PROVE = "run.read", "pack.verify"
NUMBER_DIGITS_MAX: Final = 16

Authenticate = Callable[[Request], Awaitable[Principal]]


class Content:
    """The endpoints of content."""

    def __init__(self, opened: Opened, authenticate: Authenticate) -> None:
        self._authenticate = authenticate
        self._access = opened.get(Access)
        self._journal = opened.get(Journal)
        self._settings = opened.get(ServerSettings)
        self._disclosure = opened.get(GatesSettings).evidence
        self.packs = Packs(self._journal, self._settings)
        self.artifacts = seats_of(self._settings.artifacts_max, self._settings, "artifacts")
        self._control = opened.get(Runs).control

    def guarded(self) -> list[tuple[str, str, Endpoint]]:
        """Path, method and endpoint of each."""
        return [
            (ARTIFACTS, "POST", self.attach),
            (ARTIFACT, "GET", self.artifact),
            (RUN_PACK, "GET", self.run_pack),
            (SCENARIO_PACK, "GET", self.scenario_pack),
            (VERIFY, "POST", self.verify),
        ]

    async def artifact(self, request: Request) -> Response:
        """The bytes of an artifact of a run. Raises: `run_not_found`, `artifact_…`, `server_busy`."""
        principal = await self._permitted(request, READ)
        seq = _number(_only(request, "seq"), "seq", SEQ_MAX)
        run_id, artifact_id = ids.run_id(_key(request, "run")), _key(request, "id")
        await check_named(self._journal, stream_id(principal.tenant, RUN, run_id), artifact_id, seq)
        headers = _kept(artifact_id, f"{artifact_id[:12]}.bin")
        known = _known(request, headers)
        if known is not None:
            return known
        [content] = await self._journal.store.artifacts.get([artifact_id])
        if len(content) <= PIECE_BYTES or request.method == "HEAD":  # of a head the server sends no body
            return Response(content, 200, headers, BYTES)
        return self._sent(BytesIO(content), len(content), headers, self.artifacts.take(principal).back)

    async def attach(self, request: Request) -> Response:
        """Attach the body to a run. Raises: `attachment_invalid`, `request_…`, `server_busy`; as `Control.attach`."""
        principal = await self._permitted(request, PERMISSION)
        given = _only(request, "name", "kind")
        said = label(given.get("name", ""), given.get("kind"), request.headers.get("content-type"))
        run_id, key = ids.run_id(_key(request, "run")), _command_id(request, principal)
        await self._control.check_attachable(run_id, principal=principal, command_id=key)
        with ExitStack() as ends:
            ends.callback(self.artifacts.take(principal).back)
            file = ends.enter_context(_nameless())
            digested = Digested(file)
            await self.packs.received(request, digested, self._control.attached_bytes_max)
            content, known_id = await asyncio.to_thread(digested.content), digested.digest
            await self._control.attach(run_id, said, content, principal=principal, command_id=key, known_id=known_id)
        place = ARTIFACT.format(run=run_id, id=known_id)
        headers = {"Location": place, "ETag": f'"{known_id}"'}
        return Response(msgspec.json.encode(attached(known_id, len(content), said)), 201, headers, JSON)

    async def run_pack(self, request: Request) -> Response:
        """The pack of a run. Raises: `run_not_found`, `server_busy`, `share_taken`, and as an export does."""
        principal = await self._permitted(request, READ)
        given = _only(request, "contract", "without_children")
        contract, without = (_flag(given, name) for name in ("contract", "without_children"))
        run_id = ids.run_id(_key(request, "run"))
        wanted = Wanted(principal.tenant, run_id, children=not without, contract=contract)
        return await self._pack(request, principal, wanted, f"run-{run_id}.pack")

    async def scenario_pack(self, request: Request) -> Response:
        """The pack of a scenario's run. Raises: `scenario_run_not_found`, `pack_withheld`, and as `run_pack`."""
        given = _only(request, "tenant", "namespace")
        tenant, namespace = (_label(given, name) for name in ("tenant", "namespace"))
        principal = await self._permitted(request, READ, namespace)
        if principal.kind not in TRUSTED and not shows_raw(self._disclosure, provider_allows=False):
            raise PACK_WITHHELD.error("the pack holds raw values of evidence, which are not shown here")
        run = _key(request, "run")
        named = (namespace, _key(request, "scenario"), tenant, run)
        if not await RunReading(self._journal).is_of(principal.tenant, *named):
            raise SCENARIO_RUN_NOT_FOUND.error("there is no such run of this scenario")
        wanted = Wanted(principal.tenant, f"{tenant}:{namespace}:{run}", kind="scenario_run")
        return await self._pack(request, principal, wanted, "scenario-run.pack")

    async def verify(self, request: Request) -> Response:
        """What is proved of an uploaded pack.

        Raises: `request_too_large`, `request_timeout`, `server_busy`, `share_taken`.
        """
        principal = await self._permitted(request, PROVE)
        _only(request)
        check_media_type(request, BYTES)
        with ExitStack() as ends:
            ends.callback(self.packs.seats.take(principal).back)
            file = ends.enter_context(_nameless())
            await self.packs.received(request, file)
            found = await attended(request, self.packs.verified(file))
        return Response(msgspec.json.encode(found), 200, media_type=JSON)

    async def _permitted(self, request: Request, permission: str, namespace: int | None = None) -> Principal:
        principal = await self._authenticate(request)
        await self._access.check(principal, permission, command=permission, namespace=namespace)
        if request.method != "POST":
            check_no_body(request)
        refuse_expected(request)
        return principal

    async def _pack(self, request: Request, principal: Principal, wanted: Wanted, name: str) -> Response:
        """Make a pack, and send it; its file and its seat are given back when it is sent."""
        with ExitStack() as ends:
            ends.callback(self.packs.seats.take(principal).back)
            file = ends.enter_context(_nameless())
            made = await attended(request, self.packs.made(wanted, file))
            headers = _kept(made.digest, name)
            known = _known(request, headers)
            if known is not None:
                return known
            return self._sent(file, made.bytes, headers, ends.pop_all().close)

    def _sent(self, file: BinaryIO, size: int, headers: dict[str, str], done: Callable[[], None]) -> SentFile:
        settings = self._settings
        pace = Pace(settings.body_timeout_ms, settings.transfer_bytes_per_second_min)
        return SentFile(file, size, headers, pace, settings.transfer_ms, done)


def _nameless() -> BinaryIO:
    return cast("BinaryIO", tempfile.TemporaryFile())


def _kept(digest: str, name: str) -> dict[str, str]:
    """The headers of bytes that never change under their digest."""
    return {
        "ETag": f'"{digest}"',
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{name}"',
    }


def _known(request: Request, headers: Mapping[str, str]) -> Response | None:
    """The answer to who has the bytes already."""
    return Response(status_code=304, headers=dict(headers)) if is_known(request, headers["ETag"]) else None


def _key(request: Request, name: str) -> str:
    return key_of(name, request.path_params[name])


def _only(request: Request, *names: str) -> dict[str, str]:
    """The query, in which each of these names may stand once, and nothing else. Raises: `input_invalid`."""
    found: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if name not in names or name in found:
            raise INPUT_INVALID.error("the query has a member that is not known here, or one of them twice")
        found[name] = text
    return found


def _flag(given: Mapping[str, str], name: str) -> bool:
    text = given.get(name, "false")
    if text not in FLAGS:
        raise INPUT_INVALID.error(f"`{name}`: true or false is expected", place=name)
    return FLAGS[text]


def _label(given: Mapping[str, str], name: str) -> int:
    """The number of a tenant or a namespace of gates. Raises: `input_invalid`."""
    return _number(given, name, LABEL_MAX) or 1


def _number(given: Mapping[str, str], name: str, most: int) -> int | None:
    """A number of the query; None where there is none. Raises: `input_invalid`."""
    text = given.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= NUMBER_DIGITS_MAX and 0 < int(text) <= most):
        raise INPUT_INVALID.error(f"`{name}`: a whole number above 0 is expected", place=name)
    return int(text)


def _command_id(request: Request, principal: Principal) -> str | None:
    """The id of the command that the request is, if it names one. Raises: `id_invalid`."""
    key = header_of(request.headers, IDEMPOTENCY_KEY)
    return None if key is None else own_id(principal, ids.command_id(key))
