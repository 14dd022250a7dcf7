"""Detection of secrets in what is about to be recorded.

What it does: `scan_bytes` and `find_secret` look through the keys and strings of a JSON value and name the
place of the first secret; `refuse_secrets` raises for it, `refuse_secrets_under` for a value that is kept under
a name of its own; `redact_error_message` replaces a text that holds one.

What it does not do: it cannot know a secret that looks like ordinary text under an ordinary name. The rule
that keeps those out is `SecretRef`; this is the net below it.

Rules: a finding names place and kind, never the value; a member whose name speaks of a secret may hold a
reference, a placeholder, a digest, null or nothing. Source: seed 001, `secrets`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from functools import lru_cache
from typing import Final

import orjson

from interlock.base.canonical import Json, canonical
from interlock.base.errors import Category, ErrorCode
from interlock.base.ids import shown
from interlock.base.secret_text import is_marked, is_mnemonic, is_stand_in, kind_of, looks_random

SECRETS_DETECTED = ErrorCode(
    "secrets_detected",
    Category.INVALID,
    "Keep the secret out of recorded data: name it by a reference such as env:NAME, or seal it.",
)

ERRORS = (SECRETS_DETECTED,)

REDACTED: Final = "error details redacted"

_POINTER_CHARACTERS_MAX = 160
_NAME_CHARACTERS_MAX = 200


@dataclass(frozen=True, slots=True)
class SecretFinding:
    """Where a secret stands (an RFC 6901 pointer, `*` for a key that is one itself) and what gave it away."""

    pointer: str
    kind: str


class _Held(Enum):
    """What a name says about the text under it: which texts are secrets there."""

    ANY = auto()
    ANY_BUT_DIGEST = auto()
    RANDOM = auto()
    WORDS = auto()


_NAMES: Final[Mapping[_Held, str]] = {
    _Held.ANY: (
        "password, passwd, pwd, passphrase, mnemonic, seed phrase, recovery phrase, secret phrase, "
        "seed words, private key, secret key, api key, access key, client secret, access token, "
        "refresh token, id token, auth token, bearer token, session token, api token"
    ),
    _Held.ANY_BUT_DIGEST: "authorization",
    _Held.RANDOM: "token, secret, credential, cookie",
    _Held.WORDS: "seed",
}
_TAILS: Final[Mapping[str, _Held]] = {
    spelling: held
    for held, names in _NAMES.items()
    for name in names.split(", ")
    for spelling in (name, name.replace(" ", ""))
}
_HARMLESS_TOKENS: Final = frozenset({"page", "next", "continuation", "cursor", "wait", "fencing", "csrf"})

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_SCHEME: Final = re.compile(r"(?i:bearer|basic|token|digest)\s+")
_NAME_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_OPTION: Final = re.compile(r"--?[A-Za-z][\w-]*", re.ASCII)


def scan_bytes(content: bytes) -> SecretFinding | None:
    """The first secret in a JSON text, None in a clean one: a few nanoseconds a byte for most.

    What is not JSON, such as a name, is searched as one text.
    """
    if not is_marked(content):
        return None
    try:
        value: Json = orjson.loads(content)
    except orjson.JSONDecodeError:
        value = content.decode("utf-8", "replace")
    return find_secret(value)


def refuse_secrets(content: bytes, what: str) -> None:
    """Raise `secrets_detected` if `content` holds a secret; `what` is the author's word for it."""
    finding = scan_bytes(content)
    if finding is not None:
        place = shown(finding.pointer, _POINTER_CHARACTERS_MAX) or "/"
        raise SECRETS_DETECTED.error(
            f"{what} holds what looks like a secret at {place} ({finding.kind})",
            pointer=place,
            kind=finding.kind,
        )


def refuse_secrets_under(name: str, content: bytes, what: str) -> None:
    """As `refuse_secrets`, for the JSON text `content` that is kept under `name`: searched as `{name: content}`.

    A name that speaks of a secret counts as it would in an object. Raises: also `json_surrogate`.
    """
    refuse_secrets(b"{%b:%b}" % (canonical(name), content), what)


def find_secret(value: Json) -> SecretFinding | None:
    """The first secret among the keys and strings of `value`, nested no deeper than canonical JSON may be."""
    return next(_findings(value, "", None), None)


def find_secrets(value: Json) -> Iterator[SecretFinding]:
    """Every secret among the keys and strings of `value`, in order."""
    return _findings(value, "", None)


def redact_error_message(text: str) -> str:
    """`text`, or `error details redacted` when it holds a secret."""
    return text if kind_of(text) is None else REDACTED


def _findings(value: Json, pointer: str, held: _Held | None) -> Iterator[SecretFinding]:
    if isinstance(value, str):
        kind = kind_of(value) or ("secret_name" if held is not None and _is_held(value, held) else None)
        if kind is not None:
            yield SecretFinding(pointer, kind)
    elif isinstance(value, dict):
        yield from _in_object(value, pointer)
    elif isinstance(value, list | tuple):
        yield from _in_array(value, pointer, held)


def _in_object(members: dict[str, Json], pointer: str) -> Iterator[SecretFinding]:
    # Lists of settings give name and value apart: {"name": "API_KEY", "value": …}.
    label = members.get("name", members.get("key"))
    labelled = _held_under(label) if isinstance(label, str) else None
    for key, item in members.items():
        kind = kind_of(key)
        if kind is not None:
            yield SecretFinding(f"{pointer}/*", kind)
        place = f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}"
        yield from _findings(item, place, labelled if key == "value" and labelled else _held_under(key))


def _in_array(items: list[Json] | tuple[Json, ...], pointer: str, held: _Held | None) -> Iterator[SecretFinding]:
    option: _Held | None = None
    for place, item in enumerate(items):
        yield from _findings(item, f"{pointer}/{place}", held or option)
        # A command line gives the value of an option in the argument that follows it.
        option = _held_under(item) if isinstance(item, str) and _OPTION.fullmatch(item) else None


@lru_cache(maxsize=4096)
def _held_under(name: str) -> _Held | None:
    """What stands under `name`, by the words at its end: `dbPassword`, `X-Api-Key`, `api_keys`."""
    if len(name) > _NAME_CHARACTERS_MAX or not is_marked(name.encode("utf-8", "surrogatepass")):
        return None
    words = [word.lower() for word in _NAME_WORD.findall(name)]
    if not words:
        return None
    if words[-1] != "words" and not words[-1].endswith("ss"):
        words[-1] = words[-1].removesuffix("s")
    if words[-1] == "token" and len(words) > 1 and words[-2] in _HARMLESS_TOKENS:
        return None
    return _TAILS.get(" ".join(words[-2:])) or _TAILS.get(words[-1])


def _is_held(text: str, held: _Held) -> bool:
    """Whether `text` is a secret, given what its name says."""
    if held is _Held.WORDS:
        return is_mnemonic(text)
    bare = _SCHEME.sub("", text.strip(), count=1)
    if is_stand_in(bare):
        return False
    if held is _Held.ANY:
        return True
    if _DIGEST.fullmatch(bare):
        return False
    return held is _Held.ANY_BUT_DIGEST or looks_random(bare)
