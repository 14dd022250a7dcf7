"""What fits a schema, in words."""

from __future__ import annotations

from typing import Any

import pytest

from interlock.engine.reports.fitting import what_fits


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (None, None),
        ({}, None),
        ({"type": "boolean"}, "true or false"),
        ({"type": "string"}, """a text with quotes of its own: '"…"'"""),
        ({"enum": ["ship", "hold"]}, """'"ship"' or '"hold"'"""),
        ({"enum": list(range(9)), "type": "integer"}, "a whole number"),
        ({"const": 7}, "7"),
        ({"type": "object", "required": ["ok"]}, "a JSON object with ok"),
        ({"type": "object"}, "a JSON object"),
        ({"$ref": "#/$defs/A", "$defs": {"A": {"type": "number"}}}, "a number"),
        ({"$ref": "#/$defs/B", "$defs": {"A": {"type": "number"}}}, None),
        ({"type": ["string", "null"]}, None),
        ({"type": "nothing known"}, None),
        ({"type": "object", "required": 5}, "a JSON object"),
        ({"type": "object", "required": 5, "properties": {"ok": {}}}, "a JSON object with ok"),
        ({"type": "object", "properties": 5}, "a JSON object"),
        ({"type": "object", "required": [5, "ok"]}, "a JSON object with ok"),
        ({"type": 5, "enum": 5}, None),
        ({"$ref": 5, "$defs": 5}, None),
        ({"$ref": "#/$defs/A", "$defs": {"A": 5}}, None),
    ],
)
def test_common_schemas_have_words_and_others_none(schema: Any, words: str | None) -> None:
    assert what_fits(schema) == words
