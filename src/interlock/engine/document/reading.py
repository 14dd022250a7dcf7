"""Reads the text of a document into a tree with places, whatever the text is.

What it does: decides between YAML 1.2 and JSON by the file's name, checks encoding and size, and hands the text to the
reader of its language. What it does not do: it knows no grammar, and opens no file.

Rules: any bytes give a tree or findings, never another fault; what a reader cannot go on after (a fault of syntax) is
one finding, with those made before it.
"""

from __future__ import annotations

import re

from interlock.engine.document import rules
from interlock.engine.document.findings import START, Findings, Place
from interlock.engine.document.kinds import PLAN, DocumentKind
from interlock.engine.document.reading_json import read_json
from interlock.engine.document.reading_yaml import read_yaml
from interlock.engine.document.tree import Node

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]")
SUFFIXES = (".yaml", ".yml", ".json")
"""How the names of documents end."""


def read_tree(content: bytes, name: str, findings: Findings, kind: DocumentKind = PLAN) -> Node | None:
    """The tree of a document named `name`; None where its findings say that there is none."""
    is_json = name.lower().endswith(".json")
    most = kind.bytes_max(is_json=is_json)
    if len(content) > most:
        findings.add(kind.too_large, START, f"the file has more than {most} bytes")
        return None
    text = _decoded(content, findings)
    if text is None or not _is_clean(text, findings):
        return None
    if not text.strip():
        findings.add(kind.empty, START, "the file is empty")
        return None
    return read_json(text, findings, kind) if is_json else read_yaml(text, findings, kind)


def _decoded(content: bytes, findings: Findings) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError as fault:
        before = content[: fault.start]
        place = Place(before.count(b"\n") + 1, fault.start - before.rfind(b"\n"))
        findings.add(rules.FILE_ENCODING, place, "the file is not UTF-8 from here on")
        return None
    if text.startswith("\ufeff"):
        findings.add(rules.FILE_BOM, START, "the file begins with a byte order mark")
        text = text[1:]
    return text


def _is_clean(text: str, findings: Findings) -> bool:
    """Whether no character stands in the text that neither language allows; each of the first few is a finding."""
    found = [match.start() for match, _ in zip(_CONTROL.finditer(text), range(20), strict=False)]
    for start in found:
        place = Place(text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start))
        findings.add(rules.CHARACTER, place, f"the character U+{ord(text[start]):04X} cannot stand in a document")
    return not found
