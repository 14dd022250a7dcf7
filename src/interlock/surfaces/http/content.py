"""What is not JSON: bytes of artifacts, packs to take away, and packs to prove.

What it does: answers the requests for them, each under its permission. What it does not do: it makes and verifies no
pack itself (`packs`), and describes none of its paths (`content_paths`).

Rules: an artifact is given only as something that a run of the caller's tenant stored; a pack of a scenario's run holds
raw values of evidence, so that it is for those alone who may see them; an answer is to be kept, not shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from typing import BinaryIO, Final, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from interlock.access.check import TRUSTED, Access
from interlock.base import ids
from interlock.base.principal import Principal
from interlock.engine.events import RUN
from interlock.engine.reports.artifacts import artifact_of
from interlock.gates.config import GatesSettings
from interlock.gates.control.errors import SCENARIO_RUN_NOT_FOUND
from interlock.gates.control.keys import RUN_INDEX, run_key
from interlock.gates.evidence.disclosure import shows_raw
from interlock.journal.journal import Journal
from interlock.journal.streams import stream_id
from interlock.packs.errors import PACK_WITHHELD
from interlock.packs.survey import Wanted
from interlock.surfaces.application import Opened
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.app import Endpoint
from interlock.surfaces.http.bodies import JSON, check_media_type
from interlock.surfaces.http.content_paths import ARTIFACT, LABEL_MAX, RUN_PACK, SCENARIO_PACK, VERIFY
from interlock.surfaces.http.pace import Pace
from interlock.surfaces.http.packs import Packs
from interlock.surfaces.http.requests import FLAGS, key_of
from interlock.surfaces.http.sending import BYTES, SentFile, attended
from interlock.surfaces.http.settings import ServerSettings
from interlock.surfaces.http.tags import is_known, refuse_expected

READ, PROVE = "run.read", "pack.verify"
LABEL_DIGITS_MAX: Final = 16

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

    def guarded(self) -> list[tuple[str, str, Endpoint]]:
        """Path, method and endpoint of each."""
        return [
            (ARTIFACT, "GET", self.artifact),
            (RUN_PACK, "GET", self.run_pack),
            (SCENARIO_PACK, "GET", self.scenario_pack),
            (VERIFY, "POST", self.verify),
        ]

    async def artifact(self, request: Request) -> Response:
        """The bytes of an artifact that a run stored. Raises: `run_not_found`, `artifact_unknown`."""
        principal = await self._permitted(request, READ)
        _only(request)
        run_id, artifact_id = ids.run_id(_key(request, "run")), _key(request, "id")
        content = await artifact_of(self._journal, stream_id(principal.tenant, RUN, run_id), artifact_id)
        headers = _kept(artifact_id, f"{artifact_id[:12]}.bin")
        return _known(request, headers) or Response(content, 200, headers, BYTES)

    async def run_pack(self, request: Request) -> Response:
        """The pack of a run. Raises: `run_not_found`, `server_busy`, `packs_share_taken`, and as an export does."""
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
        key = run_key(namespace, _key(request, "scenario"), tenant, run)
        if await self._journal.store.index.get(principal.tenant, RUN_INDEX, [key]) == [None]:
            raise SCENARIO_RUN_NOT_FOUND.error("there is no such run of this scenario")
        wanted = Wanted(principal.tenant, f"{tenant}:{namespace}:{run}", kind="scenario_run")
        return await self._pack(request, principal, wanted, "scenario-run.pack")

    async def verify(self, request: Request) -> Response:
        """What is proved of an uploaded pack.

        Raises: `request_too_large`, `request_timeout`, `server_busy`, `packs_share_taken`.
        """
        principal = await self._permitted(request, PROVE)
        _only(request)
        check_media_type(request, BYTES)
        with ExitStack() as ends:
            ends.callback(self.packs.seats.take(principal))
            file = ends.enter_context(_nameless())
            await self.packs.received(request, file)
            found = await attended(request, self.packs.verified(file))
        return Response(msgspec.json.encode(found), 200, media_type=JSON)

    async def _permitted(self, request: Request, permission: str, namespace: int | None = None) -> Principal:
        principal = await self._authenticate(request)
        await self._access.check(principal, permission, command=permission, namespace=namespace)
        refuse_expected(request)
        return principal

    async def _pack(self, request: Request, principal: Principal, wanted: Wanted, name: str) -> Response:
        """Make a pack, and send it; its file and its seat are given back when it is sent."""
        with ExitStack() as ends:
            ends.callback(self.packs.seats.take(principal))
            file = ends.enter_context(_nameless())
            made = await attended(request, self.packs.made(wanted, file))
            headers = _kept(made.digest, name)
            known = _known(request, headers)
            if known is not None:
                return known
            pace = Pace(self._settings.body_timeout_ms, self._settings.transfer_bytes_per_second_min)
            return SentFile(file, made.bytes, headers, pace, self._settings.transfer_ms, ends.pop_all().close)


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
    text = given.get(name, "1")
    if not (text.isascii() and text.isdigit() and len(text) <= LABEL_DIGITS_MAX and 0 < int(text) <= LABEL_MAX):
        raise INPUT_INVALID.error(f"`{name}`: a whole number above 0 is expected", place=name)
    return int(text)
