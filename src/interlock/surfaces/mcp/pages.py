"""The pages of our documentation, as they were packaged or stand beside the sources, and those of an installation.

What it does: reads them once, in their order, within limits. What it does not do: it searches nothing (`search`), and
shows no page for those who work on the product.

Rules (seed 000, docs): pages that an installation adds are Markdown files, named or found below a named folder in the
order of their names; links are left out with a warning; a path that is not there ends the start; what is beyond a limit
is left out with a warning. Our own pages are always whole: the limits are for what is added.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Final

from interlock.gates.showing import DocsSettings
from interlock.surfaces.errors import DOCUMENTS_UNREADABLE
from interlock.surfaces.mcp.search import Library, Page, Role

FOLDERS: Final[dict[str, Role]] = {
    "tutorial": "decision",
    "how-to": "pattern",
    "explanation": "reasoning",
    "reference": "ontology",
}
"""The folders of pages for users, and what their pages are for."""

_DESCRIBED: Final[dict[Role, str]] = {
    "decision": "Tutorial",
    "pattern": "How-to guide",
    "reasoning": "Explanation",
    "ontology": "Reference",
}
_DESCRIPTION_CHARACTERS_MAX: Final = 200
Warn = Callable[[str], None]


def library_of(settings: DocsSettings, warn: Warn) -> Library:
    """The pages that an installation shows. Raises: `documents_unreadable`."""
    if not settings.enabled:
        return Library(())
    own = list(own_pages()) if settings.include_default_docs else []
    return Library([*own, *_added(settings, {page.id for page in own}, warn)], settings.max_sections)


def own_pages() -> Iterator[Page]:
    """The pages for users; none where the documentation was not packaged."""
    home = _home()
    for folder, role in FOLDERS.items():
        for path in sorted((home / folder).glob("*.md")):
            text = path.read_text(encoding="utf-8")
            yield Page(f"{folder}-{path.stem}", _title(text, path), role, text, _description(text, role))


def _home() -> Path:
    """Where the documentation is: in the package, or in the clone that holds the package's sources."""
    package = Path(str(files("interlock")))
    packaged = package / "docs"
    return packaged if packaged.is_dir() else package.parents[1] / "docs"


def _added(settings: DocsSettings, taken: set[str], warn: Warn) -> Iterator[Page]:
    count = total = 0
    for path in _paths(settings.extra_paths, warn):
        content = _content(path, settings.max_doc_bytes, warn)
        if content is None:
            continue
        if count == settings.max_docs or total + len(content) > settings.max_total_bytes:
            warn(f"{path}: left out, because there are too many pages")
            continue
        count, total = count + 1, total + len(content)
        text = content.decode("utf-8", "replace").strip()
        page_id = _unused(re.sub(r"[^a-z0-9]", "_", path.stem.lower()), taken)
        taken.add(page_id)
        yield Page(page_id, _title(text, path), "pattern", text, "A page of this installation.", custom=True)


def _paths(named: tuple[str, ...], warn: Warn) -> Iterator[Path]:
    """The Markdown files that are named or stand below a folder that is. Raises: `documents_unreadable`."""
    for name in named:
        path = Path(name)
        if path.is_symlink():
            warn(f"{path}: left out, because it is a link")
        elif path.is_dir():
            yield from _below(path, warn)
        elif path.is_file():
            yield path
        else:
            raise DOCUMENTS_UNREADABLE.error("a path of docs.extra_paths is not there")


def _below(folder: Path, warn: Warn) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() != ".md":
                continue
            if path.is_symlink():
                warn(f"{path}: left out, because it is a link")
            else:
                yield path


def _content(path: Path, bytes_max: int, warn: Warn) -> bytes | None:
    """The bytes of a page; None where it is empty or too large. Raises: `documents_unreadable`."""
    try:
        with path.open("rb") as file:
            content = file.read(bytes_max + 1)
    except OSError:
        raise DOCUMENTS_UNREADABLE.error("a page of docs.extra_paths cannot be read") from None
    if len(content) > bytes_max:
        warn(f"{path}: left out, because it has more than {bytes_max} bytes")
        return None
    if not content.strip():
        warn(f"{path}: left out, because it is empty")
        return None
    return content


def _unused(name: str, taken: set[str]) -> str:
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _title(text: str, path: Path) -> str:
    first = text.split("\n", 1)[0]
    return first.removeprefix("# ").strip() if first.startswith("# ") else path.stem


def _description(text: str, role: Role) -> str:
    """What a page is about: its first sentence."""
    prose = next((block for block in text.split("\n\n")[1:] if block[:1].isalpha()), "")
    sentence = re.split(r"(?<=[.:!?])\s", " ".join(prose.split()), maxsplit=1)[0]
    return f"{_DESCRIBED[role]}. {sentence}"[:_DESCRIPTION_CHARACTERS_MAX]
