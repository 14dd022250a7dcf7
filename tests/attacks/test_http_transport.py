"""Threat: a plan makes the engine reach or send what it must not.

Every attack runs against real servers of this machine; what must not be reached counts its visitors.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from interlock.base.canonical import Json
from interlock.base.errors import Category, InterlockError
from interlock.engine.io.transports.http import HttpSettings
from interlock.engine.io.transports.port import TransportContext
from tests.attacks.asking import CANARY, OPEN, RUN_ID, Names, against, ask, refused, transport
from tests.unit.engine.io.transports.server import Server, ok, serving


@pytest.mark.parametrize(
    "host",
    [
        *(
            "127.0.0.1",
            "127.0.0.2",
            "localhost",
            "LOCALHOST",
            "localhost.",
            "127.1",
            "2130706433",
            "0x7f000001",
        ),
        *(
            "0177.0.0.1",
            "0.0.0.0",
            "0",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "127。0。0。1",
        ),
    ],
)
def test_this_machine_is_not_reached_under_any_of_its_spellings(host: str) -> None:
    fault, server = refused(ok(b"secret"), lambda: transport(HttpSettings()), f"http://{host}:PORT/")

    assert fault.code in {"http_address_refused", "http_connect_failed", "http_request_invalid"}
    assert not fault.retryable or fault.code == "http_connect_failed"
    assert server.connections == 0


@pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "192.168.1.1", "[fd00::1]", "[fe80::1]"])
def test_private_networks_and_the_metadata_of_clouds_are_not_reached(address: str) -> None:
    fault, _ = refused(ok(), lambda: transport(HttpSettings()), f"http://{address}/latest/meta-data/")

    assert (fault.code, fault.category) == ("http_address_refused", Category.REFUSED)


@pytest.mark.parametrize("answers", [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::1"], ["8.8.8.8", "nonsense"]])
def test_a_name_with_one_private_address_is_refused_whole(answers: list[str]) -> None:
    names = Names(answers)
    fault, server = refused(ok(), lambda: transport(HttpSettings(), names), "http://rebound.example:PORT/")

    assert fault.code == "http_address_refused"
    assert (names.asked, server.connections) == (["rebound.example"], 0)


def test_the_connection_goes_to_the_address_that_was_checked_whatever_the_name_server_says_next() -> None:
    async def attack(first: Server) -> None:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        client = transport(OPEN, names)
        async with serving(ok(b"second"), "127.0.0.2"):
            answer = await ask(client, f"http://rebound.example:{first.port}/")
        await client.close()

        assert answer["body"] == "first"
        assert names.asked == ["rebound.example"]
        assert first.header("host") == [f"rebound.example:{first.port}"]

    against(ok(b"first"), attack)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "file:///etc/passwd",
            "ftp://127.0.0.1:PORT/",
            "gopher://127.0.0.1:PORT/",
            "//127.0.0.1:PORT/",
            "127.0.0.1",
        ),
        *(
            "http:///path",
            "http://",
            "http://[::1",
            "http://a b/",
            "http://127.0.0.1:99999/",
            "http://127.0.0.1:0/",
            "ws://127.0.0.1:PORT/",
        ),
        *("http://\x00/", "http://\ud800/", "http+unix://%2Frun%2Fsocket/"),
    ],
)
def test_only_absolute_http_addresses_are_asked(url: str) -> None:
    fault, server = refused(ok(), transport, url)

    assert fault.code == "http_request_invalid"
    assert server.connections == 0


@pytest.mark.parametrize("user", [f"ada:{CANARY}@", f"{CANARY}@", f":{CANARY}@"])
def test_credentials_in_an_address_are_refused_and_not_repeated(user: str) -> None:
    fault, server = refused(ok(), transport, f"http://{user}127.0.0.1:PORT/")

    assert fault.code == "http_request_invalid"
    assert CANARY not in f"{fault} {fault.details}"
    assert server.connections == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Evil: 1"},
        {"X-A": "b\nX-Evil: 1"},
        {"X-A": "b\rX-Evil: 1"},
        {"X-A": "b\x00"},
        {"X-A": " b"},
        {"X-A": "b\t"},
        {"X-A": "ä"},
        {"X-A\r\nX-Evil": "1"},
        {"X A": "1"},
        {"X-A:": "1"},
        {"": "1"},
        {"Host": "evil.example"},
        {"host": "evil.example"},
        {"Content-Length": "0"},
        {"Transfer-Encoding": "chunked"},
        {"Connection": "upgrade"},
        {"Idempotency-Key": "mine"},
        {"X-A": "1", "x-a": "2"},
        {"Authorization": {"secret": "env:BROKEN", "prefix": "Bearer "}},
    ],
    ids=repr,
)
def test_a_header_cannot_change_the_frame_of_a_request(headers: Json) -> None:
    fault, server = refused(
        ok(), lambda: transport(value=f"{CANARY}\r\nX-Evil: 1"), headers=headers, method="POST", body="x"
    )

    assert fault.code == "http_request_invalid"
    assert CANARY not in f"{fault} {fault.details}"
    assert server.connections == 0


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        ("a b", 1),
        ("a\r\nX-Evil: 1", 0),
        ("a HTTP/1.1\r\nX-Evil: 1\r\n\r\nGET /b", 0),
        ("%0d%0aX-Evil:1", 1),
        ("ä", 1),
    ],
)
def test_an_address_cannot_change_the_frame_of_a_request(path: str, sent: int) -> None:
    async def attack(server: Server) -> list[bytes]:
        client = transport()
        # A refusal is as good as an escape.
        with suppress(InterlockError):
            await ask(client, server.url + path)
        await client.close()
        return server.requests

    requests = against(ok(), attack)
    assert len(requests) == sent
    for request in requests:
        assert request.count(b"\r\n\r\n") == 1
        assert b"\nX-Evil" not in request


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PROPFIND"])
def test_methods_that_are_not_listed_are_refused(method: str) -> None:
    fault, server = refused(ok(), transport, method=method)

    assert (fault.code, fault.category) == ("http_method_not_allowed", Category.REFUSED)
    assert server.connections == 0


def test_a_key_cannot_inject_a_header() -> None:
    async def attack(server: Server) -> Server:
        client = transport()
        await ask(client, server.url, TransportContext(RUN_ID, "m.s.l", 0, "a\r\nX-Evil: 1"), method="POST")
        await client.close()
        return server

    assert against(ok(), attack).header("x-evil") == []


def test_the_environment_of_the_process_sends_nothing_elsewhere(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login ada password {CANARY}\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    async def attack(proxy: Server) -> None:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, proxy.url)
        async with serving(ok(b"direct")) as server:
            client = transport()
            answer = await ask(client, server.url)
            await client.close()
            assert answer["body"] == "direct"
            assert server.header("authorization") == []
        assert proxy.connections == 0

    against(ok(b"proxied"), attack)


def test_a_plan_from_elsewhere_cannot_send_a_secret_of_this_machine() -> None:
    async def attack(server: Server) -> Server:
        client = transport()
        with pytest.raises(InterlockError) as caught:
            await ask(
                client,
                server.url,
                TransportContext(RUN_ID, "m.s.l", 0),
                headers={"X-A": {"secret": "env:PATH"}},
            )
        assert (caught.value.code, caught.value.category) == ("secret_not_allowed", Category.REFUSED)
        return server

    assert against(ok(), attack).connections == 0


def test_a_redirect_into_the_network_is_not_followed() -> None:
    async def attack(inner: Server) -> None:
        async with serving(ok(b"", f"Location: {inner.url}", status="302 Found")) as outer:
            client = transport()
            with pytest.raises(InterlockError) as caught:
                await ask(client, outer.url)
            answer = await ask(client, outer.url, ok_statuses=[302])
            await client.close()

        assert caught.value.code == "http_status_refused"
        assert answer["headers"] == {"location": inner.url}
        assert inner.connections == 0

    against(ok(b"inner"), attack)


class Authority:
    """A certificate authority of one test: makes servers, and the trust that accepts them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.trust = ssl.create_default_context()

    def server(self, name: str) -> ssl.SSLContext:
        """The TLS of a server whose certificate is for `name`, trusted from now on."""
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.now(UTC)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.trust.load_verify_locations(cadata=pem.decode())
        both = self._folder / f"{name}.pem"
        both.write_bytes(
            pem
            + key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        return context


def test_a_pinned_connection_still_speaks_to_the_name_and_checks_its_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path)

    async def run() -> None:
        async with serving(ok(b"fine"), tls=authority.server("right.example")) as server:
            client = transport(OPEN, Names(["127.0.0.1"]), authority.trust)
            answer = await ask(client, f"https://right.example:{server.port}/")
            assert answer["body"] == "fine"
            assert server.header("host") == [f"right.example:{server.port}"]

            # The same address under another name is another connection, and its certificate is checked anew.
            with pytest.raises(InterlockError) as caught:
                await ask(client, f"https://wrong.example:{server.port}/", method="POST", body=CANARY)
            await client.close()

            assert (caught.value.code, caught.value.category) == ("http_tls_failed", Category.REFUSED)
            assert server.server_names == ["right.example", "wrong.example"]
            assert len(server.requests) == 1

    asyncio.run(run())


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    async def run() -> None:
        async with serving(ok(b"fine"), tls=Authority(tmp_path).server("right.example")) as server:
            client = transport(OPEN, Names(["127.0.0.1"]))
            with pytest.raises(InterlockError) as caught:
                await ask(client, f"https://right.example:{server.port}/")
            await client.close()
            assert caught.value.code == "http_tls_failed"
            assert server.requests == []

    asyncio.run(run())
