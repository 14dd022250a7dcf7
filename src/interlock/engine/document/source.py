"""How the history of a run names the document that its plan was made of.

It names and reads names; it opens nothing.
"""

from __future__ import annotations

import re

_STORED = re.compile(r"\Adocument:(?P<path>/[^\x00]{0,4000})\Z")


def document_path(source: str | None) -> str | None:
    """Where the file of a run's document stood; None for a run of another plan."""
    found = None if source is None else _STORED.match(source)
    return None if found is None else found["path"]
