"""Checks the form of a document: members, types, bounds, by the schema of its records.

What it does: holds a tree against a schema and says each breach with its place, a rule and a hint. What it does not do:
it knows no names, no order and no expressions beyond this: a text that is an expression can become anything.

Rule: a message says what is expected and what kind of value stands there, never the value itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from interlock.base.ids import shown
from interlock.engine.answer_schema import refuse
from interlock.engine.document import rules
from interlock.engine.document.findings import Findings, Hint, Rule, meant, one_of
from interlock.engine.document.misfits import misfits
from interlock.engine.document.schema import record_schema
from interlock.engine.document.templates import CLOSE, OPEN
from interlock.engine.document.tree import Node, Path, dotted, place_at, plain
from interlock.engine.durations import FORM

_KINDS: Final = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "null"}
_TYPES: Final = {
    "object": "a mapping",
    "array": "a list",
    "string": "a text",
    "boolean": "true or false",
    "null": "null",
    "integer": "a whole number",
    "number": "a number",
}
_DURATION: Final = FORM.replace(r"\A", "^").replace(r"\Z", "$")
_BOUNDS: Final = {
    "minimum": "at least {} is expected",
    "maximum": "at most {} is expected",
    "minLength": "at least {} characters are expected",
    "maxLength": "at most {} characters are expected",
    "minItems": "at least {} elements are expected",
    "maxItems": "at most {} elements are expected",
    "minProperties": "at least {} members are expected",
    "maxProperties": "at most {} members are expected",
}
_FORM: Final = "It has the form {}."
_BOOLEAN_WORDS: Final = frozenset({"yes", "no", "on", "off", "y", "n"})


@dataclass(frozen=True, slots=True)
class Form:
    """A schema that values are held against; where it is `computed`, a text may be an expression that becomes any."""

    schema: dict[str, Any]
    validator: Any
    computed: bool = False


def form_of(schema: dict[str, Any], *, computed: bool = False) -> Form:
    """A schema, ready for use; keep it: making it takes its time."""
    import jsonschema_rs

    return Form(schema, jsonschema_rs.Draft202012Validator(_without_names(schema), retriever=refuse), computed)


def check_form(node: Node, record: Any, findings: Findings, *, at: Path = (), top: Node | None = None) -> None:
    """Hold `node`, which stands at the path `at` of the document `top`, against the schema of a record."""
    hold(node, _record_form(record), findings, at=at, top=top)


def hold(node: Node, form: Form, findings: Findings, *, at: Path = (), top: Node | None = None) -> None:
    """Hold `node`, which stands at the path `at` of the document `top`, against a form."""
    errors = misfits(form.validator, plain(node))
    if errors is None:
        findings.add(rules.WRONG_VALUE, node.place, "a value further down is not possible; correct what is found first")
    for error in errors or ():
        for leaf in _leaves(error):
            _Breach(form, node, leaf, at, top or node).add_to(findings)
    _Names(form.schema, at, findings).check(form.schema, node, ())


class _Names:
    """Checks the names in mappings that have names of their own.

    The library would give each wrong name with the whole mapping, which takes minutes where there are thousands.
    """

    def __init__(self, schema: dict[str, Any], at: Path, findings: Findings) -> None:
        self._schema = schema
        self._at = at
        self._findings = findings

    def check(self, schema: Any, node: Node, path: Path) -> None:
        """Check a value, and what is in it, against a part of the schema."""
        said = _resolved(self._schema, schema)
        if not isinstance(said, dict):
            return
        if "propertyNames" in said:
            self._mapping(str(said["propertyNames"].get("pattern", "")), node, path)
        for option in said.get("anyOf", ()):
            self.check(option, node, path)
        other = said.get("additionalProperties")
        for name, member in node.members().items():
            self.check(said.get("properties", {}).get(name, other), member.value, (*path, name))
        for index, item in enumerate(node.items()):
            self.check(said.get("items"), item, (*path, index))

    def _mapping(self, pattern: str, node: Node, path: Path) -> None:
        where = shown(dotted((*self._at, *path)), 120)
        for name, member in node.members().items():
            if not _is_name(name):
                message = f"`{shown(name)}` cannot be a name in `{where}`"
                self._findings.add(rules.WRONG_FORM, member.place, message, _FORM.format(pattern.strip("^$")))


@lru_cache(maxsize=256)
def _record_form(record: Any) -> Form:
    return form_of(record_schema(record), computed=True)


def _without_names(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_names(each) for key, each in value.items() if key != "propertyNames"}
    return [_without_names(each) for each in value] if isinstance(value, list) else value


def _leaves(error: Any) -> Iterator[Any]:
    """What is wrong with a value that may be of several kinds, by the rules of the one kind that it is of."""
    if not error.schema_path or error.schema_path[-1] not in {"anyOf", "oneOf"}:
        yield error
        return
    place = list(error.instance_path)
    options = [option for option in error.kind.context if not _is_other_kind(option, place)]
    if len(options) == 1:
        for each in options[0]:
            yield from _leaves(each)
    else:
        yield error


def _is_other_kind(errors: Sequence[Any], place: list[str | int]) -> bool:
    return any(_is_other_type(each, place) or _is_other_tag(each, place) for each in errors)


def _is_other_type(error: Any, place: list[str | int]) -> bool:
    return list(error.instance_path) == place and list(error.schema_path)[-1:] == ["type"]


def _is_other_tag(error: Any, place: list[str | int]) -> bool:
    """Whether a member that has one possible value, as a record's tag has, says another."""
    path = list(error.instance_path)
    is_member = path[:-1] == place and list(error.schema_path)[-1:] == ["enum"]
    return is_member and len(error.kind.options) == 1


def _tags(schema: dict[str, Any], options: Any) -> tuple[str, list[str]] | None:
    """The member that tells records apart, and its values; None where there is no such member."""
    found: dict[str, list[str]] = {}
    for option in options if isinstance(options, list) else ():
        members = _resolved(schema, option).get("properties", {})
        for name, member in members.items():
            if len(member.get("enum", ())) == 1:
                found.setdefault(name, []).append(str(member["enum"][0]))
    return next(((name, values) for name, values in found.items() if len(values) > 1), None)


class _Breach:
    """One breach of a schema."""

    def __init__(self, form: Form, node: Node, error: Any, at: Path, top: Node) -> None:
        schema = form.schema
        self._schema = schema
        self._computed = form.computed
        self._error = error
        self._path: Path = tuple(error.instance_path)
        self._whole = (*at, *self._path)
        self._top = top
        self._node = _below(node, self._path)
        self._keyword = str(error.schema_path[-1]) if error.schema_path else ""
        self._said = _at_schema(schema, error.schema_path)

    def add_to(self, findings: Findings) -> None:
        text = None if self._node is None else self._node.text()
        if self._computed and text is not None and _may_become(text, self._keyword):
            return
        match self._keyword:
            case "additionalProperties" if isinstance(self._said, bool):
                self._unknown(findings)
            case "required":
                self._missing(findings)
            case "type" | "anyOf" | "oneOf":
                self._type(findings)
            case "enum" | "const":
                self._value(findings, text)
            case "pattern":
                self._form(findings)
            case keyword if keyword in _BOUNDS:
                what = _BOUNDS[keyword].format(self._said)
                self._add(findings, rules.OUT_OF_BOUNDS, f"`{self._name()}` is out of bounds: {what}")
            case _:
                self._add(findings, rules.WRONG_VALUE, f"`{self._name()}` has a value that is not possible")

    def _name(self) -> str:
        return shown(dotted(self._whole), 120) or "the document"

    def _add(self, findings: Findings, rule: Rule, message: str, hint: str | Hint | None = None) -> None:
        findings.add(rule, place_at(self._top, self._whole), message, hint)

    def _unknown(self, findings: Findings) -> None:
        known = list(_parent_schema(self._schema, self._error.schema_path).get("properties", {}))
        for name in self._error.kind.unexpected:
            place = place_at(self._top, (*self._whole, name), key=True)
            where = dotted(self._whole)
            inside = f" in `{shown(where, 120)}`" if where else ""
            findings.add(rules.MEMBER_UNKNOWN, place, f"`{shown(name)}` has no meaning{inside}", one_of(name, known))

    def _missing(self, findings: Findings) -> None:
        name = self._error.kind.property
        has = {} if self._node is None else self._node.members()
        hint = meant(name, has, f"`{shown(name)}` is expected where another name stands. {{}}", f"Add `{name}`.")
        self._add(findings, rules.MEMBER_MISSING, f"`{self._name()}` has no `{name}`", hint)

    def _type(self, findings: Findings) -> None:
        found = None if self._node is None else self._node.value
        tags = _tags(self._schema, self._said) if isinstance(found, dict) else None
        if tags is not None:
            self._tag(findings, *tags)
            return
        wanted = " or ".join(_expected(self._schema, self._said, self._keyword))
        hint = None
        if "a text" in wanted and isinstance(found, bool | int | float):
            hint = "Quote it."
        elif wanted.startswith("true") and isinstance(found, str) and found.lower() in _BOOLEAN_WORDS:
            hint = "In YAML 1.2 that is a text: write `true` or `false`."
        kind = _KINDS.get(type(found), "a number")
        self._add(findings, rules.WRONG_TYPE, f"`{self._name()}` is {kind}; {wanted} is expected", hint)

    def _tag(self, findings: Findings, name: str, values: list[str]) -> None:
        given = None if self._node is None else self._node.member(name)
        if given is None:
            self._add(findings, rules.MEMBER_MISSING, f"`{self._name()}` has no `{name}`", one_of("", values))
            return
        message = f"`{self._name()}.{name}` is none of the possible values"
        findings.add(rules.WRONG_VALUE, given.place, message, one_of(given.text() or "", values))

    def _value(self, findings: Findings, text: str | None) -> None:
        options = self._said if isinstance(self._said, list) else [self._said]
        names = [str(each) for each in options if each is not None]
        hint = one_of(text or "", names)
        self._add(findings, rules.WRONG_VALUE, f"`{self._name()}` is none of the possible values", hint)

    def _form(self, findings: Findings) -> None:
        if self._said == _DURATION:
            self._add(findings, rules.DURATION_INVALID, f"`{self._name()}` is no length of time")
            return
        pattern = self._said if isinstance(self._said, str) else "a name"
        hint = _FORM.format(pattern.strip("^$"))
        self._add(findings, rules.WRONG_FORM, f"`{self._name()}` has another form than it must have", hint)


def _is_name(text: str) -> bool:
    return text.isascii() and text.isidentifier() and len(text) <= 63


def _may_become(text: str, keyword: str) -> bool:
    """Whether a text holds expressions that can make it fit."""
    if OPEN not in text:
        return False
    return (text.startswith(OPEN) and text.endswith(CLOSE)) or keyword not in {"type", "anyOf", "oneOf"}


def _below(node: Node, path: Sequence[str | int]) -> Node | None:
    found: Node | None = node
    for part in path:
        if found is None:
            return None
        if isinstance(found.value, list) and isinstance(part, int) and part < len(found.value):
            found = found.value[part]
        else:
            found = found.member(str(part))
    return found


def _resolved(schema: dict[str, Any], value: Any) -> Any:
    while isinstance(value, dict) and "$ref" in value:
        value = schema["$defs"][str(value["$ref"]).removeprefix("#/$defs/")]
    return value


def _at_schema(schema: dict[str, Any], path: Sequence[str | int]) -> Any:
    """What a schema says at a path, through references."""
    value: Any = schema
    for part in path:
        if part == "$ref":
            value = _resolved(schema, value)
            continue
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = _resolved(schema, value)
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
    return value


def _parent_schema(schema: dict[str, Any], path: Sequence[str | int]) -> dict[str, Any]:
    found = _resolved(schema, _at_schema(schema, list(path)[:-1]))
    return found if isinstance(found, dict) else {}


def _expected(schema: dict[str, Any], said: Any, keyword: str) -> list[str]:
    """The kinds of values that a schema takes, in words."""
    if keyword == "type":
        names = said if isinstance(said, list) else [said]
        return [_TYPES.get(str(name), "another value") for name in names]
    found: list[str] = []
    for option in said if isinstance(said, list) else []:
        bare = _resolved(schema, option)
        kind = bare.get("type") if isinstance(bare, dict) else None
        if kind != "null":
            found.append(_TYPES.get(str(kind), "one of its values"))
    return list(dict.fromkeys(found)) or ["another value"]
