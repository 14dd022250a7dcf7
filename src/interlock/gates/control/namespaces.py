"""Which namespaces may be used: all but the default one, and that by the tenants that are listed.

What it does: refuses the namespace 1 unless the configuration lets a tenant use it, and reads which one a document
names. What it does not do: it asks no other system for namespaces, and gives no permission: ids of namespaces are
labels.

Rules (seed 000): whoever says nothing about the default namespace has none, so that nothing lands in it by mistake.
What was permitted is the number that was read here: whoever goes on with the document has it `proved`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from msgspec import Meta, Struct

from interlock.gates.control.errors import NAMESPACE_DENIED
from interlock.gates.errors import GATE_INPUT_INVALID
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


def named_in(document: Any) -> int | None:
    """The namespace that a document's JSON value names, None where it names none by a number."""
    found = document.get("namespace_id") if isinstance(document, dict) else None
    return found if type(found) is int else None


def proved(named: int | None, taken: int) -> None:
    """Refuse a document that was taken for one of another namespace than it names. Raises: `gate_input_invalid`."""
    if named != taken:
        raise GATE_INPUT_INVALID.error("`namespace_id`: write it as an integer", place="namespace_id")
