"""Which server is meant, and how it is reached.

What it does: makes one record of an address or a profile, a token and an authority. What it does not do: it opens no
connection.

Rules: an address and a profile are never mixed, so that no token goes to a server that it is not for; a token that is
given wins, then that of the profile, then what a server of this machine has left for its user.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from interlock.base.secrets import Secret
from interlock.client.addresses import Address, address_of, token_of
from interlock.client.errors import CLIENT_PLACE_UNCLEAR
from interlock.client.profiles import Profile, load_profiles
from interlock.client.server_file import server_beside
from interlock.surfaces.cli.edge import store_home


@dataclass(frozen=True, slots=True)
class Place:
    """A server, what is shown to it, and whom its certificate must come from (None: whom this machine trusts)."""

    address: Address
    token: Secret | None
    ca: Path | None


def place_of(
    url: str | None,
    token: str | Secret | None,
    profile: str | None,
    ca: str | Path | None,
    *,
    plain: bool,
    environ: Mapping[str, str],
    folder: Path,
) -> Place:
    """The server that is meant; without address and profile, the default profile.

    Raises: `client_place_unclear`, `client_url_invalid`, `client_plain_refused`, `client_token_invalid`, `profile…`,
    `secret_…`, `server_file_…`.
    """
    if url is not None and profile is not None:
        raise CLIENT_PLACE_UNCLEAR.error("an address and a profile are given")
    found = None if url is not None else _profile(profile, environ)
    address = address_of(url if found is None else found.server, plain=plain)  # type: ignore[arg-type]
    secret = token_of(token)
    if secret is None and found is not None:
        secret = token_of(found.secret(environ))
    home = store_home(folder) if secret is None and address.is_loopback else None
    if home is not None and (beside := server_beside(home, address)) is not None:
        address, secret = beside.address, beside.token
    authority = ca if ca is not None or found is None else found.ca
    return Place(address, secret, None if authority is None else Path(authority))


def _profile(name: str | None, environ: Mapping[str, str]) -> Profile:
    profiles = load_profiles(environ)
    meant = name or profiles.default
    if meant is None:
        raise CLIENT_PLACE_UNCLEAR.error("no server is named, and there is no default profile")
    return profiles.get(meant)
