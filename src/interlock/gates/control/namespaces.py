"""Which namespaces may be used: all but the default one, and that by the tenants that are listed.

What it does: refuses the namespace 1 unless the configuration lets a tenant use it. What it does not do: it asks no
other system for namespaces, and gives no permission: ids of namespaces are labels.

Rule (seed 000): whoever says nothing about the default namespace has none, so that nothing lands in it by mistake.
"""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

from interlock.gates.control.errors import NAMESPACE_DENIED
from interlock.gates.values import TenantId

DEFAULT_NAMESPACE: Final = 1


class NamespaceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the default namespace may be used, and by which tenants."""

    allow_default: bool = False
    default_tenants: Annotated[tuple[TenantId, ...], Meta(max_length=1000)] = ()


def check_namespace(settings: NamespaceSettings, tenant_id: int | None, namespace_id: int) -> None:
    """Refuse a namespace that a tenant may not use. Raises: `namespace_denied`."""
    if namespace_id != DEFAULT_NAMESPACE:
        return
    if not settings.allow_default or tenant_id not in settings.default_tenants:
        raise NAMESPACE_DENIED.error("the default namespace is not for this tenant", namespace_id=namespace_id)
