"""Artifacts and packs over a real socket: whose they are, what is refused, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from interlock import Io, Plan
from interlock.packs.commands import Verification
from interlock.surfaces.http import packs as packs_over_http
from interlock.surfaces.http.sending import BYTES
from tests.surfaces.http.serving import ADA, TOKEN, Asking, problem, serving
from tests.unit.gates.control.test_verbs import document
from tests.unit.packs.making import RUN_ID, family, lived, members, tiny_pack, verdict, written

PACK = f"/api/v1/runs/{RUN_ID}/pack"
VERIFY = "/api/v1/packs/verify"
SCENARIO_PACK = "/api/v1/scenario-runs/release/r1/pack"
OCTETS = {"Content-Type": BYTES}


def over(folder: Path, check: Callable[[Asking], Awaitable[None]], **settings: Mapping[str, object]) -> None:
    """What a check finds out, on a server that leaves no file open."""

    async def main() -> None:
        async with serving(folder, settings) as asking:
            before = nameless()
            await check(asking)
            await until(lambda: nameless() == before)

    asyncio.run(main())


def nameless() -> int:
    """How many files without a name this process has open in the folder of temporary files."""
    place = os.path.realpath(tempfile.gettempdir())
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            target = str(each.readlink())
        except FileNotFoundError:
            continue
        count += target.startswith(place) and target.endswith("(deleted)")
    return count


async def resting(asking: Asking) -> int:
    """How many of these files there are once nothing is under way: an answer is there before its file is gone."""
    await until(lambda: asking.server.gate.in_flight == 0)
    return nameless()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.02)


async def stored(asking: Asking) -> list[dict[str, Any]]:
    """What the run that is lived here stored."""
    await lived(family, {"name": "Ada"}, asking.app, "yes")
    found: list[dict[str, Any]] = (await asking.get(f"/api/v1/runs/{RUN_ID}/artifacts"))["items"]
    return found


def test_an_artifact_of_a_run_is_given_byte_for_byte_under_its_digest(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        for row in await stored(asking):
            path = f"/api/v1/runs/{RUN_ID}/artifacts/{row['id']}/content"
            answer = await asking.ask("GET", path)
            assert (answer.status_code, len(answer.content)) == (200, row["bytes"])
            assert hashlib.sha256(answer.content).hexdigest() == row["id"]
            assert answer.headers["content-type"] == BYTES
            assert answer.headers["content-length"] == str(row["bytes"])
            assert answer.headers["content-disposition"].startswith("attachment")
            assert answer.headers["etag"] == f'"{row["id"]}"'
            again = await asking.ask("GET", path, headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")

    over(tmp_path, check)


def test_what_a_run_does_not_name_is_not_there_for_anybody(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        [row, *_] = await stored(asking)
        elsewhere = [each for each in await asking.app.journal.store.artifacts.scan("", 100) if each != row["id"]]
        named = {each["id"] for each in (await asking.get(f"/api/v1/runs/{RUN_ID}/artifacts"))["items"]}
        unnamed = next(each for each in elsewhere if each not in named)
        for wrong in (unnamed, "0" * 64, row["id"][:12], row["id"].upper(), "..%2F..%2Fstore.db", "x"):
            answer = await asking.ask("GET", f"/api/v1/runs/{RUN_ID}/artifacts/{wrong}/content")
            assert problem(answer) == (404, "artifact_unknown"), wrong

    over(tmp_path, check)


def test_nobody_takes_anything_of_another_tenant_or_without_the_permission(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        [row, *_] = await stored(asking)
        content = f"/api/v1/runs/{RUN_ID}/artifacts/{row['id']}/content"
        stranger, nobody = await asking.token_of("admin", tenant="other"), await asking.token_of("leaser")
        viewer = await asking.token_of("viewer")
        for path in (content, PACK):
            assert problem(await asking.ask("GET", path, token=stranger)) == (404, "run_not_found")
            assert problem(await asking.ask("GET", path, token=nobody)) == (403, "permission_denied")
            assert problem(await asking.ask("GET", path, token=None)) == (401, "credentials_missing")
            assert (await asking.ask("GET", path, token=viewer)).status_code == 200
        refused = await asking.ask("POST", VERIFY, token=nobody, content=b"x", headers=OCTETS)
        assert problem(refused) == (403, "permission_denied")

    over(tmp_path, check, access={"roles": {"leaser": {"permissions": ["lease.read"]}}})


def test_a_pack_that_was_downloaded_is_verified_here_and_there(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await stored(asking)
        sizes = []
        for query in ("", "?contract=true", "?without_children=true"):
            answer = await asking.ask("GET", PACK + query)
            assert answer.status_code == 200, answer.text
            assert answer.headers["content-type"] == BYTES
            assert answer.headers["content-disposition"] == f'attachment; filename="run-{RUN_ID}.pack"'
            assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
            sizes.append(len(answer.content))
            proved = await asking.ask("POST", VERIFY, content=answer.content, headers=OCTETS)
            found = msgspec.json.decode(proved.content, type=Verification)
            assert (found.status, found.run_id, found.signature, found.complete) == ("pass", RUN_ID, "none", True)
        assert sizes[1] > sizes[0] > sizes[2]
        known = await asking.ask("GET", PACK, headers={"If-None-Match": "*"})
        assert known.status_code == 304
        for query in ("?contract=perhaps", "?colour=red", "?contract=true&contract=true"):
            assert problem(await asking.ask("GET", PACK + query)) == (400, "input_invalid")

    over(tmp_path, check)


def hostile(folder: Path) -> dict[str, bytes]:
    """Uploads that are no sound pack."""
    good = tiny_pack(folder / "tiny.pack").read_bytes()
    forged = members(folder / "tiny.pack")
    name = next(each for each in forged if each.startswith("artifacts/"))
    forged[name] = forged[name][:-1] + b"?"
    return {
        "nothing": b"",
        "zeros": bytes(10_240),
        "noise": bytes(range(256)) * 40,
        "cut": good[:-700],
        "longer": good + b"x",
        "flipped": good[:700] + bytes([good[700] ^ 1]) + good[701:],
        "forged": written(forged),
        "json": b'{"a":' * 10_000,
        "zip": b"PK\x03\x04" + bytes(600),
    }


def test_a_hostile_upload_gives_findings_and_never_a_fault_and_leaves_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    uploads = hostile(tmp_path)

    async def check(asking: Asking) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(folder))
            for name, content in uploads.items():
                answer = await asking.ask("POST", VERIFY, content=content, headers=OCTETS)
                assert answer.status_code == 200, f"{name}: {answer.text}"
                found = msgspec.json.decode(answer.content, type=Verification)
                assert (found.status, bool(found.errors)) == ("fail", True), name
                assert str(folder) not in answer.text
        assert list(folder.iterdir()) == []

    over(tmp_path, check)


def test_an_upload_is_bounded_in_bytes_and_time_and_kind(tmp_path: Path) -> None:
    async def much() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    async def check(asking: Asking) -> None:
        kind = await asking.ask("POST", VERIFY, content=b"{}", headers={"Content-Type": "application/json"})
        assert problem(kind) == (415, "media_type_unsupported")
        for content in (b"x" * 5_000, much()):
            answer = await asking.ask("POST", VERIFY, content=content, headers=OCTETS)
            assert problem(answer) == (413, "request_too_large")
        assert "408 Request Timeout" in await trickled(asking, 1, 0.0)

    over(tmp_path, check, server={"upload_bytes_max": 4_096, "body_timeout_ms": 200})


def test_an_upload_that_trickles_has_an_end_too(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        assert "408 Request Timeout" in await trickled(asking, 100, 0.05)

    over(tmp_path, check, server={"transfer_ms": 300})


def test_an_upload_below_the_least_rate_has_an_end_however_steadily_it_comes(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        async with asyncio.timeout(60):
            assert "408 Request Timeout" in await trickled(asking, 1_000_000, 0.02, size=999_999)
        answer = await asking.ask("POST", VERIFY, content=b"x", headers=OCTETS)
        assert answer.status_code == 200

    slow = {"transfer_bytes_per_second_min": 100_000, "body_timeout_ms": 1_000, "packs_max": 1}
    over(tmp_path, check, server=slow)


async def trickled(asking: Asking, drops: int, pause_s: float, size: int = 999) -> str:
    """The first line of the answer to an upload of which a byte comes now and then, and then nothing."""
    writer = await connection(
        asking, f"POST {VERIFY}", f"Content-Type: {BYTES}\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    line = asyncio.ensure_future(kept[-1].readline())
    for _ in range(drops):
        if line.done():
            break
        writer.write(b"x")
        await asyncio.sleep(pause_s)
    found = (await asyncio.wait_for(line, 20)).decode()
    writer.transport.abort()
    return found


def test_a_pack_that_would_be_too_large_is_not_made(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await stored(asking)
        assert problem(await asking.ask("GET", PACK)) == (400, "pack_too_large")

    over(tmp_path, check, server={"download_bytes_max": 4_096})


async def connection(asking: Asking, head: str, body: bytes = b"", token: str = TOKEN) -> asyncio.StreamWriter:
    """A connection by hand, over which a request was sent."""
    place = urlsplit(asking.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port, limit=1024)
    kept.append(reader)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    lines = f"{head} HTTP/1.1\r\nHost: {place.netloc}\r\nAuthorization: Bearer {token}\r\n"
    writer.write(lines.encode() + body)
    await writer.drain()
    return writer


kept: list[asyncio.StreamReader] = []


HALF = f"Content-Type: {BYTES}\r\nContent-Length: 100000\r\n\r\n".encode() + b"x" * 2_000
"""An upload of which the rest does not come."""


def test_one_principal_has_half_of_the_seats_and_leaves_the_others_to_others(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        ann, zoe, eve = [await asking.token_of("operator", name=name) for name in ("ann", "zoe", "eve")]
        whole: dict[str, Any] = {"content": b"x", "headers": OCTETS}
        taken: list[asyncio.StreamWriter] = []
        for token in (ann, ann, zoe, zoe):
            before = nameless()
            taken.append(await connection(asking, f"POST {VERIFY}", HALF, token))
            await until(lambda before=before: nameless() > before)  # type: ignore[misc]
            if len(taken) == 2:
                refused = await asking.ask("POST", VERIFY, token=ann, **whole)
                assert problem(refused) == (429, "share_taken")
                assert refused.headers["retry-after"] == "1"
                assert (await asking.ask("POST", VERIFY, token=zoe, **whole)).status_code == 200
        assert problem(await asking.ask("POST", VERIFY, token=eve, **whole)) == (503, "server_busy")
        before = nameless()
        taken[0].transport.abort()
        await until(lambda: nameless() < before)
        assert problem(await asking.ask("POST", VERIFY, token=zoe, **whole)) == (429, "share_taken")
        assert (await asking.ask("POST", VERIFY, token=ann, **whole)).status_code == 200
        for each in taken[1:]:
            each.transport.abort()

    over(tmp_path, check, server={"packs_max": 4, "tenant_percent_max": 100})


def test_half_an_upload_leaves_nothing_and_frees_its_place(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        for _ in range(5):
            before = nameless()
            writer = await connection(asking, f"POST {VERIFY}", HALF)
            await until(lambda before=before: nameless() > before)  # type: ignore[misc]
            writer.transport.abort()
            await until(lambda before=before: nameless() == before)  # type: ignore[misc]
        answer = await asking.ask("POST", VERIFY, content=b"x", headers=OCTETS)
        assert answer.status_code == 200

    over(tmp_path, check, server={"packs_max": 1})


def test_a_client_that_vanishes_ends_the_work_for_it(tmp_path: Path) -> None:
    ended: list[str] = []

    async def check(asking: Asking) -> None:
        async def lasting(*_given: Any, **_more: Any) -> Any:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("export")

        await stored(asking)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packs_over_http, "spooled", lasting)
            before = nameless()
            writer = await connection(asking, f"GET {PACK}", b"\r\n")
            await until(lambda: nameless() > before)
            busy = await asking.ask("GET", PACK)
            assert (problem(busy), busy.headers["retry-after"]) == ((503, "server_busy"), "1")
            writer.transport.abort()
            await until(lambda: ended == ["export"])
        await until(lambda: nameless() == before)
        assert (await asking.ask("GET", PACK)).status_code == 200

    over(tmp_path, check, server={"packs_max": 1})


def test_a_verification_stops_when_nobody_waits_for_it(tmp_path: Path) -> None:
    stopped: list[bool] = []

    async def endless(file: int, _events: object, *, progress: Callable[[str, int, int | None], None]) -> Any:
        try:
            while True:
                await asyncio.sleep(0.01)
                progress("events", 1, None)
        finally:
            os.close(file)
            stopped.append(True)

    async def check(asking: Asking) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packs_over_http, "verify", endless)
            before = nameless()
            body = f"Content-Type: {BYTES}\r\nContent-Length: 1\r\n\r\nx".encode()
            writer = await connection(asking, f"POST {VERIFY}", body)
            await until(lambda: nameless() > before)
            await asyncio.sleep(0.1)
            assert (await asking.ask("GET", "/healthz")).status_code == 200
            writer.transport.abort()
            await until(lambda: bool(stopped))
        await resting(asking)
        answer = await asking.ask("POST", VERIFY, content=b"x", headers=OCTETS)
        assert answer.status_code == 200

    over(tmp_path, check, server={"packs_max": 1})


@pytest.mark.parametrize("leaves", [True, False])
def test_a_reader_that_takes_nothing_is_let_go_and_its_file_with_it(tmp_path: Path, *, leaves: bool) -> None:
    async def check(asking: Asking) -> None:
        await asking.app.runs.start(large(), {"name": "Ada"}, run_id=RUN_ID)
        before = await resting(asking)
        writer = await connection(asking, f"GET {PACK}", b"\r\n")
        await until(lambda: nameless() > before)
        if leaves:
            await asyncio.sleep(0.2)
            writer.transport.abort()
        await until(lambda: nameless() == before)
        writer.close()
        assert (await asking.ask("GET", PACK)).status_code == 200

    over(tmp_path, check, server={"packs_max": 1, "body_timeout_ms": 60_000 if leaves else 500})


def test_a_reader_below_the_least_rate_is_let_go_however_steadily_it_reads(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await asking.app.runs.start(large(), {"name": "Ada"}, run_id=RUN_ID)
        whole = len((await asking.ask("GET", PACK)).content)
        before, taken = await resting(asking), 0
        writer = await connection(asking, f"GET {PACK}", b"\r\n")
        await until(lambda: nameless() > before)
        while nameless() > before:
            taken += len(await kept[-1].read(1_000))
            await asyncio.sleep(0.005)
        assert taken < whole
        assert (await asking.ask("GET", PACK)).status_code == 200
        writer.transport.abort()

    slow = {"transfer_bytes_per_second_min": 50_000_000, "body_timeout_ms": 3_000, "packs_max": 1}
    over(tmp_path, check, server=slow)


def large() -> Any:
    """A plan whose run has a large pack."""
    text = "".join(hashlib.sha256(str(n).encode()).hexdigest() for n in range(120_000))
    plan = Plan("large")

    @plan.state
    async def say(name: str, io: Io) -> str:
        for part in range(8):
            await io.record_value(f"{name}{part}", text[part * 900_000 : (part + 1) * 900_000])
        return name

    return plan


async def begun(asking: Asking, folder: Path) -> None:
    """A run of a scenario with one decision."""
    client = asking.app.client(ADA)
    await client.call("scenario.define", {"document": document(folder / "release.json")})
    await client.call("scenario.start", {"scenario": "release", "run": "r1", "time": "0", "to": ["agent:a1"]})
    await client.call("scenario.trigger", {"scenario": "release", "run": "r1", "id": "t1", "time": "5"})


def test_the_pack_of_a_scenario_run_proves_it(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await begun(asking, tmp_path)
        answer = await asking.ask("GET", SCENARIO_PACK)
        assert answer.status_code == 200, answer.text
        (tmp_path / "r1.pack").write_bytes(answer.content)
        proved = (await asking.ask("POST", VERIFY, content=answer.content, headers=OCTETS)).json()
        assert (proved["status"], proved["run_id"]) == ("pass", "1:1:r1")
        for path in (
            "/api/v1/scenario-runs/release/r2/pack",
            "/api/v1/scenario-runs/other/r1/pack",
            f"{SCENARIO_PACK}?namespace=2",
            f"{SCENARIO_PACK}?tenant=2",
        ):
            assert problem(await asking.ask("GET", path)) == (404, "scenario_run_not_found"), path
        for query in ("?tenant=0", "?namespace=x", "?tenant=1&tenant=1", "?tenant=99999999999999999999"):
            assert problem(await asking.ask("GET", SCENARIO_PACK + query)) == (400, "input_invalid")

    over(tmp_path, check)
    assert verdict(tmp_path / "r1.pack").passed


@pytest.mark.parametrize("open_to_all", [True, False])
def test_raw_evidence_in_a_pack_is_for_those_who_may_see_it(tmp_path: Path, *, open_to_all: bool) -> None:
    async def check(asking: Asking) -> None:
        await begun(asking, tmp_path)
        answer = await asking.ask("GET", SCENARIO_PACK, token=await asking.token_of("viewer"))
        if open_to_all:
            assert answer.status_code == 200
        else:
            assert problem(answer) == (403, "pack_withheld")
        stranger = await asking.token_of("admin", tenant="other")
        refused = problem(await asking.ask("GET", SCENARIO_PACK, token=stranger))
        assert refused == ((404, "scenario_run_not_found") if open_to_all else (403, "pack_withheld"))

    evidence = {"allow_raw_values": open_to_all, "require_provider_opt_in": not open_to_all}
    over(tmp_path, check, gates={"evidence": evidence})
