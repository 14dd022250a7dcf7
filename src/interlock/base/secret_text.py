"""What a secret looks like as text.

What it does: `kind_of` names the kind of secret that a text contains whatever its name; `is_stand_in`,
`looks_random` and `is_mnemonic` judge a text whose name speaks of a secret; `is_marked` is the fast first
test.

What it does not do: it knows no JSON and no names of members; `secret_scan` does.

Rules: ordinary prose, digests, references (`env:NAME`) and placeholders (`${NAME}`) are no secrets. Every
repetition is bounded, so that a search takes a time linear in the text. Source: seed 001, `secrets`.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections import Counter
from typing import Final

_RANDOM_CHARACTERS_MIN = 16
_RANDOM_CHARACTERS_MAX = 4096
_RANDOM_BITS_PER_CHARACTER_MIN = 3.0

# Whatever this package takes for a secret, or for the name of one, contains one of these in lower case.
_MARKERS: Final = (
    *("passw", "pwd", "phrase", "mnemonic", "seed", "private", "secret", "token", "authorization"),
    *("credential", "cookie", "apikey", "api_key", "api-key", "api key"),
    *("accesskey", "access_key", "access-key", "access key", "bearer ", "basic "),
    *("akia", "asia", "eyj", "aiza", "@", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "hub_pat_"),
    *("glpat-", "xox", "xapp-", "k_live_", "npm_", "hf_", "hvs.", "sk-", "i-age", "sg."),
)
_RAREST_FIRST: Final = "@zjqxkvwypmgul_-. hsrnitobdcaef"


def _marker_pattern() -> str:
    """One pattern for all markers, each entered at its rarest letter, grouped by that letter.

    The pattern engine skips fast over letters that enter nothing: this costs a third of a plain list of
    words, and it is all that most recorded values cost.
    """
    entries: dict[str, list[str]] = {}
    for marker in _MARKERS:
        at = min(range(len(marker)), key=lambda place: _RAREST_FIRST.index(marker[place]))
        behind = f"(?<={re.escape(marker[: at + 1])})" if at else ""
        entries.setdefault(marker[at], []).append(behind + re.escape(marker[at + 1 :]))
    return "|".join(f"{re.escape(letter)}(?:{'|'.join(rest)})" for letter, rest in entries.items())


_MARKED: Final = re.compile(_marker_pattern())
_MARKED_BYTES: Final = re.compile(_marker_pattern().encode())

_START = r"(?<![A-Za-z0-9_-])"
_NAME = (
    r"password|passwd|pwd|passphrase|api[_-]?key|secret[_-]?key|access[_-]?key|client[_-]?secret|"
    r"private[_-]?key|(?:access|refresh|id|auth|session|api)[_-]?token"
)
_BACKUP = r"(?:mnemonic|(?:seed|secret)[ ](?:phrase|words)|recovery[ ]phrase)"
_SHAPES: Final = re.compile(
    rf"""
      (?P<private_key> -----BEGIN[ ](?:[A-Z0-9]+[ ]){{0,3}}PRIVATE[ ]KEY )
    | (?P<access_key_id> {_START} (?:AKIA|ASIA)[A-Z2-7]{{16}}(?![A-Za-z0-9]) )
    | (?P<json_web_token> {_START} eyJ[\w-]{{8,4096}} \.eyJ[\w-]{{8,8192}} \.[\w-]{{16,4096}} )
    | (?P<vendor_token> {_START} (?:
        gh[pousr]_[A-Za-z0-9]{{36}} | github_pat_\w{{22}} | glpat-[\w-]{{20}} | npm_[A-Za-z0-9]{{36}}
      | xox[abeoprs]-[A-Za-z0-9-]{{10}} | xapp-[A-Za-z0-9-]{{20}} | [rs]k_live_[A-Za-z0-9]{{16}}
      | AIza[\w-]{{35}} | hf_[A-Za-z0-9]{{30}} | hvs\.[\w-]{{24}} | pypi-AgE[\w-]{{40}}
      | sk-(?:[a-z0-9]{{2,10}}-){{0,3}}[A-Za-z0-9_]{{20}} | SG\.[\w-]{{16,32}}\.[\w-]{{32}}
      | AGE-SECRET-KEY-1[A-Z0-9]{{50}} ) )
    | (?P<bearer> (?i:\bbearer)[ ]{{1,8}} (?P<bearer_value>[A-Za-z0-9._~+/=-]{{20,4096}}) )
    | (?P<basic> (?i:\bbasic)[ ]{{1,8}} (?P<basic_value>[A-Za-z0-9+/]{{8,4096}}={{0,2}}) )
    | (?P<url_password> \b[a-z][a-z0-9+.-]{{1,20}}://[^\s/?\#@:"']{{0,256}}
        : (?P<url_password_value>[^\s/?\#@"']{{1,256}})@ )
    | (?P<assignment> (?<![A-Za-z0-9]) (?i:{_NAME}) ["']?\s{{0,8}}[:=]\s{{0,8}}["']?
        (?P<assignment_value> (?=[^\s"',;&]{{0,256}}[A-Za-z]) (?=[^\s"',;&]{{0,256}}[0-9])
          [^\s"',;&<>(){{}}\[\]$*]{{8,256}} ) )
    | (?P<mnemonic> (?i:\b{_BACKUP}) \s{{0,4}}(?: : | = | [ ]is[ ] )\s{{0,4}}["']?
        (?P<mnemonic_value>[a-z]{{3,8}}(?:[ ][a-z]{{3,8}}){{11,23}})\b )
    """,
    re.VERBOSE | re.ASCII,
)

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


def is_marked(text: str | bytes) -> bool:
    """Whether a text may hold a secret or the name of one; no is certain, yes needs a closer look."""
    lowered = text.lower()
    if isinstance(lowered, bytes):
        return _MARKED_BYTES.search(lowered) is not None
    return _MARKED.search(lowered) is not None


def kind_of(text: str) -> str | None:
    """The kind of secret that a text contains, whatever its name; None when it contains none."""
    if not is_marked(text):
        return None
    for match in _SHAPES.finditer(text):
        kind = match.lastgroup or ""
        if _is_real(kind, match.groupdict().get(f"{kind}_value") or ""):
            return kind
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
    return (
        len(words) in _MNEMONIC_LENGTHS
        and all(
            3 <= len(word) <= 8 and word.isascii() and word.isalpha() and word.islower() for word in words
        )
        and not _PROSE_WORDS.intersection(words)
    )


def _is_real(kind: str, value: str) -> bool:
    """Whether the value of a matched shape is a secret and does not only stand for one."""
    match kind:
        case "mnemonic":
            # Text may go on after the words, so their count says nothing here.
            return not _PROSE_WORDS.intersection(value.split()[: min(_MNEMONIC_LENGTHS)])
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
