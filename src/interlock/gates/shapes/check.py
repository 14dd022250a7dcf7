"""Whether a data shape can be registered.

What it does: refuses blank names, schemas that are too large, and what is no JSON Schema (2020-12). What it does not
do: it holds no value against a schema, and verifies no signature.

Rule: a schema refers to nothing outside of itself, so that it means the same for as long as it is kept.
"""

from __future__ import annotations

import msgspec

from interlock.engine.answer_schema import refers_outside, refuse
from interlock.gates.errors import SHAPE_INVALID, SHAPE_SCHEMA_INVALID, SHAPE_TOO_LARGE
from interlock.gates.records import DataShapeRecord

SCHEMA_BYTES_MAX = 1024 * 1024
"""Bytes of one schema, written without white space."""


def check_shape(record: DataShapeRecord) -> None:
    """Refuse what cannot be registered. Raises: `shape_invalid`, `shape_too_large`, `shape_schema_invalid`."""
    for member in ("schema_id", "version"):
        if not getattr(record, member).strip():
            raise SHAPE_INVALID.error(f"{member} is blank", place=member)
    if len(msgspec.json.encode(record.schema)) > SCHEMA_BYTES_MAX:
        raise SHAPE_TOO_LARGE.error(f"a schema of more than {SCHEMA_BYTES_MAX} bytes", limit_bytes=SCHEMA_BYTES_MAX)
    if refers_outside(record.schema):
        raise SHAPE_SCHEMA_INVALID.error("the schema refers to another document")
    _compile(record)


def _compile(record: DataShapeRecord) -> None:
    import jsonschema_rs  # a compiled library of several megabytes

    try:
        jsonschema_rs.Draft202012Validator(record.schema, retriever=refuse)
    except (ValueError, RecursionError):
        raise SHAPE_SCHEMA_INVALID.error("the schema is no JSON Schema") from None
