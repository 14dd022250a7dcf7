"""Addresses of servers, and tokens, in the one form that is sent.

What it does: reads the address of a server, and says whether it is on this machine; checks the form of a token. What it
does not do: it resolves no name and opens no connection.

Rules: https, or plain http to this machine, unless the caller says that plain http is safe; no user, no password, no
query; an error repeats neither an address that holds a password nor a token.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from interlock.base.secrets import Secret
from interlock.client.errors import CLIENT_PLAIN_REFUSED, CLIENT_TOKEN_INVALID, CLIENT_URL_INVALID

URL_CHARACTERS_MAX: Final = 2_000
TOKEN_CHARACTERS_MAX: Final = 8_192
_PORTS: Final = {"http": 80, "https": 443}
_URL: Final = re.compile(rf"[!-~]{{1,{URL_CHARACTERS_MAX}}}")
_TOKEN: Final = re.compile(rf"[!-~]{{1,{TOKEN_CHARACTERS_MAX}}}")
_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,255}")
_HOST_AND_PORT: Final = re.compile(r"(?P<host>[A-Za-z0-9.-]{1,60}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}")
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*")


@dataclass(frozen=True, slots=True)
class Address:
    """A server: `url` without a final stroke, its host and port."""

    url: str
    host: str
    port: int
    is_plain: bool

    @property
    def path(self) -> str:
        """What stands behind host and port; empty for most servers."""
        return urlsplit(self.url).path

    @property
    def is_loopback(self) -> bool:
        """Whether the server is on this machine, as far as its name says."""
        return is_loopback(self.host)


def address_of(text: str, *, plain: bool = False) -> Address:
    """The address that a text names. Raises: `client_url_invalid`, `client_plain_refused`."""
    try:
        if _URL.fullmatch(text) is None:
            raise ValueError  # noqa: TRY301 - one refusal for every form that is none
        found = urlsplit(text)
        host, port = found.hostname or "", found.port
    except ValueError:
        raise CLIENT_URL_INVALID.error("the server's address is not one") from None
    path = found.path.rstrip("/")
    if found.scheme not in _PORTS or "@" in found.netloc or _HOST.fullmatch(host) is None:
        raise CLIENT_URL_INVALID.error(f"the server's address is not an http or https one of a host{_meant(text)}")
    if found.query or found.fragment or _PATH.fullmatch(path) is None or {".", ".."} & set(path.split("/")):
        raise CLIENT_URL_INVALID.error("the server's address has more than a host, a port and a plain path")
    is_plain = found.scheme == "http"
    if is_plain and not plain and not is_loopback(host):
        raise CLIENT_PLAIN_REFUSED.error(f"{host} is not this machine, and plain http would show it all", host=host)
    number = port or _PORTS[found.scheme]
    shown = f"[{host}]" if ":" in host else host
    authority = shown if number == _PORTS[found.scheme] else f"{shown}:{number}"
    return Address(f"{found.scheme}://{authority}{path}", host, number, is_plain)


def _meant(text: str) -> str:
    """What is meant by a host and a port alone; nothing for a text that may be anything else."""
    match = _HOST_AND_PORT.fullmatch(text)
    if match is None:
        return ""
    return f"; did you mean {'http' if is_loopback(match['host'].strip('[]')) else 'https'}://{text}?"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine: `localhost`, or an address of the loopback."""
    if host.lower().removesuffix(".") == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def token_of(given: str | Secret | None) -> Secret | None:
    """The token that is sent. Raises: `client_token_invalid`."""
    if given is None:
        return None
    found = given if isinstance(given, Secret) else Secret(given)
    if _TOKEN.fullmatch(found.reveal()) is None:
        raise CLIENT_TOKEN_INVALID.error("the token cannot be sent as it is")
    return found
