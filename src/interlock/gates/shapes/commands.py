"""The verbs about data shapes: records of input and output, and thin handlers over `Shapes`.

What it does: registers, lists and shows shapes. What it does not do: no verb changes or removes one.
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.part import CallContext, Command, Effect, InDocument
from interlock.gates.control.namespaces import named_in, proved
from interlock.gates.records import DataShapeRecord
from interlock.gates.shapes.kept import ShapeKey
from interlock.gates.shapes.registry import Shapes
from interlock.gates.values import NamespaceId, TenantId, converted
from interlock.journal.journal import Journal
from interlock.journal.runner import Runner

SchemaId = Annotated[str, Meta(min_length=1, description="The shape's id.")]
Version = Annotated[str, Meta(min_length=1, description="The shape's version.")]


class RegisterInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to register."""

    record: Annotated[
        Any,
        Meta(description="The shape: tenant_id, namespace_id, schema_id, version, schema, created_at, description."),
    ]


class ShapeRegistration(Struct, frozen=True):
    """A shape that is registered."""

    record: DataShapeRecord


class ListShapes(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which shapes to list, in the order of their ids and versions."""

    tenant_id: TenantId
    namespace_id: NamespaceId
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Shapes in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class ShapeList(Struct, frozen=True):
    """A page of shapes."""

    items: list[DataShapeRecord]
    next: str | None


class ShapeInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which shape."""

    schema_id: SchemaId
    version: Version
    tenant_id: TenantId
    namespace_id: NamespaceId


def _shapes(ctx: CallContext) -> Shapes:
    return Shapes(ctx.services.get(Journal), ctx.services.get(Runner))


async def _register(ctx: CallContext, given: RegisterInput) -> ShapeRegistration:
    record = converted(given.record, DataShapeRecord)
    proved(named_in(given.record), record.namespace_id)
    return ShapeRegistration(await _shapes(ctx).register(record, ctx.principal, ctx.command_id))


async def _list(ctx: CallContext, given: ListShapes) -> ShapeList:
    shapes = _shapes(ctx)
    after = None if given.cursor is None else shapes.place(given.cursor, ctx.principal)
    page = await shapes.page(given.tenant_id, given.namespace_id, after, given.limit, ctx.principal)
    return ShapeList(page.items, shapes.cursor(page.items[-1], ctx.principal) if page.more else None)


async def _get(ctx: CallContext, given: ShapeInput) -> ShapeRegistration:
    key = ShapeKey(given.tenant_id, given.namespace_id, given.schema_id, given.version)
    return ShapeRegistration(await _shapes(ctx).get(key, ctx.principal))


COMMANDS = (
    Command(
        "shape",
        "register",
        RegisterInput,
        ShapeRegistration,
        _register,
        "Register a data shape, which never changes.",
        "interlock shape register @shape.json",
        "shape.register",
        Effect.CHANGES,
        positional=("record",),
        namespace=InDocument("record.namespace_id", lambda given: named_in(given.record)),
    ),
    Command(
        "shape",
        "list",
        ListShapes,
        ShapeList,
        _list,
        "List the data shapes of a namespace.",
        "interlock shape list --tenant-id 1 --namespace-id 1",
        "shape.read",
        Effect.READS,
    ),
    Command(
        "shape",
        "get",
        ShapeInput,
        ShapeRegistration,
        _get,
        "Show a data shape.",
        "interlock shape get release-notes v1 --tenant-id 1 --namespace-id 1",
        "shape.read",
        Effect.READS,
        positional=("schema_id", "version"),
    ),
)
