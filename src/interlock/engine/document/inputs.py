"""The input of a run of a document: what the document declares, with its defaults.

What it does: refuses members that the document does not declare and values of another kind than their default, and
reads an input from a file. What it does not do: it writes nothing.

Rules: a default gives its input a kind (a text, a number, true or false, a list, a mapping), and null takes any value;
a text that is given for another kind is read as JSON, so that a command line can give every value as text.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from interlock.base.canonical import Json, parse
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.engine.document.findings import Findings
from interlock.engine.document.kinds import PLAN
from interlock.engine.document.reading import read_tree
from interlock.engine.document.tree import plain
from interlock.engine.errors import INPUT_INVALID
from interlock.engine.plan import PlanDocument

_KINDS: Final = {
    str: "a text",
    bool: "true or false",
    int: "a number",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}


def document_input(document: PlanDocument, given: Any) -> dict[str, Any]:
    """The whole input of a run that is given `given`. Raises: `run_input_invalid`."""
    defaults = parse(document.defaults)
    if not isinstance(defaults, dict):
        raise TypeError("the defaults of a document are an object")
    if given is None:
        return defaults
    if not isinstance(given, dict):
        raise INPUT_INVALID.error("the input is not an object with named members")
    unknown = [str(name) for name in given if name not in defaults]
    if unknown:
        near = get_close_matches(unknown[0], list(defaults), n=1)
        known = ", ".join(shown(name) for name in list(defaults)[:12]) or "none"
        hint = f"; did you mean {shown(near[0])}?" if near else f"; it takes {known}"
        raise INPUT_INVALID.error(
            f"the document has no input {shown(unknown[0])}{hint}", members=[shown(name) for name in unknown[:20]]
        )
    return {**defaults, **{name: _fitted(name, value, defaults[name]) for name, value in given.items()}}


def _fitted(name: str, value: Any, default: Json) -> Any:
    """The value of an input, as the kind that its default has. Raises: `run_input_invalid`."""
    wanted = _KINDS.get(type(default))
    if wanted is None or _KINDS.get(type(value)) == wanted:
        return value
    if isinstance(value, str):
        try:
            read = parse(value)
        except InterlockError:
            read = None
        if _KINDS.get(type(read)) == wanted:
            return read
    raise INPUT_INVALID.error(f"the input {shown(name)} is not {wanted}, as its default is", members=[shown(name)])


def read_input_file(name: str) -> dict[str, Any]:
    """The input in a YAML or JSON file. Raises: `run_input_invalid`, with the first finding."""
    try:
        with Path(name).open("rb") as file:
            content = file.read(PLAN.yaml_bytes_max + 1)
    except (OSError, ValueError):
        raise INPUT_INVALID.error(f"the file {shown(name, 100)} cannot be read") from None
    findings = Findings(name)
    tree = read_tree(content, name, findings)
    if tree is None or findings.has_errors:
        raise INPUT_INVALID.error(f"the input cannot be read: {findings.sorted[0].brief}")
    value = plain(tree)
    if not isinstance(value, dict):
        raise INPUT_INVALID.error(f"the file {shown(name, 100)} holds no mapping")
    return value
