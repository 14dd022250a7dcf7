"""TLS: who is trusted, and that nothing is sent to whom is not."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

import pytest

from interlock.base.errors import InterlockError
from interlock.client import AsyncClient
from tests.attacks.test_http_transport import Authority
from tests.surfaces.toy import APPLICATION, ListOutput
from tests.unit.client.test_remote import JSON, TOKEN, listing
from tests.unit.engine.io.transports.server import ok, serving


def asked(folder: Path, *, name: str = "localhost", ca: str | None = None, plain: bool = False) -> tuple[object, int]:
    """What a client gets of a server with a certificate for `name`; how many requests arrived."""

    async def main() -> tuple[object, int]:
        tls: ssl.SSLContext | None = None if plain else Authority(folder).server(name)
        async with serving(ok(b'{"counters":[]}', JSON), tls=tls) as server:
            place = f"https://localhost:{server.port}"
            trusted = None if ca is None else folder / ca
            async with AsyncClient(place, TOKEN, application=APPLICATION, ca=trusted) as client:
                try:
                    return await listing(client), len(server.requests)
                except InterlockError as fault:
                    return fault.code, len(server.requests)

    return asyncio.run(main())


def test_a_certificate_of_the_named_authority_is_trusted(tmp_path: Path) -> None:
    assert asked(tmp_path, ca="localhost.pem") == (ListOutput(()), 1)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    assert asked(tmp_path) == ("client_tls_failed", 0)


def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    assert asked(tmp_path, name="other.example", ca="other.example.pem") == ("client_tls_failed", 0)


def test_a_server_without_tls_gets_nothing(tmp_path: Path) -> None:
    code, requests = asked(tmp_path, plain=True)

    assert (code, requests) in {("client_tls_failed", 0), ("client_timeout", 0), ("client_connect_failed", 0)}


@pytest.mark.parametrize("content", [None, b"", b"no certificates"])
def test_a_file_without_certificates_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_bytes(content)

    assert asked(tmp_path, ca="ca.pem") == ("client_ca_unreadable", 0)


def test_the_library_is_loaded_at_the_first_call_and_missed_with_advice(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.delitem(sys.modules, "interlock.client.wire", raising=False)
    monkeypatch.setitem(sys.modules, "httpx2", None)

    async def main() -> InterlockError:
        async with AsyncClient("https://localhost", application=APPLICATION) as client:
            with pytest.raises(InterlockError) as caught:
                await listing(client)
            return caught.value

    fault = asyncio.run(main())
    assert fault.code == "client_library_missing"
    assert "[http]" in fault.message
