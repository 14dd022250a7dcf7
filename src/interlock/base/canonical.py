"""RFC 8785 canonical JSON, digests, and the strict door through which JSON enters.

What it does: `canonical` writes any JSON value in the one form that RFC 8785 (JCS) gives it; `digest` names
bytes by SHA-256; `parse` reads JSON from outside and refuses duplicate keys, lone surrogates, non-finite
numbers, integers beyond ±(2^53−1), and what is nested too deep or too large.

What it does not do: it normalises no Unicode and accepts no types beyond JSON's own (bool, int, float, str,
None, list, tuple, dict with str keys); `msgspec.Raw` is for typed events and not accepted here.

Rules: orjson's bytes are taken only where they are proven to be RFC 8785: no float anywhere, and keys whose
order by code point is that by UTF-16 (no character beyond U+FFFF at all, or no key with one from U+D800 on).
With floats, orjson spells all but these, and `rfc8785` each float; everything else takes `rfc8785` whole.
Refusals have stable codes and name the place, never a value or a key.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable

import orjson
import rfc8785

from interlock.base.bounds import INTEGER_MAX, JSON_BYTES_MAX, JSON_DEPTH_MAX
from interlock.base.errors import Category, ErrorCode, InterlockError

Json = bool | int | float | str | None | list["Json"] | tuple["Json", ...] | dict[str, "Json"]

JSON_INVALID = ErrorCode("json_invalid", Category.INVALID, "Correct the JSON at the place named.")
JSON_DUPLICATE_KEY = ErrorCode("json_duplicate_key", Category.INVALID, "Give each key of an object once.")
JSON_SURROGATE = ErrorCode("json_surrogate", Category.INVALID, "Use whole Unicode characters.")
JSON_NON_FINITE = ErrorCode("json_non_finite", Category.INVALID, "Use a finite number, or a string.")
JSON_INTEGER_RANGE = ErrorCode(
    "json_integer_range", Category.INVALID, "Write integers beyond 2^53-1 in magnitude as strings."
)
JSON_TOO_DEEP = ErrorCode("json_too_deep", Category.INVALID, f"Nest at most {JSON_DEPTH_MAX} levels.")
JSON_TOO_LARGE = ErrorCode("json_too_large", Category.INVALID, "Store large content as an artifact.")
JSON_TYPE = ErrorCode("json_type", Category.INVALID, "Use only JSON types, with strings as keys.")

ERRORS = (
    JSON_INVALID,
    JSON_DUPLICATE_KEY,
    JSON_SURROGATE,
    JSON_NON_FINITE,
    JSON_INTEGER_RANGE,
    JSON_TOO_DEEP,
    JSON_TOO_LARGE,
    JSON_TYPE,
)

_WHAT = {
    JSON_DUPLICATE_KEY: "a key that its object already has",
    JSON_SURROGATE: "text with a lone surrogate",
    JSON_NON_FINITE: "a number that is not finite",
    JSON_INTEGER_RANGE: "an integer outside ±(2^53-1)",
    JSON_TOO_DEEP: f"nesting deeper than {JSON_DEPTH_MAX} levels",
}

# orjson itself refuses lone surrogates, integers beyond 53 bits, and keys whose type is not exactly `str`.
_ORJSON_OPTIONS = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER

# The bytes with which UTF-8 begins a character beyond U+FFFF.
_ASTRAL_LEADS = bytes(range(0xF0, 0xF5))
_LONE_SURROGATE = re.compile(r"[\ud800-\udfff]")
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")
_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]++|\\.)*+"(?P<key>\s*:)?)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<word>[^\s"\[\]{}:,]++)'
)


class _Fault(Exception):
    """Why a value is refused; `path` is its place, innermost index first."""

    def __init__(self, kind: ErrorCode, what: str = "") -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.what = what or _WHAT[kind]
        self.path: list[int] = []


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of `value`.

    A float between 2^53 and 10^21 in magnitude is written with all its digits, as the RFC has it; `parse`
    takes such a number for an integer out of range.

    Raises: `json_type`, `json_integer_range`, `json_non_finite`, `json_surrogate`, `json_too_deep` (all
    `Invalid`), with a `place` such as `/2/0`: which member or element, counted from 0 in the order given,
    level by level.
    """
    try:
        content = orjson.dumps(value, option=_ORJSON_OPTIONS)
    except orjson.JSONEncodeError:
        content = b""
    if content and (content.isascii() or not _has_astral(content)):
        floats = _holds_floats(value)
        if floats is not None:
            return _spelled(value) if floats else content
    try:
        plain = _check(value, JSON_DEPTH_MAX)
    except _Fault as fault:
        place = "".join(f"/{index}" for index in reversed(fault.path))
        raise fault.kind.error(f"{fault.what} at {place or 'the top'}", place=place) from None
    return content if plain else rfc8785.dumps(value)  # type: ignore[arg-type]  # proved by the check


def _holds_floats(value: object) -> bool | None:
    """Whether a value that orjson took holds a float; None if it is not JSON of ours.

    That is: a number that is not finite, a type beyond JSON's, or more levels than allowed. Every value of a user
    goes through this loop before it is hashed: measure before touching it.
    """
    floats = False
    level: list[Iterable[object]] = [(value,)]
    for _ in range(JSON_DEPTH_MAX + 1):
        below: list[Iterable[object]] = []
        for items in level:
            for item in items:
                kind = type(item)
                if kind is str or kind is int or kind is bool or item is None:
                    continue
                if kind is dict:
                    below.append(item.values())  # type: ignore[attr-defined]
                elif kind is list or kind is tuple:
                    below.append(item)  # type: ignore[arg-type]
                elif kind is float and math.isfinite(item):  # type: ignore[arg-type]
                    floats = True
                else:
                    return None
        if not below:
            return floats
        level = below
    return None


def _spelled(value: object) -> bytes:
    """The canonical bytes of sound JSON without a character beyond U+FFFF, float by float.

    Several times as fast as `rfc8785` over the whole, which spells every text and key in Python.
    """
    kind = type(value)
    if kind is float:
        return rfc8785.dumps(value)  # type: ignore[arg-type]
    if kind is dict:
        members = sorted(value.items())  # type: ignore[attr-defined]  # no two keys are equal, so no values are compared
        return b"{%b}" % b",".join([b"%b:%b" % (orjson.dumps(key), _spelled(item)) for key, item in members])
    if kind is list or kind is tuple:
        return b"[%b]" % b",".join(map(_spelled, value))  # type: ignore[call-overload]
    return orjson.dumps(value)


def _has_astral(content: bytes) -> bool:
    return len(content.translate(None, _ASTRAL_LEADS)) != len(content)


def _check(value: object, depth_max: int) -> bool:
    """Refuse what is not JSON by a `_Fault`; return whether orjson's bytes of `value` are canonical."""
    kind = type(value)
    if kind is str:
        return _check_text(value)  # type: ignore[arg-type]
    if kind is int:
        if not -INTEGER_MAX <= value <= INTEGER_MAX:  # type: ignore[operator]
            raise _Fault(JSON_INTEGER_RANGE)
    elif kind is float:
        if not math.isfinite(value):  # type: ignore[arg-type]
            raise _Fault(JSON_NON_FINITE)
        return False
    elif kind is dict or kind is list or kind is tuple:
        if not depth_max:
            raise _Fault(JSON_TOO_DEEP)
        if kind is not dict:
            return _check_each(_check, value, depth_max - 1)  # type: ignore[arg-type]
        plain_keys = _check_each(_check_key, value, depth_max)  # type: ignore[arg-type]
        return _check_each(_check, value.values(), depth_max - 1) and plain_keys  # type: ignore[attr-defined]
    elif kind is not bool and value is not None:
        raise _Fault(JSON_TYPE, f"a value of type {kind.__name__}")
    return True


def _check_each(check: Callable[[object, int], bool], items: Iterable[object], depth_max: int) -> bool:
    plain, place = True, 0
    try:
        for item in items:
            plain &= check(item, depth_max)
            place += 1
    except _Fault as fault:
        fault.path.append(place)
        raise
    return plain


def _check_key(key: object, _depth_max: int) -> bool:
    if type(key) is not str:
        raise _Fault(JSON_TYPE, f"a key of type {type(key).__name__}")
    return _check_text(key) and (key.isascii() or max(key) < "\ud800")


def _check_text(text: str) -> bool:
    if not text.isascii() and _LONE_SURROGATE.search(text):
        raise _Fault(JSON_SURROGATE)
    return True


def digest(content: bytes) -> str:
    """SHA-256 of `content`, lower-case hexadecimal: the id of an artifact."""
    return hashlib.sha256(content).hexdigest()


def canonical_digest(value: object) -> str:
    """SHA-256 of the canonical bytes of `value`. Raises as `canonical` does."""
    return digest(canonical(value))


def is_canonical(content: bytes) -> bool:
    """Whether `content` is what `canonical` writes for some value."""
    try:
        return canonical(_WRITTEN.decode(content.decode("utf-8"))) == content
    except (InterlockError, ValueError, RecursionError):
        return False


def encode_checked(encode: Callable[[object], bytes], value: object) -> bytes:
    """Run a typed encoder and give its Unicode fault our code. Raises: `json_surrogate`."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        raise JSON_SURROGATE.error(_WHAT[JSON_SURROGATE]) from None


def parse(content: bytes | str, *, bytes_max: int = JSON_BYTES_MAX, wide: bool = False) -> Json:
    """The value of a JSON text from outside, checked so that `canonical` will accept it.

    With `wide`, an integer that 64 bits hold is one also beyond 2^53, and a larger one is a double: for contracts that
    have such numbers (`canonical` does not take them). Raises: `json_too_large`, `json_invalid`, `json_duplicate_key`,
    `json_surrogate`, `json_non_finite`, `json_integer_range`, `json_too_deep` (all `Invalid`), with `line` and
    `column`, counted from 1, where there is text.
    """
    text = _text(content, bytes_max)
    try:
        value: Json = (_WIDE if wide else _STRICT).decode(text)
    except json.JSONDecodeError as fault:
        raise _refused(JSON_INVALID, f"not JSON ({fault.msg})", text, fault.pos) from None
    except RecursionError:
        kind = JSON_TOO_DEEP
    except _Fault as fault:
        kind = fault.kind
    else:
        if text.count("[") + text.count("{") > JSON_DEPTH_MAX and _is_deeper(value, JSON_DEPTH_MAX):
            kind = JSON_TOO_DEEP
        elif _SURROGATE_ESCAPE.search(text) and _fault_offset(JSON_SURROGATE, text) is not None:
            kind = JSON_SURROGATE
        else:
            return value
    raise _refused(kind, _WHAT[kind], text, _fault_offset(kind, text) or 0)


def _text(content: bytes | str, bytes_max: int) -> str:
    """`content` as text of at most `bytes_max` bytes of UTF-8."""
    size_bytes = len(content)
    if isinstance(content, str) and size_bytes <= bytes_max:
        try:
            size_bytes = len(content.encode("utf-8"))
        except UnicodeEncodeError as fault:
            raise _refused(JSON_SURROGATE, _WHAT[JSON_SURROGATE], content, fault.start) from None
    if size_bytes > bytes_max:
        raise JSON_TOO_LARGE.error(f"JSON of more than {bytes_max} bytes", limit_bytes=bytes_max)
    try:
        return content if isinstance(content, str) else content.decode("utf-8")
    except UnicodeDecodeError as fault:
        raise JSON_INVALID.error(f"not UTF-8 at byte {fault.start}", byte=fault.start) from None


def _refused(kind: ErrorCode, what: str, text: str, offset: int) -> InterlockError:
    line = text.count("\n", 0, offset) + 1
    column = offset - text.rfind("\n", 0, offset)
    return kind.error(f"{what} at line {line}, column {column}", line=line, column=column)


def _is_deeper(value: Json, levels_max: int) -> bool:
    holders = [value]
    for _ in range(levels_max):
        items = [item for holder in holders for item in _items(holder)]
        holders = [item for item in items if type(item) is dict or type(item) is list]
    return bool(holders)


def _items(holder: Json) -> Iterable[Json]:
    if isinstance(holder, dict):
        return holder.values()
    return holder if isinstance(holder, list) else ()


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _Fault(JSON_DUPLICATE_KEY)
    return members


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _Fault(JSON_NON_FINITE)
    return number


def _safe_integer(text: str) -> int:
    # Converting thousands of digits is quadratic; none of more than 17 characters is in range.
    if len(text) > 17 or not -INTEGER_MAX <= (number := int(text)) <= INTEGER_MAX:
        raise _Fault(JSON_INTEGER_RANGE)
    return number


def _wide_integer(text: str) -> int | float:
    if len(text) <= 20 and -(2**63) <= (number := int(text)) < 2**64:
        return number
    return _finite(text)


def _not_json(_name: str) -> float:
    raise _Fault(JSON_NON_FINITE)


_STRICT = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_float=_finite, parse_int=_safe_integer, parse_constant=_not_json
)
_WIDE = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_float=_finite, parse_int=_wide_integer, parse_constant=_not_json
)
_WRITTEN = json.JSONDecoder(parse_int=lambda text: int(text) if len(text) < 16 else float(text))


def _fault_offset(kind: ErrorCode, text: str) -> int | None:
    """Where the first fault of `kind` stands in a text that is sound JSON up to there; None if nowhere."""
    keys: list[set[str]] = []
    for token in _TOKEN.finditer(text):
        match token.lastgroup:
            case "open":
                keys.append(set())
                found = kind is JSON_TOO_DEEP and len(keys) > JSON_DEPTH_MAX
            case "close":
                keys.pop()
                found = False
            case "word":
                found = _word_fault(token["word"]) is kind
            case _:
                string = json.loads(token["text"].rstrip(": \t\r\n"))
                found = kind is JSON_SURROGATE and _LONE_SURROGATE.search(string) is not None
                if token["key"]:
                    found |= kind is JSON_DUPLICATE_KEY and string in keys[-1]
                    keys[-1].add(string)
        if found:
            return token.start()
    return None


def _word_fault(word: str) -> ErrorCode | None:
    try:
        _STRICT.decode(word)
    except _Fault as fault:
        return fault.kind
    return None
