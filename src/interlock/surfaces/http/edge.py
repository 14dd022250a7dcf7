"""Who asks: makes the principal of a request, and refuses what no request of ours looks like.

What it does: reads the bearer token, holds host and origin against the names of the server, and gives a principal.
What it does not do: it decides no permission (the client does), and reads no body.

Rules: a request without credentials is nobody's, on loopback, too: the user of this machine proves to be it by the
token that only its files hold; a page of another site is refused whatever it sends; every refusal of a credential is
the same one.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import HTTPConnection

from interlock.base.principal import Principal
from interlock.surfaces.http.errors import CREDENTIALS_MISSING
from interlock.surfaces.http.gate import whose
from interlock.surfaces.mcp.entrance import EntranceSettings, check_place

TOKEN_CHARACTERS_MAX: Final = 512

Verify = Callable[[str], Awaitable[Principal]]
"""The principal of a token. Raises: `token_invalid`."""


class Edge:
    """Finds out who asks. `local` is the token by which the user of this machine is known, and that user."""

    def __init__(self, verify: Verify, entrance: EntranceSettings, local: tuple[str, Principal] | None = None) -> None:
        self._verify = verify
        self._entrance = entrance
        self._local = local

    async def principal(self, request: HTTPConnection) -> Principal:
        """Who asks. Raises: `origin_refused`, `credentials_missing`, `token_invalid`, `share_taken`.

        Side effect: the request counts as under way for its principal.
        """
        principal = await self._found(request)
        whose(request.scope, principal)
        return principal

    async def _found(self, request: HTTPConnection) -> Principal:
        check_place(request.scope, self._entrance)
        token = _bearer(request)
        if token is None:
            raise CREDENTIALS_MISSING.error("there is no bearer token, or more than one")
        if self._local is not None and hmac.compare_digest(token.encode(), self._local[0].encode()):
            return self._local[1]
        return await self._verify(token)


def _bearer(request: HTTPConnection) -> str | None:
    shown = request.headers.getlist("authorization")
    scheme, _, token = (shown[0] if len(shown) == 1 else "").partition(" ")  # of two, nobody says which one counts
    token = token.strip()
    if scheme.lower() != "bearer" or not token.isascii() or not 0 < len(token) <= TOKEN_CHARACTERS_MAX:
        return None
    return token
