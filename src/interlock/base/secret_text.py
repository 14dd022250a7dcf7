"""What a secret looks like as text.

What it does: `kind_of` names the kind of secret that a text contains whatever its name; `is_stand_in`,
`looks_random` and `is_mnemonic` judge a text whose name speaks of a secret; `is_marked` is the fast first
test.

What it does not do: it knows no JSON and no names of members; `secret_scan` does.

Rules: ordinary prose, digests, references (`env:NAME`) and placeholders (`${NAME}`) are no secrets. Every
repetition is bounded, so that a search takes a time linear in the text; a shape is sought only in a text that
holds one of its markers. Texts are searched as UTF-8. Source: seed 001, `secrets`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from dataclasses import dataclass
from typing import Final

_RANDOM_CHARACTERS_MIN = 16
_RANDOM_CHARACTERS_MAX = 4096
_RANDOM_BITS_PER_CHARACTER_MIN = 3.0


@dataclass(frozen=True, slots=True)
class _Shape:
    """A kind of secret: markers (in lower case) of which its text holds one, and the pattern of the text.

    The group `value` of a pattern is judged further. A folded pattern is sought in the text in lower case.
    """

    kind: str
    markers: tuple[str, ...]
    pattern: re.Pattern[bytes]
    folded: bool = False


def _shape(kind: str, markers: str, pattern: str, *, folded: bool = False) -> _Shape:
    return _Shape(kind, tuple(markers.split(", ")), re.compile(pattern.encode(), re.VERBOSE), folded)


_START = r"(?<![A-Za-z0-9_-])"
_SHAPES: Final = (
    _shape("private_key", "private key", r"-----BEGIN[ ](?:[A-Z0-9]+[ ]){0,3}PRIVATE[ ]KEY"),
    _shape("access_key_id", "akia, asia", _START + r"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])"),
    _shape("json_web_token", "eyj", r"eyJ(?<![\w-]eyJ)[\w-]{8,4096} \.eyJ[\w-]{8,8192} \.[\w-]{16,4096}"),
    _shape("vendor_token", "ghp_, gho_, ghu_, ghs_, ghr_", _START + r"gh[pousr]_[A-Za-z0-9]{36}"),
    _shape("vendor_token", "github_pat_", _START + r"github_pat_\w{22}"),
    _shape("vendor_token", "glpat-", _START + r"glpat-[\w-]{20}"),
    _shape("vendor_token", "xox", _START + r"xox[abeoprs]-[A-Za-z0-9-]{10}"),
    _shape("vendor_token", "xapp-", _START + r"xapp-[A-Za-z0-9-]{20}"),
    _shape("vendor_token", "k_live_", _START + r"[rs]k_live_[A-Za-z0-9]{16}"),
    _shape("vendor_token", "aiza", _START + r"AIza[\w-]{35}"),
    _shape("vendor_token", "npm_", _START + r"npm_[A-Za-z0-9]{36}"),
    _shape("vendor_token", "hf_", _START + r"hf_[A-Za-z0-9]{30}"),
    _shape("vendor_token", "hvs.", _START + r"hvs\.[\w-]{24}"),
    _shape("vendor_token", "pypi-ag", _START + r"pypi-AgE[\w-]{40}"),
    _shape("vendor_token", "sk-", _START + r"sk-(?:[a-z0-9]{2,10}-){0,3}[A-Za-z0-9_]{20}"),
    _shape("vendor_token", "sg.", _START + r"SG\.[\w-]{16,32}\.[\w-]{32}"),
    _shape("vendor_token", "age-secret-key-1", _START + r"AGE-SECRET-KEY-1[A-Z0-9]{50}"),
    _shape("bearer", "bearer ", r"bearer[ ]{1,8}(?P<value>[a-z0-9._~+/=-]{20,4096})", folded=True),
    _shape("basic", "basic ", r"basic[ ]{1,8}(?P<value>[a-z0-9+/]{8,4096}={0,2})", folded=True),
    _shape("url_password", "@", r"""://[^\s/?\#@:"']{0,256}:(?P<value>[^\s/?\#@"']{1,256})@"""),
    _shape(
        "assignment",
        "passw, pwd, phrase, private, secret, token, apikey, api_key, api-key, accesskey, access_key, access-key",
        r"""
        (?: p(?:assw(?:or)?d|wd|assphrase|rivate[_-]?key) | s(?:ecret[_-]?key|ession[_-]?token)
          | a(?:pi[_-]?(?:key|token)|ccess[_-]?(?:key|token)|uth[_-]?token) | client[_-]?secret
          | refresh[_-]?token | id[_-]?token )
        ["']?\s{0,8}[:=]\s{0,8}["']?
        (?P<value>(?=[^\s"',;&]{0,256}[a-z])(?=[^\s"',;&]{0,256}[0-9])[^\s"',;&<>(){}\[\]$*]{8,256})
        """,
        folded=True,
    ),
    _shape(
        "mnemonic",
        "mnemonic, phrase, seed words, secret words",
        r"""
        (?:mnemonic|(?:seed|secret)[ ](?:phrase|words)|recovery[ ]phrase) \s{0,4}(?::|=|[ ]is[ ])\s{0,4}["']?
        (?P<value>[a-z]{3,8}(?:[ ][a-z]{3,8}){11,23})(?![a-z])
        """,
        folded=True,
    ),
)

# What the name of a secret contains, in lower case.
_NAME_MARKERS: Final = (
    *("passw", "pwd", "phrase", "mnemonic", "seed", "private", "secret", "token", "authorization"),
    *("credential", "cookie", "apikey", "api_key", "api-key", "api key"),
    *("accesskey", "access_key", "access-key", "access key"),
)
_RAREST_FIRST: Final = "@zjqxkvwypmgul_-. hsrnitobdcaef1"


def _marker_pattern() -> bytes:
    """One pattern for all markers, each entered at its rarest letter, grouped by that letter.

    The pattern engine skips fast over letters that enter nothing: this costs a third of a plain list of
    words, and it is all that most recorded values cost.
    """
    entries: dict[str, list[str]] = {}
    for marker in sorted({*_NAME_MARKERS, *(marker for shape in _SHAPES for marker in shape.markers)}):
        at = min(range(len(marker)), key=lambda place: _RAREST_FIRST.index(marker[place]))
        behind = f"(?<={re.escape(marker[: at + 1])})" if at else ""
        entries.setdefault(marker[at], []).append(behind + re.escape(marker[at + 1 :]))
    return "|".join(f"{re.escape(letter)}(?:{'|'.join(rest)})" for letter, rest in entries.items()).encode()


_MARKED: Final = re.compile(_marker_pattern())

_REFERENCE: Final = re.compile(r"(?:env|file|keyring|vault):\S+")
_PLACEHOLDER: Final = re.compile(
    r"\$\{.*\}|\$\(.*\)|\{\{.*\}\}|\{\w*\}|\$\w+|%\w+%|<[^<>]*>"
    r"|[*•.xX]{3,}|\[?redacted\]?|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+",
    re.DOTALL | re.ASCII,
)
_NAMED_DIGEST: Final = re.compile(r"(?:md5|sha(?:1|224|256|384|512)|blake2b|blake3)[:-][A-Za-z0-9+/=_-]{16,}")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_RANDOM_TEXT: Final = re.compile(r"(?=[^0-9]*[0-9])(?=[^A-Za-z]*[A-Za-z])[A-Za-z0-9+/=_.~-]+")
# Words that no list of mnemonic words has, and that hardly a sentence of a dozen words goes without.
_PROSE_WORDS: Final = frozenset(
    {"the", "and", "for", "from", "with", "was", "were", "are", "not", "but", "has", "had", "its", "which"}
    | {"than", "into", "been", "would", "could", "should"}
)
_MNEMONIC_LENGTHS: Final = frozenset({12, 15, 18, 21, 24})


def is_marked(text: bytes) -> bool:
    """Whether UTF-8 text may hold a secret or the name of one; no is certain, yes needs a closer look."""
    return _MARKED.search(text.lower()) is not None


def kind_of(text: str) -> str | None:
    """The kind of secret that a text contains, whatever its name; None when it contains none."""
    content = text.encode("utf-8", "surrogatepass")
    if not is_marked(content):
        return None
    folded = content.lower()
    for shape in _SHAPES:
        if any(marker.encode() in folded for marker in shape.markers):
            for match in shape.pattern.finditer(folded if shape.folded else content):
                start, end = match.span("value" if shape.pattern.groups else 0)
                if _is_real(shape.kind, content[start:end].decode("utf-8", "replace")):
                    return shape.kind
    return None


def is_stand_in(text: str) -> bool:
    """Whether a text only stands for a secret: nothing, a reference, a placeholder, a named digest."""
    return (
        not text
        or _REFERENCE.fullmatch(text) is not None
        or _PLACEHOLDER.fullmatch(text) is not None
        or _NAMED_DIGEST.fullmatch(text) is not None
    )


def looks_random(text: str) -> bool:
    """Whether a text has the length, the letters and the entropy of a generated token, and is no UUID."""
    if not _RANDOM_CHARACTERS_MIN <= len(text) <= _RANDOM_CHARACTERS_MAX or _UUID.fullmatch(text):
        return False
    if _RANDOM_TEXT.fullmatch(text) is None:
        return False
    shares = [count / len(text) for count in Counter(text).values()]
    return -sum(share * math.log2(share) for share in shares) >= _RANDOM_BITS_PER_CHARACTER_MIN


def is_mnemonic(text: str) -> bool:
    """Whether a text is a word-list backup of a key: a known count of short words, and no sentence."""
    words = text.split()
    return len(words) in _MNEMONIC_LENGTHS and _are_list_words(words)


def _are_list_words(words: list[str]) -> bool:
    short = all(3 <= len(word) <= 8 and word.isascii() and word.isalpha() and word.islower() for word in words)
    return short and not _PROSE_WORDS.intersection(words)


def _is_real(kind: str, value: str) -> bool:
    """Whether the value of a matched shape is a secret and does not only stand for one."""
    match kind:
        case "mnemonic":
            # Text may go on after the words, so their count says nothing here.
            return _are_list_words(value.split()[: min(_MNEMONIC_LENGTHS)])
        case "basic":
            return _is_user_and_password(value)
        case "bearer":
            return looks_random(value) or (value != value.lower() and value != value.upper())
        case "url_password" | "assignment":
            return not is_stand_in(value)
        case _:
            return True


def _is_user_and_password(value: str) -> bool:
    """Whether a text is the base64 of `user:password` (RFC 7617)."""
    try:
        decoded = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return False
    return b":" in decoded and decoded.isascii() and decoded.decode("ascii").isprintable()
