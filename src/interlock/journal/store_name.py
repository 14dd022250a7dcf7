"""How a store is named: by the path of a file, or by the URL of a database.

What it does: tells the two apart, refuses what is neither, and gives the form of a name that may be shown. What it
does not do: it opens and looks up nothing.

Rules: a URL may hold a password, so that only `shown_store` of it goes into messages, answers and logs; of its
parameters only the schema is shown, because others can be secrets. What looks like the address of something else is
never taken for a path: a URL with a mistake in it would be shown as one, with its password.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TypeAlias

from interlock.journal.errors import STORE_NAME_INVALID

StoreName: TypeAlias = Path | str
"""A path, or a URL as text. A URL never becomes a path: that would take one of its two strokes."""

URL_SCHEMES = ("postgresql", "postgres")
MEMORY = ":memory:"

_SCHEME = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*):/")
_ADDRESS = re.compile(r"://|\bpostgres(?:ql)?:|\bpassword\s*=|(?:\A|//)[^/:]+:[^/@]+@", re.IGNORECASE)
_PASSWORD = re.compile(r"\bpassword\s*=", re.IGNORECASE)
_PARAMETER = re.compile(r"[a-z_]+=")
_NO_PORT = re.compile(r":(?![0-9]*\Z)[^:\[\]]+\Z")
_PAIRS = re.compile(r"[&;=]")
_PLAIN_PATH = re.compile(r"/?[\w.$+@% -]*")
_PLAIN_SCHEMA = re.compile(r"\w{1,63}")
_SCHEME_SHOWN_MAX = 20


def is_url(name: StoreName) -> bool:
    """Whether a store is named by the URL of a database."""
    return isinstance(name, str) and name.partition("://")[0].lower() in URL_SCHEMES and "://" in name


def store_name(text: str) -> StoreName:
    """The name that a person wrote: a URL stays text, all else is a path.

    Raises: `store_name_invalid` for an address of another kind, and for what was meant to be a URL.
    """
    if is_url(text):
        return text
    scheme = _SCHEME.match(text)
    if scheme is not None:
        raise STORE_NAME_INVALID.error(f"a store has no name that begins with {_named(scheme[1])}")
    if _ADDRESS.search(text) and not _is_whole_path(text):
        raise STORE_NAME_INVALID.error("the name of a store looks like the address of a database and is none")
    return Path(text)


def _is_whole_path(text: str) -> bool:
    """Whether it can be nothing but a path from the root: with `//` or a password it could be a URL cut short."""
    return text.startswith("/") and "//" not in text and _PASSWORD.search(text) is None


def _named(scheme: str) -> str:
    """A scheme, and the one that was meant; what is long, and so no scheme, is not repeated."""
    from difflib import get_close_matches

    word = scheme.lower()
    near = word in URL_SCHEMES or get_close_matches(word, (*URL_SCHEMES, "psql", "pgsql", "pg"), cutoff=0.7)
    meant = f" (did you mean {URL_SCHEMES[0]}://?)" if near or "postgres" in word else ""
    return (f"{scheme}:/" if len(scheme) <= _SCHEME_SHOWN_MAX else "such a scheme") + meant


def is_ambiguous(url: str) -> bool:
    """Whether a URL can be read in two ways.

    A `/`, `?`, `#` or `@` of its password seems to be one of its own, or parameters seem to begin before the `?`: with
    `&`, `;` or `=` in the user, the hosts or the path, where they would be shown with what stands behind them.
    """
    place, _, query = url.partition("://")[2].partition("?")
    host, _, path = place.partition("/")
    astray = "@" in query and not all(_PARAMETER.match(pair) for pair in query.split("&"))
    return "#" in url or host.count("@") > 1 or "@" in path or astray or _holds_pairs(host, path)


def _holds_pairs(host: str, path: str) -> bool:
    """Whether what is shown of a place holds a sign of parameters, written as it is or encoded, however often."""
    credentials, _, hosts = host.rpartition("@")
    return any(_PAIRS.search(_decoded(part)) for part in (credentials.partition(":")[0], hosts, path))


def _decoded(text: str) -> str:
    from urllib.parse import unquote

    while (plain := unquote(text)) != text:  # each turn makes it shorter
        text = plain
    return text


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
    if is_ambiguous(str(name)):
        return "postgresql://…"
    credentials, at, host = parts.netloc.rpartition("@")
    user = credentials.partition(":")[0]
    path = parts.path if _PLAIN_PATH.fullmatch(parts.path) else "/…"
    named = f"?schema={schema}" if schema and _PLAIN_SCHEMA.fullmatch(schema) else ""
    return f"postgresql://{user}{at}{_shown_hosts(host)}{path}{named}"


def _shown_hosts(hosts: str) -> str:
    """Hosts with their ports. What is no number is none, and may be a password whose host was forgotten."""
    return ",".join(_NO_PORT.sub(":…", host) for host in hosts.split(","))
