"""Files that are attached to a run over a real socket: what is kept, what is refused, and what they cannot do."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest

from interlock import Io, Plan, Recorder
from interlock.engine.errors import RUN_ENDED
from interlock.engine.reports import artifacts as reports
from interlock.journal.errors import ARTIFACT_CORRUPT
from interlock.packs.commands import Verification
from tests.surfaces.http.serving import ADA, Asking, problem
from tests.surfaces.http.test_content import OCTETS, PACK, VERIFY, connection, kept, nameless, over, resting, until
from tests.unit.packs.making import RUN_ID

FILES = f"/api/v1/runs/{RUN_ID}/artifacts"
REPORT = b"<script>alert(1)</script>\n"
REPORT_ID = hashlib.sha256(REPORT).hexdigest()
OTHER = RUN_ID[:-1] + ("0" if RUN_ID[-1] != "0" else "1")


def waiting_plan() -> Plan:
    plan = Plan("ask")

    @plan.state
    async def wait(io: Io, rec: Recorder) -> Any:
        await rec.artifact("Note", b"of the state", {"name": "note", "media_type": "text/html"})
        return await io.wait("go")

    return plan


async def waits(asking: Asking, run_id: str = RUN_ID) -> None:
    await asking.app.runs.start(waiting_plan(), run_id=run_id)


async def send(asking: Asking, content: Any = REPORT, *, path: str = FILES, **more: Any) -> httpx2.Response:
    params = more.pop("params", {"name": "report.html"})
    return await asking.ask("POST", path, content=content, params=params, **more)


async def listed(asking: Asking) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await asking.get(FILES))["items"]
    return [row for row in rows if row["step"] is None]


def test_a_file_is_stored_listed_and_given_back_as_bytes_to_keep(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        answer = await send(
            asking, headers={"Content-Type": "text/html"}, params={"name": "Ünïcode.html", "kind": "Report"}
        )

        assert answer.status_code == 201, answer.text
        assert answer.json() == {
            "artifact_id": REPORT_ID,
            "bytes": len(REPORT),
            "kind": "Report",
            "media_type": "text/html",
            "name": "Ünïcode.html",
        }
        assert answer.headers["location"] == f"{FILES}/{REPORT_ID}/content"
        assert answer.headers["etag"] == f'"{REPORT_ID}"'
        [row] = await listed(asking)
        assert (row["id"], row["name"], row["media_type"]) == (REPORT_ID, "Ünïcode.html", "text/html")
        for path in (answer.headers["location"], f"{answer.headers['location']}?seq={row['seq']}"):
            given = await asking.ask("GET", path)
            assert (given.status_code, given.content) == (200, REPORT)
            assert given.headers["content-type"] == "application/octet-stream"
            assert given.headers["content-disposition"].startswith("attachment;")
            assert given.headers["x-content-type-options"] == "nosniff"
            assert "html" not in str(given.headers)

    over(tmp_path, check)


def test_whatever_its_type_is_a_file_is_a_file_and_without_one_it_is_bytes(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        event = json.dumps({"specversion": "1.0", "id": "1", "source": "/a", "type": "b"}).encode()
        types: list[Mapping[str, str]] = [{}, {"Content-Type": "application/cloudevents+json"}, OCTETS]
        for number, headers in enumerate(types):
            answer = await send(asking, event + b" " * number, headers=headers, params={"name": f"{number}"})
            assert answer.status_code == 201, answer.text
        assert [row["media_type"] for row in await listed(asking)] == [
            "application/octet-stream",
            "application/cloudevents+json",
            "application/octet-stream",
        ]
        assert (await send(asking, b"")).json()["artifact_id"] == hashlib.sha256(b"").hexdigest()

    over(tmp_path, check)


def test_the_same_request_again_gets_the_first_answer_and_takes_effect_once(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        key = {"Idempotency-Key": "upload 1"}
        first, again = await send(asking, headers=key), await send(asking, headers=key)
        assert (first.status_code, first.content, first.headers["etag"]) == (
            again.status_code,
            again.content,
            again.headers["etag"],
        )
        assert problem(await send(asking, b"others", headers=key)) == (409, "command_id_conflict")
        assert (await send(asking)).status_code == 201
        assert len(await listed(asking)) == 1
        zoe = await asking.token_of("operator")
        assert (await send(asking, b"hers", headers=key, token=zoe)).status_code == 201
        assert [row["id"] for row in await listed(asking)][1:] == [hashlib.sha256(b"hers").hexdigest()]

        await asking.app.runs.control.cancel(RUN_ID, "over", principal=ADA)
        assert (await send(asking, headers=key)).status_code == 201
        assert problem(await send(asking, b"too late")) == (409, RUN_ENDED.code)

    over(tmp_path, check)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "attachment_invalid"),
        ({"name": ""}, "attachment_invalid"),
        ({"name": "../../etc/passwd"}, "attachment_invalid"),
        ({"name": "a\\b"}, "attachment_invalid"),
        ({"name": "a\r\nX: y"}, "attachment_invalid"),
        ({"name": "x" * 201}, "attachment_invalid"),
        ({"name": "a", "kind": "SecretPayload"}, "attachment_invalid"),
        ({"name": "a", "kind": "a b"}, "attachment_invalid"),
        ({"name": "a", "color": "red"}, "input_invalid"),
    ],
)
def test_what_is_said_of_a_file_is_checked_before_it_is_read(
    tmp_path: Path, params: Mapping[str, str], code: str
) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        assert problem(await send(asking, params=params)) == (400, code)
        assert await listed(asking) == []

    over(tmp_path, check)


def test_nobody_attaches_without_the_permission_or_to_a_run_of_another_tenant(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        stranger, viewer = await asking.token_of("admin", tenant="other"), await asking.token_of("viewer")
        assert problem(await send(asking, token=None)) == (401, "credentials_missing")
        assert problem(await send(asking, token=viewer)) == (403, "permission_denied")
        assert problem(await send(asking, token=stranger)) == (404, "run_not_found")
        assert problem(await send(asking, path=f"/api/v1/runs/{OTHER}/artifacts")) == (404, "run_not_found")
        assert problem(await send(asking, path="/api/v1/runs/x/artifacts")) == (400, "id_invalid")
        operator = await asking.token_of("operator", name="olga")
        assert (await send(asking, token=operator)).status_code == 201
        events = (await asking.get(f"/api/v1/runs/{RUN_ID}/events"))["items"]
        written = [each["data"]["meta"] for each in events if each["type"] == "engine.artifact_written"]
        [by] = [meta["attached_by"] for meta in written if "attached_by" in meta]
        assert "olga" in by
        for tag in (f'"{REPORT_ID}"', "*"):
            asked = await asking.ask(
                "GET", f"{FILES}/{REPORT_ID}/content", token=stranger, headers={"If-None-Match": tag}
            )
            assert problem(asked) == (404, "run_not_found")

    over(tmp_path, check)


def test_a_file_is_bounded_in_bytes_and_time_and_leaves_nothing_where_it_is_refused(tmp_path: Path) -> None:
    async def much() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    async def check(asking: Asking) -> None:
        await waits(asking)
        for content in (b"x" * 4_097, much()):
            assert problem(await send(asking, content)) == (413, "request_too_large")
        assert (await send(asking, b"x" * 4_096)).status_code == 201
        before = await resting(asking)
        head = "Content-Type: text/plain\r\nContent-Length: 999\r\n\r\nx"
        writer = await connection(asking, f"POST {FILES}?name=slow", head.encode())
        await until(lambda: nameless() > before)
        await until(lambda: nameless() == before)  # given up
        writer.transport.abort()
        assert len(await listed(asking)) == 1

    over(tmp_path, check, engine={"artifact_bytes_max": 4_096}, server={"body_timeout_ms": 200})


def test_half_a_file_leaves_nothing_and_frees_its_place(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        half = f"Content-Type: text/plain\r\nContent-Length: 100000\r\n\r\n{'x' * 2_000}".encode()
        for _ in range(3):
            before = nameless()
            writer = await connection(asking, f"POST {FILES}?name=half", half)
            await until(lambda before=before: nameless() > before)  # type: ignore[misc]
            busy = await send(asking)
            assert (problem(busy), busy.headers["retry-after"]) == ((503, "server_busy"), "1")
            writer.transport.abort()
            await until(lambda before=before: nameless() == before)  # type: ignore[misc]
        assert (await send(asking)).status_code == 201
        assert len(await listed(asking)) == 1

    over(tmp_path, check, server={"artifacts_max": 1})


def test_a_pack_holds_the_file_and_proves_it(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        await send(asking)
        for query in ("", "?contract=true"):
            pack = (await asking.ask("GET", PACK + query)).content
            assert REPORT in pack
            proved = await asking.ask("POST", VERIFY, content=pack, headers=OCTETS)
            found = msgspec.json.decode(proved.content, type=Verification)
            assert (found.status, found.errors) == ("pass", [])
            forged = await asking.ask("POST", VERIFY, content=pack.replace(REPORT, REPORT[::-1]), headers=OCTETS)
            assert msgspec.json.decode(forged.content, type=Verification).status == "fail"

    over(tmp_path, check)


def test_who_has_the_bytes_is_told_so_before_they_are_loaded(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        await send(asking)
        path = f"{FILES}/{REPORT_ID}/content"

        async def damaged(_ids: object) -> list[bytes]:
            raise ARTIFACT_CORRUPT.error("loaded")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(asking.app.journal.store.artifacts, "get", damaged)
            for tag in (f'"{REPORT_ID}"', f'W/"{REPORT_ID}"', f'"other", "{REPORT_ID}"', "*"):
                known = await asking.ask("GET", path, headers={"If-None-Match": tag})
                assert (known.status_code, known.content) == (304, b""), tag
            assert (await asking.ask("GET", path, headers={"If-None-Match": '"other"'})).status_code == 500
        wrong = f"{FILES}/{'0' * 64}/content"
        assert problem(await asking.ask("GET", wrong, headers={"If-None-Match": "*"})) == (404, "artifact_unknown")

    over(tmp_path, check)


def test_a_large_artifact_is_sent_piece_by_piece_and_nobody_who_stands_still_keeps_it(tmp_path: Path) -> None:
    big = b"".join(hashlib.sha256(str(n).encode()).digest() for n in range(300_000))

    async def check(asking: Asking) -> None:
        await waits(asking)
        path = (await send(asking, big)).headers["location"]
        answer = await asking.ask("GET", path)
        assert (answer.content == big, answer.headers["content-length"]) == (True, str(len(big)))
        head = await asking.ask("HEAD", path)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(big)))
        await resting(asking)
        writer = await connection(asking, f"GET {path}", b"\r\n")
        assert (await kept[-1].readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
        for expected in (503, 200):  # until the one who reads nothing is let go
            async with asyncio.timeout(20):
                while (answer := await asking.ask("GET", path)).status_code != expected:
                    await asyncio.sleep(0.02)
        assert answer.content == big
        writer.transport.abort()

    over(tmp_path, check, server={"artifacts_max": 1, "body_timeout_ms": 3_000})


def test_in_a_long_run_an_artifact_is_found_by_its_event(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        await waits(asking)
        await send(asking)
        [note] = [row for row in (await asking.get(FILES))["items"] if row["kind"] == "Note"]
        path = f"{FILES}/{note['id']}/content"
        assert (await asking.ask("GET", path)).status_code == 200
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(reports, "SEARCHED_MAX", 0)
            assert problem(await asking.ask("GET", path)) == (400, "artifact_seq_needed")
            assert (await asking.ask("GET", f"{path}?seq={note['seq']}")).status_code == 200
            for wrong in (note["seq"] - 1, note["seq"] + 1, 2**53 - 1):
                assert problem(await asking.ask("GET", f"{path}?seq={wrong}")) == (404, "artifact_unknown")
            assert (await asking.ask("GET", f"{FILES}/{REPORT_ID}/content")).status_code == 200
        for text in ("0", "-1", "x", str(2**53), "1" * 40):
            assert problem(await asking.ask("GET", f"{path}?seq={text}")) == (400, "input_invalid")

    over(tmp_path, check)


def test_the_path_says_which_methods_it_knows(tmp_path: Path) -> None:
    async def check(asking: Asking) -> None:
        answer = await asking.ask("DELETE", FILES)
        assert problem(answer) == (405, "method_not_allowed")
        assert {each.strip() for each in answer.headers["allow"].split(",")} == {"GET", "HEAD", "POST"}

    over(tmp_path, check)
