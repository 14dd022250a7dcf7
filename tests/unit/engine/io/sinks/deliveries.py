"""A delivery for tests of sinks, and the published form of CloudEvents as a schema. It asserts nothing."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
from msgspec import Raw
from msgspec.structs import replace

from interlock.journal.subscriptions import Delivery

STREAM = "default/run/7c3b0f5e-9c4d-4e2a-8f6b-7d1c2e3f4a5b"
DELIVERY = Delivery(
    key=f"{STREAM}#3",
    subscription="audit",
    store="5f0c",
    stream=STREAM,
    seq=3,
    type="engine.run_completed",
    version=1,
    at_ms=1_767_225_600_123,
    actor="local:ada",
    correlation="c-1",
    digest="d" * 64,
    attempt=2,
    redriven=False,
    data=Raw(b'{"phase":"completed"}'),
)


def delivery(seq: int = 3, **changed: Any) -> Delivery:
    return replace(DELIVERY, **{"key": f"{STREAM}#{seq}", "seq": seq, **changed})


# CloudEvents 1.0.2: the required attributes and their types, and the rule for the names and types of extensions.
CLOUD_EVENT = jsonschema_rs.validator_for(
    {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["id", "source", "specversion", "type"],
        "propertyNames": {"pattern": "^(?:[a-z0-9]{1,20}|data_base64|datacontenttype)$"},
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
            "specversion": {"const": "1.0"},
            "type": {"type": "string", "minLength": 1},
            "subject": {"type": "string", "minLength": 1},
            "time": {"type": "string", "format": "date-time"},
            "datacontenttype": {"type": "string", "pattern": "^[a-z]+/[a-z+.-]+$"},
            "dataschema": {"type": "string", "format": "uri"},
            "data": {},
            "data_base64": False,
        },
        "additionalProperties": {"type": ["string", "integer", "boolean"]},
    },
    validate_formats=True,
)
