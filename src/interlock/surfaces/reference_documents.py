"""Writes the reference page of plan documents and the JSON Schema for editors.

What it does: turns the grammar, the handlers and the rules of plan documents into one page, and their schema into a
file. What it does not do: it adds no fact of its own; what the page lacks, the records and the parts have not declared.

Rule: the same parts give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from interlock.base.part import Part, StepHandler
from interlock.engine.document.grammar import BackoffGrammar, DocumentGrammar, RetryGrammar, StepGrammar
from interlock.engine.document.rules import RULES
from interlock.engine.document.schema import editor_schema, record_schema
from interlock.engine.steps.call import StepHandlers

PAGE: Final = "plan-documents.md"
SCHEMA: Final = "plan-document.schema.json"

_HEAD = """\
# Plan documents

A plan in YAML 1.2 or JSON: `interlock run lint FILE` checks it, `interlock run start FILE` runs it. Written by
`make docs` from the grammar, the handlers and the rules. How to use it stands in [write a plan
document](../how-to/write-a-plan-document.md); editors check a document while it is written by [this
schema](plan-document.schema.json), which `interlock run lint --format schema` prints.

The id of a step's state is `<pipeline>.<name>.main`. A length of time is a whole number with its unit: `200ms`,
`120s`, `5m`, `2h`, `7d`. YAML is read by its core schema: `no`, `on` and `yes` are texts; anchors, aliases, tags,
merge keys, a key that comes twice, and a second document in the file are errors.
"""

_EXPRESSIONS = """
## Expressions

| where | form | sees |
|---|---|---|
| any text in `with`, `idempotency_key` | `${{ … }}` | `input`, and `steps.NAME.output` of steps that \
the step needs, itself or through others |
| any text in `outputs` | `${{ … }}` | the same, and `output`: what the handler gave |
| `skip_when` | without `${{ }}` | as in `with`; true or false |

A text that is exactly one expression stands for the expression's value, with its type; in any other text each
expression is replaced by its value, a text as it is, null by nothing, anything else as JSON. `$${{` stands for the
text `${{`.

A path such as `input.name`, `steps.build.output.json.files[0]` or `input["a key"]` needs nothing more. Any other
expression is [CEL](https://cel.dev), of the extra `cel`: operators, `size`, `has`, `string`, `int`, `double`,
`matches`, `contains`, `startsWith`, `endsWith`, the macros `map`, `filter`, `exists`, `exists_one` and `all`, `?
:`, and `trim()` of a text. It knows no clock, no environment and no chance. Its length, depth, iterations and what
it could make of its data are bounded.

Each value is recorded with the engine and its version before it is used, so that a replay computes nothing. Where
an expression has no value, the step fails as `expression_failed`, which names step, field and expression and no
value; where the machine ended the evaluation, it fails as `expression_unavailable`, which may be tried again. The
output of a step that was skipped is null.
"""


def page(parts: Sequence[Part]) -> str:
    """The text of the page."""
    handlers = [handler for part in parts for handler in part.steps]
    return "".join([_HEAD, *_grammar(), _EXPRESSIONS, *_handlers(handlers), *_rules()])


def schema_text(parts: Sequence[Part]) -> str:
    """The schema for editors, as the text of its file."""
    handlers = StepHandlers(handler for part in parts for handler in part.steps)
    return json.dumps(editor_schema(handlers), indent=2, ensure_ascii=False) + "\n"


def _grammar() -> Iterator[str]:
    for title, record in (
        ("The document", DocumentGrammar),
        ("A step", StepGrammar),
        ("`retry`", RetryGrammar),
        ("`backoff`", BackoffGrammar),
    ):
        yield f"\n## {title}\n\n"
        yield from _members(record)


def _handlers(handlers: Iterable[StepHandler]) -> Iterator[str]:
    yield "\n## Handlers\n"
    for handler in handlers:
        yield f"\n### {handler.name}\n\n{handler.summary} Example: `with: {handler.example}`\n\n"
        yield from _members(handler.parameters)
        gives = ", ".join(f"`{name}`" for name in handler.output)
        yield f"\nOutput: {f'{{{gives}}}' if gives else 'any value'}. "
        must = "must be stated" if handler.declares({}) else "is `read_only_io` where it is not stated"
        yield f"`side_effects` {must}.\n"
        if handler.literal:
            yield f"Without expressions: {', '.join(f'`{name}`' for name in handler.literal)}.\n"


def _rules() -> Iterator[str]:
    yield "\n## Rules\n\nA finding names one of these. A document with an error is not run; a warning asks to look.\n\n"
    yield "| rule | level | what holds | otherwise |\n|---|---|---|---|\n"
    for rule in RULES:
        yield _row([f"`{rule.id}`", rule.level.value, rule.summary, rule.hint])


def _members(record: type[Struct]) -> Iterator[str]:
    definitions = record_schema(record)["$defs"]
    schema = definitions[record.__name__]
    yield "| member | value | default | meaning |\n|---|---|---|---|\n"
    for name, member in schema["properties"].items():
        required = name in schema.get("required", ())
        default = "required" if required else f"`{json.dumps(member['default'])}`" if "default" in member else ""
        yield _row([f"`{name}`", _value(member), default, _meaning(member, definitions)])


def _meaning(member: dict[str, Any], definitions: dict[str, Any]) -> str:
    options = [member, *member.get("anyOf", ())]
    options += [definitions[each["$ref"].rpartition("/")[2]] for each in options if "$ref" in each]
    return next((str(each["description"]) for each in options if "description" in each), "")


def _value(member: dict[str, Any]) -> str:
    if "enum" in member:
        return ", ".join(f"`{each}`" for each in member["enum"])
    if "$ref" in member:
        return {"StepGrammar": "a step", "RetryGrammar": "below", "BackoffGrammar": "below"}.get(
            member["$ref"].rpartition("/")[2], "mapping"
        )
    if "anyOf" in member:
        found = [_value(each) for each in member["anyOf"] if each.get("type") != "null"]
        return " or ".join(dict.fromkeys(found))
    words = {"object": "mapping", "array": "list", "string": "text", "integer": "whole number"}
    kind = words.get(member.get("type", ""), str(member.get("type", "any value")))
    inner = member.get("items") or member.get("additionalProperties")
    if isinstance(inner, dict) and inner and member.get("type") in {"array", "object"}:
        kind = f"{kind} of {_value(inner)}"
    form = f", `{member['pattern'].strip('^$')}`" if "pattern" in member else ""
    return kind + form


def _row(cells: Iterable[str]) -> str:
    escaped = [" ".join(each.split()).replace("|", "\\|") for each in cells]
    return "|" + "|".join(f" {each} " if each else " " for each in escaped) + "|\n"
