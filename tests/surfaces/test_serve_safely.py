"""`interlock serve` with settings that would open more than they say, and with TLS of its own."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import select
import signal
import ssl
import subprocess
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.surfaces.process import PRODUCT, SECONDS_MAX, run

BEYOND = ("--host", "0.0.0.0", "--beyond-this-machine")
TLS = ("--certificate", "cert.pem", "--key", "key.pem")


def certified(folder: Path) -> bytes:
    """A certificate for this machine, signed by its own key; its PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    (folder / "cert.pem").write_bytes(pem)
    for file, kept in (
        ("key.pem", serialization.NoEncryption()),
        ("locked.pem", serialization.BestAvailableEncryption(b"x")),
    ):
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
        (folder / file).write_bytes(key.private_bytes(*form, kept))
    other = ec.generate_private_key(ec.SECP256R1())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (folder / "other.pem").write_bytes(other.private_bytes(*form, serialization.NoEncryption()))
    (folder / "text.pem").write_text("no PEM")
    return pem


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--host", "0.0.0.0"), "server_unsafe"),
        (("--host", "0.0.0.0", *TLS), "server_unsafe"),
        (("--host", "::"), "server_unsafe"),
        (("--host", "localhost.example"), "server_unsafe"),
        (BEYOND, "server_unsafe"),
        ((*BEYOND, *TLS, "--tls-upstream"), "server_unsafe"),
        ((*TLS, "--tls-upstream"), "server_unsafe"),
        (("--key", "key.pem"), "server_certificate_invalid"),
        (("--certificate", "absent.pem"), "server_certificate_invalid"),
        (("--certificate", "cert.pem"), "server_certificate_invalid"),
        (("--certificate", "cert.pem", "--key", "other.pem"), "server_certificate_invalid"),
        (("--certificate", "cert.pem", "--key", "locked.pem"), "server_certificate_invalid"),
        (("--certificate", "text.pem", "--key", "key.pem"), "server_certificate_invalid"),
    ],
)
def test_what_would_open_more_than_it_says_is_refused_before_anything_is_opened(
    tmp_path: Path, words: tuple[str, ...], code: str
) -> None:
    certified(tmp_path)
    ended = run("serve", "--port", "0", *words, program=PRODUCT, folder=tmp_path)

    assert (ended.code, f"[{code}]" in ended.err) == (2, True), ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / ".interlock").exists()


def test_https_serves_with_a_certificate_and_sends_nothing_in_the_clear(tmp_path: Path) -> None:
    pem = certified(tmp_path)
    process = subprocess.Popen(
        [*PRODUCT, "serve", "--port", "0", "--json", *TLS],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,
    )
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], SECONDS_MAX)[0], "the server is silent"
        url: str = json.loads(process.stdout.readline())["url"]
        assert url.startswith("https://127.0.0.1:")
        token = json.loads((tmp_path / ".interlock" / "server.json").read_text())["token"]
        trust = ssl.create_default_context(cadata=pem.decode())
        with httpx2.Client(verify=trust, trust_env=False, timeout=SECONDS_MAX) as client:
            answer = client.get(f"{url}/api/v1/leases", headers={"Authorization": f"Bearer {token}"})
            assert (answer.status_code, answer.json()["items"]) == (200, [])
            with pytest.raises(httpx2.TransportError):
                client.get(f"http{url[5:]}/healthz")
        with httpx2.Client(trust_env=False) as stranger, pytest.raises(httpx2.ConnectError):
            stranger.get(f"{url}/healthz")
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=SECONDS_MAX)
    assert (process.returncode, b"Traceback" in err) == (0, False), err
