"""What the reference's tools need to be called over HTTP, in the terms of our catalogue.

What it does: holds the rows of the table of permissions for the wire. What it does not do: it decides nothing.

Rules: a tool needs what the command of the same work needs, in the namespace that its arguments name; one that records
its question changes something; one that reads or writes files of this machine is for its user alone; the documentation
is for everybody who is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal

from msgspec import Struct

from interlock.base.part import Effect
from interlock.base.principal import Principal, PrincipalKind
from interlock.surfaces.catalogue import Permission

Where = int | Literal["somewhere"] | None
"""The namespace that a call names, None where it names none; `somewhere` where its arguments are not read yet."""

Permits = Callable[[Principal, Permission, Where], bool]

_ROWS: Final = (
    ("scenario_define", "scenario.define", Effect.CHANGES),
    ("scenario_start", "scenario.run", Effect.STARTS),
    ("scenario_status", "scenario.run", Effect.CHANGES),
    ("scenario_next", "scenario.run", Effect.CHANGES),
    ("scenario_submit", "scenario.run", Effect.CHANGES),
    ("scenario_trigger", "scenario.run", Effect.CHANGES),
    ("evidence_query", "evidence.query", Effect.READS),
    ("runpack_export", "run.read", Effect.READS),
    ("runpack_verify", "run.read", Effect.READS),
    ("providers_list", "provider.read", Effect.READS),
    ("provider_contract_get", "provider.read", Effect.READS),
    ("provider_check_schema_get", "provider.read", Effect.READS),
    ("schemas_register", "shape.register", Effect.CHANGES),
    ("schemas_list", "shape.read", Effect.READS),
    ("schemas_get", "shape.read", Effect.READS),
    ("scenarios_list", "scenario.read", Effect.READS),
    ("precheck", "scenario.read", Effect.READS),
)
WIRE_PERMISSIONS: Final = {name: Permission(f"rpc.{name}", needed, effect) for name, needed, effect in _ROWS}
"""The row of each tool that needs a permission."""

STATISTICS: Final = Permission("debug.mutation_stats", "debug.read", Effect.READS)
FREE: Final = frozenset({"decision_gate_docs_search"})
LOCAL: Final = frozenset({"runpack_export", "runpack_verify"})


def reads_only(principal: Principal, needed: Permission, _where: Where) -> bool:
    """What is permitted where nothing else is said: everything to the user of this machine, reads to others."""
    return principal.kind is PrincipalKind.LOCAL or needed.effect is Effect.READS


def namespace_of(asked: Struct) -> int | None:
    """The namespace that the arguments of a tool name, themselves or in the record that they hold."""
    for each in (asked, *(getattr(asked, name) for name in asked.__struct_fields__)):
        found = getattr(each, "namespace_id", None)
        if isinstance(found, int):
            return found
    return None


def may_call(name: str, where: Where, principal: Principal, permits: Permits) -> bool:
    """Whether a principal may call a tool there; one without a row is nobody's."""
    if name in LOCAL and principal.kind is not PrincipalKind.LOCAL:
        return False
    needed = WIRE_PERMISSIONS.get(name)
    return name in FREE if needed is None else permits(principal, needed, where)
