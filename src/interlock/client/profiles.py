"""Profiles: servers under a name, in a file of the user.

What it does: finds the file, reads it, and gives the profile of a name, or the one that the file calls the default.
What it does not do: it writes nothing, and resolves a token only when its profile is used.

Rules: the file names where a token is and never holds one; an unknown key is refused with the nearest name; a refused
value is named by its place and not repeated; a relative `ca` is seen from the file.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.base.secrets import Secret, SecretRef, resolve
from interlock.client.errors import PROFILE_TOKEN_LITERAL, PROFILE_UNKNOWN, PROFILES_INVALID, PROFILES_UNREADABLE
from interlock.surfaces.client import explained
from interlock.surfaces.members import members_of

FILE_BYTES_MAX: Final = 256 * 1024
PROFILES_MAX: Final = 200
TOKEN_FILE_BYTES_MAX: Final = 64 * 1024
_FOLDER: Final = "interlock"
_FILE: Final = "profiles.toml"
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


class _Entry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the file, as it is written."""

    server: Annotated[str, Meta(min_length=1, max_length=2_000)]
    token: Annotated[str, Meta(min_length=1, max_length=2_000)] | None = None
    ca: Annotated[str, Meta(min_length=1, max_length=4_096)] | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A server under a name; `token` says where its token is."""

    name: str
    server: str
    token: SecretRef | None
    ca: Path | None

    def secret(self, environ: Mapping[str, str]) -> Secret | None:
        """Its token. Raises: `secret_not_found`, `secret_unreadable`."""
        return None if self.token is None else resolve(self.token, environ, _read_token)


@dataclass(frozen=True, slots=True)
class Profiles:
    """Every profile of a file, and the name of its default one."""

    path: Path
    by_name: Mapping[str, Profile]
    default: str | None

    def get(self, name: str) -> Profile:
        """The profile of a name. Raises: `profile_unknown`, with the nearest one."""
        found = self.by_name.get(name)
        if found is None:
            near = suggestion(name, self.by_name)
            raise PROFILE_UNKNOWN.error(f"{self.path} has no profile {shown(name)}{near}", profile=shown(name))
        return found

    def token_of(self, name: str | None) -> SecretRef | None:
        """Where the token of a profile is, or of the default one; None where it has none, or there is no profile."""
        found = self.by_name.get(name or self.default or "")
        return None if found is None else found.token


def profiles_path(environ: Mapping[str, str]) -> Path | None:
    """Where the file of this user is: `$XDG_CONFIG_HOME`, else `~/.config`; None for a user without a home."""
    base = environ.get("XDG_CONFIG_HOME", "")
    if base.startswith("/"):
        return Path(base, _FOLDER, _FILE)
    home = environ.get("HOME", "")
    return Path(home, ".config", _FOLDER, _FILE) if home.startswith("/") else None


def load_profiles(environ: Mapping[str, str]) -> Profiles:
    """The profiles of this user; none where there is no file. Raises: `profile…`."""
    path = profiles_path(environ)
    if path is None:
        return Profiles(Path(_FILE), {}, None)
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except FileNotFoundError:
        return Profiles(path, {}, None)
    except OSError as fault:
        raise PROFILES_UNREADABLE.error(f"{path} cannot be read: {fault.strerror}") from None
    return parse_profiles(content, path)


def parse_profiles(content: bytes, path: Path) -> Profiles:
    """The profiles that a file says. Raises: `profiles_invalid`, `profile_token_literal`, `profile_unknown`."""
    found = _table(content, path)
    for key in found:
        if key not in {"profiles", "default"}:
            raise _invalid(path, shown(key), f"it is not known{suggestion(key, ('profiles', 'default'))}")
    tables, default = found.get("profiles", {}), found.get("default")
    if not isinstance(tables, dict) or len(tables) > PROFILES_MAX:
        raise _invalid(path, "profiles", f"tables are expected, {PROFILES_MAX} at most")
    if default is not None and not isinstance(default, str):
        raise _invalid(path, "default", "the name of a profile is expected")
    profiles = Profiles(path, {name: _profile(path, name, table) for name, table in tables.items()}, default)
    if default is not None:
        profiles.get(default)
    return profiles


def _table(content: bytes, path: Path) -> dict[str, Any]:
    if len(content) > FILE_BYTES_MAX:
        raise _invalid(path, "file", f"it has more than {FILE_BYTES_MAX} bytes")
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise _invalid(path, "file", "it is not UTF-8") from None
    except tomllib.TOMLDecodeError as fault:
        line = re.search(r"at line \d+", str(fault))  # the rest may repeat what stands there
        raise _invalid(path, "file", f"it is not TOML{f', {line[0]}' if line else ''}") from None
    except RecursionError:
        raise _invalid(path, "file", "it is nested too deeply") from None


def _profile(path: Path, name: str, table: Any) -> Profile:
    place = f"profiles.{shown(name)}"
    if _NAME.fullmatch(name) is None:
        raise _invalid(path, place, "a name has letters, digits, `.`, `_` and `-`, 63 at most")
    if not isinstance(table, dict):
        raise _invalid(path, place, "a table is expected")
    members = members_of(_Entry)
    for key in table:
        if key not in (names := [member.name for member in members]):
            raise _invalid(path, f"{place}.{shown(key)}", f"it is not known{suggestion(key, names)}")
    try:
        entry = msgspec.convert(table, _Entry)
    except msgspec.ValidationError as fault:
        member, reason = explained(str(fault), members)
        raise _invalid(path, f"{place}.{member}", reason) from None
    ca = None if entry.ca is None else path.parent / entry.ca
    return Profile(name, entry.server, _reference(path, place, entry.token), ca)


def _reference(path: Path, place: str, text: str | None) -> SecretRef | None:
    if text is None:
        return None
    try:
        return SecretRef(text)
    except InterlockError:
        raise PROFILE_TOKEN_LITERAL.error(
            f"{path}: {place}.token names no variable and no file", place=f"{place}.token"
        ) from None


def _read_token(name: str) -> bytes:
    with Path(name).open("rb") as file:
        return file.read(TOKEN_FILE_BYTES_MAX + 1)


def _invalid(path: Path, place: str, reason: str) -> InterlockError:
    return PROFILES_INVALID.error(f"{path}: {place}: {reason}", place=place)
