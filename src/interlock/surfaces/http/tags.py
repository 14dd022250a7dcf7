"""Tags of what is read, and what is expected by them: `ETag`, `If-None-Match` and `If-Match`.

What it does: makes the tag of an output, says whether somebody has it already, and reads the version that a change is
for out of a tag. What it does not do: it compares no version; the command does, where it takes effect.

Rules:
- where an output has an integer member `version`, its tag is that version and the digest of the answer; else it is the
  digest alone, which can be asked for again, and not be expected;
- what expects a version has a member `expect_version`; for anything else `If-Match` is refused, not passed over;
- a tag that no answer of ours ever had matches nothing, as a version that has gone matches nothing; that is said last,
  as HTTP has it: after who asks, what they may, and the form of what they ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct
from starlette.requests import Request

from interlock.base.canonical import digest
from interlock.base.part import Command
from interlock.surfaces.errors import INPUT_INVALID
from interlock.surfaces.http.routes import Route, collection_of
from interlock.surfaces.members import Kind, members_of

IF_MATCH: Final = "If-Match"
VERSION: Final = "version"
EXPECT_VERSION: Final = "expect_version"
ETAG_CHARACTERS: Final = 32
NEVER: Final = 10**15
"""A version that nothing has: more than the digits of a tag can say."""

_OURS: Final = re.compile(rf'"(0|[1-9][0-9]{{0,14}})(?:-[0-9a-f]{{{ETAG_CHARACTERS}}})?"')
_TAG: Final = r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"'
_ONE: Final = re.compile(_TAG)
_SEVERAL: Final = re.compile(rf"{_TAG}(?:[ \t]*,[ \t]*{_TAG})+")


def has_version(record: type[Struct]) -> bool:
    """Whether what is read says which version it is."""
    return any(each.name == VERSION and each.kind is Kind.INTEGER and not each.repeated for each in members_of(record))


def expects_version(command: Command) -> bool:
    """Whether a change may be for one version alone."""
    return any(each.name == EXPECT_VERSION for each in members_of(command.input))


def versioned(routes: Iterable[Route]) -> list[str]:
    """The collections whose things have a version that a change may name, in order."""
    return sorted({collection_of(route.command) for route in routes if expects_version(route.command)})


def tag_of(output: Struct, content: bytes) -> str:
    """The `ETag` of an output, and of the bytes that it is sent as."""
    found = digest(content)[:ETAG_CHARACTERS]
    return f'"{getattr(output, VERSION)}-{found}"' if has_version(type(output)) else f'"{found}"'


def is_known(request: Request, tag: str) -> bool:
    """Whether who asks has what has this tag: `If-None-Match` names it, or anything."""
    known = [each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")]
    return tag in known or known == ["*"]


def expected(
    command: Command, given: Mapping[str, Any], request: Request, collections: Iterable[str] = ()
) -> dict[str, int]:
    """The member that `If-Match` fills: none where it is absent, or `*`. `collections` are those that have versions.

    A tag that no version has fills it with one that there never is. So the command refuses it as it does any other, and
    whoever may not do it, or asks for it in the wrong form, is told that. Raises: `input_invalid`.
    """
    texts = request.headers.getlist(IF_MATCH)
    if not texts:
        return {}
    if not expects_version(command):
        raise _refused(f"nothing here has a version; what has one: {', '.join(collections) or 'nothing'}")
    if EXPECT_VERSION in given:
        raise _refused(f"`{EXPECT_VERSION}` says already which version is expected")
    text = texts[0].strip(" \t")
    if len(texts) > 1 or _SEVERAL.fullmatch(text):
        raise _refused("one tag is expected")
    if text == "*":
        return {}
    if not _ONE.fullmatch(text):
        raise _refused("a tag in quotes is expected, as `ETag` gave it, or *")
    ours = _OURS.fullmatch(text)
    return {EXPECT_VERSION: NEVER if ours is None else int(ours[1])}


def refuse_expected(request: Request) -> None:
    """Refuse `If-Match` where nothing has a version. Raises: `input_invalid`."""
    if IF_MATCH in request.headers:
        raise _refused("nothing here has a version")


def _refused(why: str) -> Exception:
    return INPUT_INVALID.error(f"`{IF_MATCH}`: {why}", place=IF_MATCH)
