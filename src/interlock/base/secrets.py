"""References to secrets, and values that cannot leak by accident.

What it does: `SecretRef` names a secret (`env:NAME`, `file:/path`); `resolve` turns it into a `Secret`, which
gives its value only to who calls `reveal`; `SecretValue` is the same for a JSON value.

What it does not do: it opens no file and reads no environment of its own; both are arguments of `resolve`. It
detects nothing (`secret_scan`) and encrypts nothing (`sealed`).

Rules: neither kind can be serialised, copied into JSON or pickled; `repr` and `str` show no value; two
secrets are compared only in constant time; an error names the reference and never the value.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, NoReturn, SupportsIndex, final

import orjson

from interlock.base.errors import Category, ErrorCode

SECRET_CHARACTERS_MAX: Final = 64 * 1024
"""Characters of one secret."""

SECRET_REF_INVALID = ErrorCode(
    "secret_ref_invalid", Category.INVALID, "Name the secret as env:NAME or file:/absolute/path."
)
SECRET_NOT_FOUND = ErrorCode(
    "secret_not_found", Category.NOT_FOUND, "Set the variable, or create the file, that the reference names."
)
SECRET_UNREADABLE = ErrorCode(
    "secret_unreadable",
    Category.UNAVAILABLE,
    "Check the permissions, the size and the UTF-8 text of the file.",
)

ERRORS = (SECRET_REF_INVALID, SECRET_NOT_FOUND, SECRET_UNREADABLE)

_FORMS: Final[Mapping[str, re.Pattern[str]]] = {
    "env": re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,199}"),
    "file": re.compile(r"/[^\x00-\x1f\x7f\ud800-\udfff]{1,1000}"),
}


class _Unserialisable:
    """What no copy, pickle or JSON writer takes apart."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} cannot be serialised")

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} is immutable")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a {type(self).__name__} is immutable")


@final
class SecretRef(_Unserialisable):
    """The name of a secret: its `scheme` and its `name` within the scheme.

    Two references are equal when they name the same thing; that says nothing about the values behind them.
    Raises `secret_ref_invalid` when `text` has neither form.
    """

    __slots__ = ("name", "scheme")

    name: str
    scheme: str

    def __init__(self, text: str) -> None:
        scheme, _, name = text.partition(":")
        form = _FORMS.get(scheme)
        if form is None or form.fullmatch(name) is None:
            raise SECRET_REF_INVALID.error("not a reference to a secret")
        object.__setattr__(self, "scheme", scheme)
        object.__setattr__(self, "name", name)

    def __repr__(self) -> str:
        return f"SecretRef({self.scheme}:{self.name})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SecretRef):
            return NotImplemented
        return (self.scheme, self.name) == (other.scheme, other.name)

    def __hash__(self) -> int:
        return hash((SecretRef, self.scheme, self.name))


@final
class Secret(_Unserialisable):
    """The value of a secret, readable only by `reveal`."""

    __slots__ = ("_value",)

    _value: str

    def __init__(self, value: str) -> None:
        object.__setattr__(self, "_value", value)

    def reveal(self) -> str:
        """The value itself, for the one call that sends it."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Whether `candidate` is the value, in a time that does not depend on where they differ."""
        return hmac.compare_digest(self._value.encode(), candidate.encode("utf-8", "surrogatepass"))

    def __repr__(self) -> str:
        return "Secret(redacted)"

    def __format__(self, spec: str) -> NoReturn:
        # Redacted text in the middle of a header or a command would be sent without a sign of the fault.
        raise TypeError("a Secret cannot be formatted; call reveal() where it is sent")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a Secret is compared only by matches()")

    __hash__ = None  # type: ignore[assignment]


@final
class SecretValue(_Unserialisable):
    """A JSON value that is secret, such as the answer of a call; readable only by `reveal`."""

    __slots__ = ("_content",)

    _content: bytes

    def __init__(self, content: bytes) -> None:
        object.__setattr__(self, "_content", content)

    def reveal(self) -> Any:
        """A fresh copy of the value, for the one place that uses it."""
        return orjson.loads(self._content)

    def __repr__(self) -> str:
        return "SecretValue(redacted)"

    def __format__(self, spec: str) -> NoReturn:
        raise TypeError("a SecretValue cannot be formatted; call reveal() where it is used")

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("a SecretValue is not compared; compare what reveal() gives")

    __hash__ = None  # type: ignore[assignment]


def resolve(ref: SecretRef, environment: Mapping[str, str], read_file: Callable[[str], bytes]) -> Secret:
    """The secret that `ref` names, from `environment` or through `read_file`.

    `read_file` takes a path, gives its bytes, and raises `OSError`. One trailing line end of a file is not
    part of its secret. An empty secret is a missing one.
    Raises: `secret_not_found`, `secret_unreadable`.
    """
    value = environment.get(ref.name, "") if ref.scheme == "env" else _file_text(ref, read_file)
    if not value:
        lacks = "is not set" if ref.scheme == "env" else "is not there"
        raise SECRET_NOT_FOUND.error(f"{_named(ref)} {lacks}, or is empty", scheme=ref.scheme, name=ref.name)
    if len(value) > SECRET_CHARACTERS_MAX:
        raise SECRET_UNREADABLE.error(
            f"{_named(ref)} is longer than {SECRET_CHARACTERS_MAX} characters", scheme=ref.scheme, name=ref.name
        )
    return Secret(value)


def _named(ref: SecretRef) -> str:
    """What a reference names, for people."""
    return f"the {'variable' if ref.scheme == 'env' else 'file'} {ref.name}"


def _file_text(ref: SecretRef, read_file: Callable[[str], bytes]) -> str:
    try:
        return read_file(ref.name).decode("utf-8").removesuffix("\n").removesuffix("\r")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError):
        # The cause may hold the content (a decoding error does), so it is not chained.
        raise SECRET_UNREADABLE.error(f"{_named(ref)} cannot be read", scheme=ref.scheme, name=ref.name) from None
