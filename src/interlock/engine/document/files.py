"""Reads the file of a document, or says why it cannot be read.

What it does: gives the bytes of a file up to the size that its kind may have, and one more. What it does not do: it
reads no document in them.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from interlock.base.ids import shown
from interlock.engine.document import rules
from interlock.engine.document.findings import START, Findings
from interlock.engine.document.kinds import DocumentKind


def content_of(path: Path, kind: DocumentKind, verb: str, findings: Findings) -> bytes | None:
    """The bytes of a file that is named to `verb`; None where a finding says why there are none."""
    try:
        with path.open("rb") as file:
            return file.read(kind.bytes_max(is_json=path.name.lower().endswith(".json")) + 1)
    except (OSError, ValueError) as fault:
        _add_unread(path, fault, verb, findings)
        return None


def _add_unread(path: Path, fault: OSError | ValueError, verb: str, findings: Findings) -> None:
    """What is said of a file that cannot be read."""
    if isinstance(fault, IsADirectoryError):
        hint = f"Name the documents in it: `interlock {verb} {shlex.quote(shown(str(path), 200))}/*.yaml`."
        findings.add(rules.FILE_UNREADABLE, START, "it is a folder, and no document", hint)
        return
    is_missing = not isinstance(fault, OSError) or isinstance(fault, FileNotFoundError | NotADirectoryError)
    reason = getattr(fault, "strerror", None) or "no path"
    rule = rules.FILE_MISSING if is_missing else rules.FILE_UNREADABLE
    findings.add(rule, START, f"the file cannot be read: {reason}")
