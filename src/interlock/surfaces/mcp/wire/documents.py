"""The documentation on the reference's wire: its resources and its search.

What it does: shows pages under the reference's addresses. What it does not do: it loads none (`pages`) and ranks none
(`search`).
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from interlock.gates.showing import DocsSettings
from interlock.surfaces.errors import DOCUMENT_UNKNOWN
from interlock.surfaces.mcp.search import Library, Page

URI_PREFIX: Final = "decision-gate://docs/"
MIME_TYPE: Final = "text/markdown"


class Resource(Struct, frozen=True):
    """A page in the list of resources."""

    uri: str
    name: str
    description: str
    mimeType: str  # noqa: N815 - a name of the protocol


class ResourceContent(Struct, frozen=True):
    """A page as a resource."""

    uri: str
    mimeType: str  # noqa: N815 - a name of the protocol
    text: str


class WireDocuments:
    """Pages as the wire shows them."""

    def __init__(self, library: Library, settings: DocsSettings) -> None:
        self.library = library
        self.has_resources = settings.enabled and settings.enable_resources
        self.has_search = settings.enabled and settings.enable_search
        self._pages = {_uri(page): page for page in library.pages}

    def listed(self) -> list[Resource]:
        """Every page."""
        return [Resource(uri, page.title, page.description, MIME_TYPE) for uri, page in self._pages.items()]

    def read(self, params: Any) -> ResourceContent:
        """The page that the parameters name. Raises: `document_unknown`."""
        uri = _named(params)
        if uri is None:
            raise DOCUMENT_UNKNOWN.error("resources.read requires uri")
        if not uri.startswith(URI_PREFIX):
            raise DOCUMENT_UNKNOWN.error(f"resource uri must start with {URI_PREFIX}")
        page = self._pages.get(uri)
        if page is None:
            raise DOCUMENT_UNKNOWN.error("unknown resource uri")
        return ResourceContent(uri, MIME_TYPE, page.text)


def _named(params: Any) -> str | None:
    """The address in parameters, which may also stand in their `arguments`."""
    for holder in (params, params.get("arguments") if isinstance(params, dict) else None):
        uri = holder.get("uri") if isinstance(holder, dict) else None
        if isinstance(uri, str):
            return uri
    return None


def _uri(page: Page) -> str:
    return f"{URI_PREFIX}{'custom/' if page.custom else ''}{page.id}"
