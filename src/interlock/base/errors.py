"""The one error tree.

What it does: declares `ErrorCode`, the registered kind of an error, and `InterlockError` with one subclass for each
category, so that callers catch by category and programs test the stable `code`.

What it does not do: it knows no transport. Exit codes and HTTP statuses are derived from the category by surfaces.

Rules: a code is a constant declared once and listed by a part; a message is safe to show and to store: it never
holds a secret or raw input; every code says what to do next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

Detail = str | int | bool | None | list[str] | list[int]


class Category(StrEnum):
    """What kind of trouble it is; decides the exit code and whether asking again can help."""

    FAILED = "failed"
    INVALID = "invalid"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    REFUSED = "refused"
    OVERLOADED = "overloaded"
    CORRUPT = "corrupt"
    STORAGE = "storage"
    UNAVAILABLE = "unavailable"


class InterlockError(Exception):
    """Base of every error that the product raises on purpose.

    Attributes: `code` (stable), `category`, `retryable` (whether the same call may succeed later), `message`
    (safe), `details` (small, safe values), `advice` (what to do next: that of its code, unless this error knows more).
    """

    def __init__(
        self, kind: ErrorCode, message: str, details: Mapping[str, Detail] | None = None, advice: str | None = None
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.details: dict[str, Detail] = dict(details or {})
        self._advice = advice

    @property
    def code(self) -> str:
        """The stable code, such as `run_not_found`."""
        return self.kind.code

    @property
    def category(self) -> Category:
        """The category of the code."""
        return self.kind.category

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed later without a change by the caller."""
        return self.kind.retryable

    @property
    def advice(self) -> str:
        """What to do next."""
        return self.kind.advice if self._advice is None else self._advice

    def advising(self, advice: str) -> InterlockError:
        """The same error with advice that names what it is about."""
        return type(self)(self.kind, self.message, self.details, advice)

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"

    def __reduce__(self) -> tuple[type[InterlockError], tuple[ErrorCode, str, dict[str, Detail], str | None]]:
        return type(self), (self.kind, self.message, self.details, self._advice)


class Failed(InterlockError):
    """Something was tried and did not succeed."""


class Invalid(InterlockError):
    """Input that can never be accepted as it is."""


class NotFound(InterlockError):
    """A named thing does not exist."""


class Conflict(InterlockError):
    """It clashes with what is already recorded; a moved head is one."""


class Refused(InterlockError):
    """A policy, permission or rule says no."""


class RateLimited(InterlockError):
    """A bounded queue is full; `details["retry_after_ms"]` says when to ask again."""


class Corruption(InterlockError):
    """Stored bytes are not what was written."""


class StorageFailure(InterlockError):
    """The store could not do it, or nobody knows whether it did (`outcome_unknown`)."""


class Unavailable(InterlockError):
    """Something that is needed is not here now."""


_CLASS_OF: dict[Category, type[InterlockError]] = {
    Category.FAILED: Failed,
    Category.INVALID: Invalid,
    Category.NOT_FOUND: NotFound,
    Category.CONFLICT: Conflict,
    Category.REFUSED: Refused,
    Category.OVERLOADED: RateLimited,
    Category.CORRUPT: Corruption,
    Category.STORAGE: StorageFailure,
    Category.UNAVAILABLE: Unavailable,
}


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """A registered kind of error: stable `code`, `category`, `advice` (what to do next), `retryable`."""

    code: str
    category: Category
    advice: str
    retryable: bool = False

    def error(self, message: str, **details: Detail) -> InterlockError:
        """Return (not raise) an error of this code, of the class of its category."""
        return _CLASS_OF[self.category](self, message, details)
