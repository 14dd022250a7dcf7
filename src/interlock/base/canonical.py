"""RFC 8785 canonical JSON, digests, and the strict door through which JSON enters.

What it does: `canonical` writes any JSON value in the one form that RFC 8785 (JCS) gives it; `digest` names bytes by
SHA-256; `parse` reads JSON from outside and refuses duplicate keys, lone surrogates, non-finite numbers, integers
beyond ±(2^53−1), and what is nested too deep or too large.

What it does not do: it normalises no Unicode and accepts no types beyond JSON's own (bool, int, float, str, None,
list, tuple, dict with str keys); `msgspec.Raw` is for typed events and not accepted here.

Rules: one guarded fast path (orjson) for values without floats and with plain keys, where its bytes are proven equal;
everything else takes `rfc8785`. Refusals have stable codes and name the place, never the value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

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

_FAST = (
    orjson.OPT_SORT_KEYS
    | orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)
_FIRST_SURROGATE = "\ud800"


def _check(value: object, depth: int) -> bool:
    """Refuse what is not JSON; return whether the fast path gives the canonical bytes of `value`."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        if -INTEGER_MAX <= value <= INTEGER_MAX:  # type: ignore[operator]
            return True
        raise JSON_INTEGER_RANGE.error("integer outside ±(2^53-1)")
    if kind is float:
        if value - value != 0:  # type: ignore[operator]
            raise JSON_NON_FINITE.error("number that is not finite")
        return False
    if depth >= JSON_DEPTH_MAX:
        raise JSON_TOO_DEEP.error(f"nested deeper than {JSON_DEPTH_MAX} levels", limit=JSON_DEPTH_MAX)
    if kind is dict:
        fast = True
        for key, item in value.items():  # type: ignore[attr-defined]
            if type(key) is not str:
                raise JSON_TYPE.error(f"object key that is a {type(key).__name__}")
            # The two sort orders differ only for keys at or above U+D800: leave those to the exact path.
            if key >= _FIRST_SURROGATE or not key.isascii() and max(key) >= _FIRST_SURROGATE:
                fast = False
            fast &= _check(item, depth + 1)
        return fast
    if kind is list or kind is tuple:
        fast = True
        for item in value:  # type: ignore[attr-defined]
            fast &= _check(item, depth + 1)
        return fast
    raise JSON_TYPE.error(f"value of type {kind.__name__} is not JSON")


def canonical(value: object) -> bytes:
    """The RFC 8785 bytes of `value`.

    Raises: `json_type`, `json_integer_range`, `json_non_finite`, `json_surrogate`, `json_too_deep` (all `Invalid`).
    """
    fast = _check(value, 0)
    try:
        return orjson.dumps(value, option=_FAST) if fast else rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, orjson.JSONEncodeError, UnicodeEncodeError):
        raise JSON_SURROGATE.error("text with a lone surrogate") from None


def digest(content: bytes) -> str:
    """SHA-256 of `content`, lower-case hexadecimal: the id of an artifact."""
    return hashlib.sha256(content).hexdigest()


def canonical_digest(value: object) -> str:
    """SHA-256 of the canonical bytes of `value`."""
    return digest(canonical(value))


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JSON_DUPLICATE_KEY.error("an object has a key twice")
    return members


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise JSON_NON_FINITE.error("number that is not finite")
    return number


def _safe_integer(text: str) -> int:
    if len(text) > 17 or not -INTEGER_MAX <= (number := int(text)) <= INTEGER_MAX:
        raise JSON_INTEGER_RANGE.error("integer outside ±(2^53-1)")
    return number


def _no_constant(name: str) -> float:
    raise JSON_NON_FINITE.error(f"{name} is not JSON")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_no_duplicates, parse_float=_finite, parse_int=_safe_integer, parse_constant=_no_constant
)


def _depth_within(text: str, limit: int) -> bool:
    """Whether brackets outside strings nest at most `limit` deep; linear and free of recursion."""
    depth, inside, escaped = 0, False, False
    for character in text:
        if inside:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                inside = False
        elif character == '"':
            inside = True
        elif character in "[{":
            depth += 1
            if depth > limit:
                return False
        elif character in "]}":
            depth -= 1
    return True


def parse(content: bytes | str, *, bytes_max: int = JSON_BYTES_MAX) -> Json:
    """The value of a JSON text from outside, checked so that `canonical` will accept it.

    Raises: `json_too_large`, `json_invalid` (with line and column), `json_duplicate_key`, `json_surrogate`,
    `json_non_finite`, `json_integer_range`, `json_too_deep` (all `Invalid`).
    """
    if len(content) > bytes_max:
        raise JSON_TOO_LARGE.error(f"JSON of more than {bytes_max} bytes", limit_bytes=bytes_max)
    try:
        text = content.decode("utf-8") if isinstance(content, bytes) else content
    except UnicodeDecodeError as fault:
        raise JSON_INVALID.error(f"not UTF-8 at byte {fault.start}", byte=fault.start) from None
    if text.count("[") + text.count("{") > JSON_DEPTH_MAX and not _depth_within(text, JSON_DEPTH_MAX):
        raise JSON_TOO_DEEP.error(f"nested deeper than {JSON_DEPTH_MAX} levels", limit=JSON_DEPTH_MAX)
    return _decoded(text)


def _decoded(text: str) -> Json:
    try:
        value: Json = _STRICT.decode(text)
    except json.JSONDecodeError as fault:
        raise JSON_INVALID.error(
            f"not JSON at line {fault.lineno}, column {fault.colno}: {fault.msg}",
            line=fault.lineno,
            column=fault.colno,
        ) from None
    if "\\u" in text or not text.isascii():
        canonical(value)  # the only remaining fault is a lone surrogate
    return value


def encode_checked(encode: Callable[[object], bytes], value: object) -> bytes:
    """Run a typed encoder and give its Unicode fault our code."""
    try:
        return encode(value)
    except UnicodeEncodeError:
        fault: InterlockError = JSON_SURROGATE.error("text with a lone surrogate")
        raise fault from None
