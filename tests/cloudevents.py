"""What CloudEvents 1.0 says of an event in JSON, as a schema of our own words, and events to send. It asserts nothing.

The schema is Draft 7, as the published one is; it says the types and forms of the attributes, the rule for the names
and types of extensions, and that data stands in one of two members.
"""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs

_TEXT = {"type": "string", "minLength": 1}
CLOUD_EVENT_SCHEMA: dict[str, Any] = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "type": "object",
    "required": ["id", "source", "specversion", "type"],
    "properties": {
        "id": _TEXT,
        "source": {**_TEXT, "format": "uri-reference"},
        "specversion": {**_TEXT, "const": "1.0"},
        "type": _TEXT,
        "subject": {"type": ["string", "null"], "minLength": 1},
        "time": {"type": ["string", "null"], "minLength": 1, "format": "date-time"},
        "datacontenttype": {"type": ["string", "null"], "minLength": 1},
        "dataschema": {"type": ["string", "null"], "minLength": 1, "format": "uri"},
        "data": True,
        "data_base64": {"type": ["string", "null"], "contentEncoding": "base64"},
    },
    "propertyNames": {"pattern": "^(?:[a-z0-9]{1,20}|data_base64)$"},
    "additionalProperties": {"type": ["string", "integer", "boolean", "null"]},
    "not": {"required": ["data", "data_base64"]},
}
CLOUD_EVENT = jsonschema_rs.Draft7Validator(CLOUD_EVENT_SCHEMA, validate_formats=True)

SOURCE = "https://forge.example/hooks"
STRUCTURED = {"content-type": "application/cloudevents+json"}
BATCH = {"content-type": "application/cloudevents-batch+json"}


def event(identity: str = "1", **members: Any) -> dict[str, Any]:
    """An event in structured mode; a member that is None is left out."""
    given = {"specversion": "1.0", "id": identity, "source": SOURCE, "type": "forge.pushed", **members}
    return {name: value for name, value in given.items() if value is not None}


def document(identity: str = "1", **members: Any) -> bytes:
    """The bytes of `event`."""
    return json.dumps(event(identity, **members)).encode()
