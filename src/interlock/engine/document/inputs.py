"""The input of a run of a document: what the document declares, with its defaults.

It refuses members that the document does not declare, and changes no value.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Any

from interlock.base.canonical import parse
from interlock.base.ids import shown
from interlock.engine.errors import INPUT_INVALID
from interlock.engine.plan import PlanDocument


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
    return {**defaults, **given}
