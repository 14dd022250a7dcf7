"""Bytes from a server that is not to be trusted: what is kept of them, and what is refused."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from interlock.app import APPLICATION
from interlock.base.bounds import JSON_BYTES_MAX
from interlock.client import AsyncClient
from interlock.client import carrying as of_client
from interlock.engine.reports.artifact_commands import ShowInput
from tests.unit.client.test_remote import JSON, calling, in_turn
from tests.unit.client.test_uploads import busy
from tests.unit.engine.io.transports.server import ok
from tests.unit.packs.making import RUN_ID, tiny_pack

OTHER = "01890a5d-ac96-774b-bcce-b302099a8058"
BYTES = "Content-Type: application/octet-stream"
CONTENT = b"all is well"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return tiny_pack(tmp_path_factory.mktemp("tiny") / "tiny.pack").read_bytes()


def asked(answer: Any, use: Any, **more: Any) -> tuple[Any, Any]:
    return calling(answer, use, application=APPLICATION, **more)


def sent(content: bytes, digest: str | None = None) -> bytes:
    tag = hashlib.sha256(content).hexdigest() if digest is None else digest
    return ok(content, BYTES, f'ETag: "{tag}"')


def held(client: AsyncClient) -> Any:
    return client.artifact(RUN_ID, DIGEST, seq=7)


def saved(path: Path) -> Any:
    return lambda client: client.save_artifact(RUN_ID, DIGEST, path)


def packed(path: Path, run: str = RUN_ID, **more: Any) -> Any:
    return lambda client: client.pack(run, path, **more)


def test_an_artifact_is_asked_for_by_run_and_id_and_again_where_the_server_is_busy() -> None:
    found, server = asked(in_turn(busy(), ok(CONTENT, BYTES)), held)

    assert (found, len(server.requests)) == (CONTENT, 2)
    assert server.requests[1].startswith(
        f"GET /api/v1/runs/{RUN_ID}/artifacts/{DIGEST}/content?seq=7 HTTP/1.1".encode()
    )
    assert server.header("accept") == ["application/octet-stream, application/problem+json"]


def test_other_bytes_than_those_that_were_asked_for_are_thrown_away(tmp_path: Path) -> None:
    wrong = ok(b"all is lost", BYTES)

    assert asked(wrong, held)[0].code == "client_content_wrong"
    assert asked(wrong, saved(tmp_path / "file"))[0].code == "client_content_wrong"
    assert list(tmp_path.iterdir()) == []


def test_more_than_may_come_is_not_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def endless(_request: bytes) -> Iterator[bytes]:
        yield f"HTTP/1.1 200 OK\r\n{BYTES}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        while True:
            yield b"10000\r\n" + bytes(0x10000) + b"\r\n"

    monkeypatch.setattr(of_client, "ARTIFACT_BYTES_MAX", 1_000_000)
    monkeypatch.setattr(of_client, "PACK_BYTES_MAX", 1_000_000)
    for use in (held, saved(tmp_path / "file"), packed(tmp_path / "pack")):
        assert asked(endless, use)[0].code == "client_answer_too_large"
    assert list(tmp_path.iterdir()) == []


def test_what_no_answer_can_hold_is_not_shown() -> None:
    content = bytes(JSON_BYTES_MAX + 1)
    given = ShowInput(id=hashlib.sha256(content).hexdigest(), run=RUN_ID)

    assert (
        asked(ok(content, BYTES), lambda client: client.call("artifact.show", given))[0].code == "artifact_unshowable"
    )


def test_a_pack_is_kept_that_is_what_was_announced_and_of_the_run(pack: bytes, tmp_path: Path) -> None:
    found, server = asked(sent(pack), packed(tmp_path / "a.pack", contract=True))

    assert (found.digest, found.run_id, found.bytes) == (hashlib.sha256(pack).hexdigest(), RUN_ID, len(pack))
    assert server.requests[0].startswith(f"GET /api/v1/runs/{RUN_ID}/pack?contract=true HTTP/1.1".encode())
    assert (tmp_path / "a.pack").read_bytes() == pack


@pytest.mark.parametrize(
    ("answer", "code", "run"),
    [
        (lambda pack: sent(pack, "0" * 64), "client_content_wrong", RUN_ID),
        (sent, "client_content_wrong", OTHER),
        (lambda pack: ok(pack, BYTES), "client_answer_invalid", RUN_ID),
        (lambda pack: sent(pack, "x"), "client_answer_invalid", RUN_ID),
        (lambda _: sent(b"no pack"), "pack_container_invalid", RUN_ID),
        (lambda _: sent(b""), "pack_container_invalid", RUN_ID),
        (lambda pack: ok(pack, BYTES, status="302 Found"), "client_redirect_refused", RUN_ID),
        (lambda pack: sent(pack)[:-100], "client_connection_lost", RUN_ID),
    ],
    ids=["other bytes", "other run", "no digest", "no digest's form", "no pack", "nothing", "elsewhere", "a part"],
)
def test_any_other_pack_leaves_nothing(
    pack: bytes, tmp_path: Path, answer: Callable[[bytes], bytes], code: str, run: str
) -> None:
    def broken(_request: bytes) -> Iterator[bytes]:
        yield answer(pack)
        raise ConnectionError

    assert (asked(broken, packed(tmp_path / "a.pack", run))[0].code, list(tmp_path.iterdir())) == (code, [])


def test_a_file_that_came_meanwhile_is_not_replaced(pack: bytes, tmp_path: Path) -> None:
    place, content = tmp_path / "a.pack", pack

    def meanwhile(_request: bytes) -> Iterator[bytes]:
        place.write_bytes(b"mine")
        yield sent(content)

    assert asked(meanwhile, packed(place))[0].code == "pack_exists"
    assert (place.read_bytes(), len(list(tmp_path.iterdir()))) == (b"mine", 1)
    assert asked(meanwhile, packed(place, force=True))[0].bytes == len(content)
    assert place.read_bytes() == content


def test_a_download_that_is_given_up_leaves_nothing(pack: bytes, tmp_path: Path) -> None:
    sending = asyncio.Event()

    def slow(_request: bytes) -> Iterator[bytes]:
        yield sent(pack)[:-1]
        sending.set()

    async def given_up(client: AsyncClient) -> tuple[int, bool]:
        task = asyncio.create_task(client.pack(RUN_ID, tmp_path / "a.pack"))
        await asyncio.wait_for(sending.wait(), 20)
        begun = len(list(tmp_path.iterdir()))
        task.cancel()
        await asyncio.wait({task})
        return begun, task.cancelled()

    assert (asked(slow, given_up)[0], list(tmp_path.iterdir())) == ((1, True), [])


def test_a_server_that_falls_silent_is_late(pack: bytes, tmp_path: Path) -> None:
    def silent(_request: bytes) -> Iterator[bytes]:
        yield sent(pack)[:-1]

    found, _ = asked(silent, packed(tmp_path / "a.pack", timeout_s=0.3))

    assert (found.code, list(tmp_path.iterdir())) == ("client_timeout", [])


def test_an_answer_about_a_pack_has_its_form_and_a_pack_its_place(tmp_path: Path) -> None:
    assert asked(ok(b"{}", JSON), lambda client: client.verify(b"x"))[0].code == "client_answer_invalid"
    place = tmp_path / "a.pack"
    place.write_bytes(b"abc")
    _, server = asked(in_turn(busy(), ok(b"{}", JSON)), lambda client: client.verify(place))
    assert (len(server.requests), server.body, server.header("content-length")) == (2, b"abc", ["3"])
    assert server.requests[0].startswith(b"POST /api/v1/packs/verify HTTP/1.1")
