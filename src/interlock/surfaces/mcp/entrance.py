"""What every request over HTTP passes before anybody reads it: where it comes from.

What it does: refuses names of hosts and origins that are not listed, and hands a body on that was read. What it does
not do: it reads no body (`http.bodies`), finds out nobody's identity, and speaks no protocol.

Rules: a name that is not listed is refused whoever asks, so that a page of another site reaches nothing by a name that
it made to mean this machine; a page of this server itself may ask.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct
from starlette.types import Message, Receive, Scope

from interlock.surfaces.http.errors import ORIGIN_REFUSED
from interlock.surfaces.seats import Shares

LOOPBACK_HOSTS: Final = ("localhost", "localhost:*", "127.0.0.1", "127.0.0.1:*", "[::1]", "[::1]:*")
_ANY_PORT: Final = ":*"
_PORT_DIGITS_MAX: Final = 5


class EntranceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who may ask over HTTP, and how much at once; `NAME:*` stands for any port."""

    hosts: Annotated[tuple[str, ...], Meta(max_length=100, description="Names under which this server is asked.")] = (
        LOOPBACK_HOSTS
    )
    origins: Annotated[
        tuple[str, ...], Meta(max_length=100, description="Other sites whose pages may ask, such as https://ops:*.")
    ] = ()
    body_bytes_max: Annotated[int, Meta(ge=1024, le=64 * 1024 * 1024, description="Bytes of a body.")] = 4 * 1024 * 1024
    body_timeout_ms: Annotated[int, Meta(ge=10, le=600_000, description="Milliseconds for a body to arrive.")] = 10_000
    sessions_max: Annotated[int, Meta(ge=1, le=100_000, description="Sessions of MCP that are open at once.")] = 1_000
    session_idle_ms: Annotated[
        int, Meta(ge=10, le=86_400_000, description="Milliseconds without a request after which a session ends.")
    ] = 1_800_000
    look_ms: Annotated[
        int, Meta(ge=10, le=600_000, description="Milliseconds between two looks at whether a stream still may stand.")
    ] = 15_000
    shares: Shares = Shares()
    calls_max: Annotated[int, Meta(ge=1, le=10_000, description="Calls of the wire that run at once.")] = 256


def check_place(scope: Scope, settings: EntranceSettings) -> None:
    """Refuse a request under a name, or of a page, that is not listed. Raises: `origin_refused`."""
    host, origin = _header(scope, b"host"), _header(scope, b"origin")
    if host is None or not _listed(host, settings.hosts):
        raise ORIGIN_REFUSED.error("this server is not asked under this name")
    if _header(scope, b"sec-fetch-site") == "cross-site" and origin is None:
        raise ORIGIN_REFUSED.error("pages of another site may not ask")
    if origin is None or origin in {f"http://{host}", f"https://{host}"}:
        return
    if not _listed(origin, settings.origins):
        raise ORIGIN_REFUSED.error("pages of this origin may not ask")


def _header(scope: Scope, name: bytes) -> str | None:
    """The one value of a header; None where it is absent, and nothing listed where it is given more than once."""
    values = [value for key, value in scope["headers"] if key == name]
    return None if not values else b", ".join(values).decode("latin-1").lower()


def _listed(name: str, names: Iterable[str]) -> bool:
    return any(name == each or (each.endswith(_ANY_PORT) and _with_port(name, each[:-1])) for each in names)


def _with_port(name: str, prefix: str) -> bool:
    port = name.removeprefix(prefix)
    return name.startswith(prefix) and port.isascii() and port.isdigit() and len(port) <= _PORT_DIGITS_MAX


def with_body(body: bytes, receive: Receive) -> Receive:
    """A way to receive that gives a body which was read already, and then what comes after it."""
    kept: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def received() -> Message:
        return kept.pop() if kept else await receive()

    return received
