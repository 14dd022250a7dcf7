"""The verb `serve`: answers over HTTP on one store, until it is told to stop.

What it does: opens the application, makes the edge and the socket, or takes that of its supervisor, and runs the
server. What it does not do: it drives no run (`interlock work` does), and knows no route.

Rules: only this machine is served, unless it is said that others are, and then only with TLS, ours or that of a proxy
that is named; the proof of the user of this machine is a token in a file that nobody else can read, for as long as the
server lives, and is there once the server answers; a combination that would open more than it says is refused before
anything is opened; beside one store stands one server of this machine.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import ssl
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from msgspec import Struct

from interlock.base.principal import Principal
from interlock.base.settled import settled
from interlock.journal.store_name import StoreName
from interlock.local_server import Standing, folder_beside, standing
from interlock.machine import ServeInput, ServeReport
from interlock.supervised import handed_over, watch_parent
from interlock.surfaces.cli.edge import folder_if_default
from interlock.surfaces.http.errors import SERVER_CERTIFICATE_INVALID, SERVER_LIBRARY_ABSENT, SERVER_UNSAFE
from interlock.surfaces.http.listening import is_loopback, listen, url_of
from interlock.surfaces.narration import Narrator
from interlock.surfaces.stopping import told_to_stop

TOKEN_VARIABLE = "INTERLOCK_LOCAL_TOKEN"  # noqa: S105 - where it is handed over
LIBRARIES: Final = ("starlette", "uvicorn")
"""What a server needs beside the product itself."""


class Serving(Struct, frozen=True):
    """The server listens: where, and the file that proves who is the user of this machine (None: nobody is)."""

    url: str
    file: str | None


def check(given: ServeInput) -> None:
    """Refuse what would open more than it says. Raises: `server_unsafe`, `server_certificate_invalid`."""
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
    `server_running`, `server_library_absent`.
    """
    require_library()
    from interlock.app import APPLICATION, App
    from interlock.surfaces.http.serving import run, served

    check(given)
    token = _token()
    watch_parent()
    config = None if given.config is None else Path(given.config)
    local = is_loopback(given.host)
    with told_to_stop() as stopping, folder_if_default(store), ExitStack() as held:
        listening, place = _taken(store, given, held)
        url = url_of(listening, tls=given.certificate is not None)
        async with APPLICATION.open(store=store, config=config, create=True) as app:
            assert isinstance(app, App)  # noqa: S101 - what the product opens
            server = served(app, APPLICATION, (token, principal) if local else None)
            with ExitStack() as told, settled():

                def started() -> None:
                    file = told.enter_context(place.file(url, token))
                    narrator.tell(
                        Serving(url, None if file is None else str(file)), serving_line(url, file), stays=True
                    )

                ended = await run(
                    server, listening, stopping, certificate=given.certificate, key=given.key, started=started
                )
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


def require_library() -> None:
    """Raises: `server_library_absent` where what a server needs is not installed."""
    if not all(find_spec(name) for name in LIBRARIES):
        raise SERVER_LIBRARY_ABSENT.error("the server's libraries are not installed")


def serving_line(url: str, file: Path | None) -> str:
    """What people are told of a server that answers."""
    return f"serving at {url}" + ("" if file is None else f", the token of its user in {file}")


def _taken(store: StoreName, given: ServeInput, held: ExitStack) -> tuple[socket.socket, Standing]:
    """The socket, and the place beside the store, until `held` lets go of them; a supervisor keeps both itself.

    Raises: `server_running`, `server_address_invalid`, `store_unwritable`.
    """
    handed = handed_over()
    if handed is not None:
        return held.enter_context(handed), held.enter_context(standing(None))
    place = held.enter_context(standing(folder_beside(store) if is_loopback(given.host) else None))
    listening = held.enter_context(listen(given.host, given.port))
    place.reached_at(url_of(listening, tls=given.certificate is not None))
    return listening, place
