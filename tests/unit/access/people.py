"""Who acts in the tests of access, and an application with some roles. It decides nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from interlock.access.audit import AccessRefused, audit_stream
from interlock.app import App
from interlock.base.principal import Principal, PrincipalKind, local_principal
from interlock.testing.app import memory_app

LOCAL = local_principal("ada")
SECTION: Mapping[str, Any] = {
    "roles": {
        "gatekeeper": {"permissions": ["scenario.*", "run.read"], "namespaces": [7, 8]},
        "stager": {"permissions": ["run.*"], "tenants": ["staging"]},
        "issuer": {"permissions": ["token.*", "run.read", "scenario.read"]},
    },
    "groups": {"watchers": ["viewer"], "keepers": ["gatekeeper", "stager"]},
    "principals": {
        "bob": {"groups": ["watchers"]},
        "cleo": {"roles": ["gatekeeper"], "tenant": "staging"},
        "eve": {},
    },
}


def somebody(*roles: str, groups: tuple[str, ...] = (), tenant: str = "default", name: str = "zoe") -> Principal:
    """A principal of a token with these roles."""
    return Principal(id=f"token:{name}", kind=PrincipalKind.TOKEN, roles=roles, groups=groups, tenant=tenant)


def app_of(section: Mapping[str, Any] = SECTION, **given: Any) -> App:
    """An application whose settings declare `section`."""
    return memory_app(settings={"access": section}, **given)


async def refusals(app: App, tenant: str = "default") -> list[AccessRefused]:
    """The attempts that a tenant's audit stream holds."""
    return [event.record async for page in app.journal.read(audit_stream(tenant)) for event in page]  # type: ignore[misc]
