"""How a store is named: by the path of a file, or by the URL of a database.

What it does: tells the two apart, and gives the form of a name that may be shown. What it does not do: it opens and
looks up nothing.

Rules: a URL may hold a password, so that only `shown_store` of it goes into messages, answers and logs; of its
parameters only the schema is shown, because others can be secrets.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

StoreName: TypeAlias = Path | str
"""A path, or a URL as text. A URL never becomes a path: that would take one of its two strokes."""

URL_SCHEMES = ("postgresql", "postgres")
MEMORY = ":memory:"


def is_url(name: StoreName) -> bool:
    """Whether a store is named by the URL of a database."""
    return isinstance(name, str) and name.partition("://")[0].lower() in URL_SCHEMES and "://" in name


def store_name(text: str) -> StoreName:
    """The name that a person wrote: a URL stays text, all else is a path."""
    return text if is_url(text) else Path(text)


def shown_store(name: StoreName) -> str:
    """The name without any secret."""
    if not is_url(name):
        return str(name)
    from urllib.parse import parse_qsl, urlsplit

    try:
        parts = urlsplit(str(name))
        schema = dict(parse_qsl(parts.query)).get("schema")
    except ValueError:
        return "postgresql://…"
    credentials, at, host = parts.netloc.rpartition("@")
    user = credentials.partition(":")[0]
    return f"postgresql://{user}{at}{host}{parts.path}" + (f"?schema={schema}" if schema else "")
