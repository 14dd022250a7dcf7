"""Who may show what is stored under an id."""

from __future__ import annotations

import asyncio

import pytest

from interlock import App
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal, PrincipalKind


@pytest.mark.parametrize("kind", [kind for kind in PrincipalKind if kind is not PrincipalKind.LOCAL])
def test_another_principal_than_the_local_user_shows_no_artifact(kind: PrincipalKind) -> None:
    async def asked() -> str:
        async with App.open() as app:
            with pytest.raises(InterlockError) as caught:
                await app.client(Principal(id="x", kind=kind, roles=("admin",))).call("artifact.show", {"id": "0" * 64})
            return caught.value.code

    assert asyncio.run(asked()) == "artifact_refused"
