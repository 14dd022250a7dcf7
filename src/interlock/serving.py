"""The verb `serve`: answers over HTTP on one store, until it is told to stop.

What it does: opens the application, makes the edge, the socket and the file by which the user of this machine is known,
and runs the server. What it does not do: it drives no run (`interlock work` does), and knows no route.

Rules: only this machine is served, unless it is said that others are, and then only with TLS, ours or that of a proxy
that is named; the proof of the user of this machine is a token in a file that nobody else can read, for as long as the
server lives; a combination that would open more than it says is refused before anything is opened.
"""

from __future__ import annotations

import os
import re
import secrets
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from interlock.base.errors import InterlockError
from interlock.base.extras import install_advice
from interlock.base.principal import Principal
from interlock.base.settled import settled
from interlock.journal.store_name import MEMORY, StoreName, is_url
from interlock.machine import ServeInput, ServeReport
from interlock.supervised import watch_parent
from interlock.surfaces.cli.edge import folder_if_default
from interlock.surfaces.http.errors import SERVER_CERTIFICATE_INVALID, SERVER_LIBRARY_ABSENT, SERVER_UNSAFE
from interlock.surfaces.narration import Narrator

TOKEN_VARIABLE = "INTERLOCK_LOCAL_TOKEN"  # noqa: S105 - where it is handed over
FILE = "server.json"


class Serving(Struct, frozen=True):
    """The server listens: where, and the file that proves who is the user of this machine (None: nobody is)."""

    url: str
    file: str | None


class ServerFile(Struct, frozen=True):
    """What the file of a server says to programs of the same user."""

    url: str
    token: str
    pid: int


def check(given: ServeInput) -> None:
    """Refuse what would open more than it says. Raises: `server_unsafe`, `server_certificate_invalid`."""
    from interlock.surfaces.http.listening import is_loopback

    if given.certificate is not None and given.tls_upstream:
        raise SERVER_UNSAFE.error("TLS ends here or at a proxy: give --certificate or --tls-upstream")
    if not is_loopback(given.host):
        if not given.beyond_this_machine:
            raise SERVER_UNSAFE.error("the address is reached by others: say so with --beyond-this-machine")
        if given.certificate is None and not given.tls_upstream:
            raise SERVER_UNSAFE.error("others would send their tokens in the clear: give --certificate and --key")
    check_certificate(given.certificate, given.key)


def check_certificate(certificate: str | None, key: str | None) -> None:
    """Refuse files that TLS cannot begin with, before anything is opened. Raises: `server_certificate_invalid`."""
    if certificate is None and key is None:
        return
    if certificate is None:
        raise SERVER_CERTIFICATE_INVALID.error("there is a key, and no certificate to it")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, password=_no_password)
    except ssl.SSLError as fault:
        reason = (fault.reason or "not PEM").lower().replace("_", " ")
        raise SERVER_CERTIFICATE_INVALID.error(f"certificate and key do not serve: {reason}") from None
    except (OSError, ValueError) as fault:
        reason = getattr(fault, "strerror", None) or str(fault)
        raise SERVER_CERTIFICATE_INVALID.error(f"certificate or key cannot be read: {reason}") from None


def _no_password() -> str:
    """Nobody is asked for the password of a key: a server begins without people."""
    raise ValueError("the key has a password")


async def serve(store: StoreName, given: ServeInput, principal: Principal, narrator: Narrator) -> ServeReport:
    """Serve until this process is told to stop.

    Raises: as opening a store does, `server_unsafe`, `server_certificate_invalid`, `server_address_invalid`,
    `server_library_absent`.
    """
    try:
        from interlock.surfaces.http import listening as http
        from interlock.surfaces.http.serving import run, served
    except ImportError:
        raise SERVER_LIBRARY_ABSENT.error(
            f"the server's libraries are not installed. {install_advice('server')}"
        ) from None
    from interlock.app import APPLICATION, App

    check(given)
    token = _token()
    watch_parent()
    config = None if given.config is None else Path(given.config)
    local = http.is_loopback(given.host)
    with folder_if_default(store), http.listen(given.host, given.port) as listening:
        async with APPLICATION.open(store=store, config=config, create=True) as app:
            assert isinstance(app, App)  # noqa: S101 - what the product opens
            place = None if not local or is_url(store) or str(store) == MEMORY else Path(store).parent / FILE
            url = http.url_of(listening, tls=given.certificate is not None)
            with _told(place, ServerFile(url, token, os.getpid())):
                narrator.tell(Serving(url, None if place is None else str(place)), f"serving at {url}")
                server = served(app, APPLICATION, (token, principal) if local else None)
                with settled():
                    ended = await run(server, listening, given.certificate, given.key)
    narrator.close()
    return ServeReport(url, ended)


def _token() -> str:
    """The proof of the user of this machine. Side effect: nothing that is started from here is told it.

    Raises: `server_unsafe`, for one that could be guessed, or that no request can show.
    """
    token = os.environ.pop(TOKEN_VARIABLE, "") or secrets.token_urlsafe(32)
    if re.fullmatch(r"[!-~]{32,512}", token) is None:
        raise SERVER_UNSAFE.error(f"{TOKEN_VARIABLE} has not 32 to 512 characters of ASCII without spaces")
    return token


@contextmanager
def _told(place: Path | None, told: ServerFile) -> Iterator[None]:
    """The file of a server for as long as it lives. Side effect: takes the place of one that is left over."""
    if place is None:
        yield
        return
    made = place.with_name(f".{FILE}.{told.pid}")
    with suppress(FileNotFoundError):
        made.unlink()
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(told))
    made.replace(place)
    try:
        yield
    finally:
        with suppress(OSError, InterlockError, msgspec.MsgspecError):
            if msgspec.json.decode(place.read_bytes(), type=ServerFile).pid == told.pid:
                place.unlink()
