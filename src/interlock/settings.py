"""Settings: loads what the parts declare, from defaults, a file, the environment and arguments.

What it does: reads the sources in their order (the later wins), checks every value by the type and bounds of
its member, and gives each section as its frozen record. What it does not do: it declares no setting and
resolves no secret; a secret is a reference and stays one.

`config check` and `config explain` show them.

Rules: an unknown section or key is refused with the nearest name; a refused value is named by section, key
and bound and never repeated; `digest` is the SHA-256 of the canonical JSON of all values, so no setting is a
float.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta, Struct, inspect

from interlock.base.canonical import canonical_digest, parse
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.base.part import CallContext, Command, Effect, Part, SettingsSection
from interlock.base.secrets import SecretRef
from interlock.engine.offered import PlanSettings, missing_file
from interlock.journal.store_name import MEMORY
from interlock.surfaces.application import Application
from interlock.surfaces.client import explained
from interlock.surfaces.members import Kind, members_of

SETTING_UNKNOWN = ErrorCode(
    "setting_unknown", Category.INVALID, "Use a setting that docs/reference/settings.md lists, or remove it."
)
SETTING_INVALID = ErrorCode(
    "setting_invalid",
    Category.INVALID,
    "Set a value within the bounds that docs/reference/settings.md gives.",
)
SETTINGS_UNREADABLE = ErrorCode(
    "settings_unreadable", Category.INVALID, "Name a settings file that exists and can be read."
)
SETTINGS_NOT_TOML = ErrorCode("settings_not_toml", Category.INVALID, "Correct the TOML at the place named.")
SETTINGS_TOO_LARGE = ErrorCode("settings_too_large", Category.INVALID, "Name a settings file; this is not one.")
SETTING_UNSOUND = ErrorCode(
    "setting_unsound",
    Category.INVALID,
    "Correct the section that the message names in the part that declares it.",
)

ERRORS = (
    SETTING_UNKNOWN,
    SETTING_INVALID,
    SETTINGS_UNREADABLE,
    SETTINGS_NOT_TOML,
    SETTINGS_TOO_LARGE,
    SETTING_UNSOUND,
)

FILE_NAME = "interlock.toml"
FILE_BYTES_MAX = 1024 * 1024
FILE_VARIABLE = "INTERLOCK_CONFIG"
PREFIX = "INTERLOCK_"

_LINE = re.compile(r"at line (\d+)")

Record = TypeVar("Record", bound=Struct)


class Settings:
    """All sections of an application with their values; immutable. `sources` says where values are from, if given."""

    def __init__(self, records: Mapping[str, Struct], sources: Mapping[tuple[str, str], str] | None = None) -> None:
        self.records = MappingProxyType(dict(records))
        self._by_type = {type(record): record for record in records.values()}
        self.sources = MappingProxyType(dict(sources or {}))
        self.values = MappingProxyType(
            {name: msgspec.to_builtins(record, enc_hook=_reference_text) for name, record in records.items()}
        )
        self.digest = canonical_digest(dict(self.values))

    def section(self, record: type) -> Struct | None:
        """The section whose record is of this type, or None."""
        return self._by_type.get(record)

    def get(self, record: type[Record]) -> Record:
        """The section whose record is of this type; one that no part declares is a fault of the program."""
        return cast("Record", self._by_type[record])


def load(
    sections: Iterable[SettingsSection],
    *,
    config: Path | None = None,
    arguments: Mapping[str, Mapping[str, object]] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Settings:
    """The settings of an application with these sections.

    `config` names the file; without it `INTERLOCK_CONFIG` does, else `interlock.toml` of `folder` (by default
    the working directory) is read if it is there. Raises: `setting_unknown`, `setting_invalid`,
    `settings_unreadable`, `settings_not_toml`, `settings_too_large`; `setting_unsound` for a declaration that
    cannot be.
    """
    declared = _declared(sections)
    environ = os.environ if environ is None else environ
    values: dict[str, dict[str, object]] = {name: {} for name in declared}
    sources: dict[tuple[str, str], str] = {}
    for source, section, key, value in _given(declared, config, arguments, environ, folder or Path.cwd()):
        record = _known(declared, section, source, "section")
        _known(dict.fromkeys(record.__struct_encode_fields__), key, f"{source}, section [{section}]", "setting")
        values[section][key] = value
        sources[section, key] = source
    return Settings({name: _record(name, record, values[name]) for name, record in declared.items()}, sources)


def _declared(sections: Iterable[SettingsSection]) -> dict[str, type[Struct]]:
    declared: dict[str, type[Struct]] = {}
    for section in sections:
        if section.name in declared:
            raise SETTING_UNSOUND.error(f"the section [{section.name}] is declared twice")
        for field in _fields(section.record):
            if field.required or _holds_float(field.type):
                fault = "has no default" if field.required else "is a float"
                raise SETTING_UNSOUND.error(f"[{section.name}] {field.encode_name} {fault}")
        declared[section.name] = section.record
    return declared


def _fields(record: type[Struct]) -> tuple[inspect.Field, ...]:
    shape = inspect.type_info(record)
    return shape.fields if isinstance(shape, inspect.StructType) else ()


def _holds_float(shape: inspect.Type) -> bool:
    match shape:
        case inspect.FloatType():
            return True
        case inspect.Metadata(type=inner):
            return _holds_float(inner)
        case inspect.UnionType(types=options):
            return any(map(_holds_float, options))
        case inspect.ListType(item_type=item) | inspect.VarTupleType(item_type=item):
            return _holds_float(item)
        case _:
            return False


_Given = tuple[str, str, str, object]


def _given(
    declared: Mapping[str, type[Struct]],
    config: Path | None,
    arguments: Mapping[str, Mapping[str, object]],
    environ: Mapping[str, str],
    folder: Path,
) -> Iterator[_Given]:
    """Every value of any source as (source, section, key, value), in the order in which the later wins."""
    path = config or (Path(environ[FILE_VARIABLE]) if environ.get(FILE_VARIABLE) else None)
    if path is None and (folder / FILE_NAME).exists():
        path = folder / FILE_NAME
    if path is not None:
        yield from _from_file(path)
    yield from _from_environment(declared, environ)
    for section, members in arguments.items():
        for key, value in members.items():
            yield "an argument", section, key, value


def _from_file(path: Path) -> Iterator[_Given]:
    source = shown(path.name, 80)
    for section, members in _toml(path, source).items():
        if not isinstance(members, dict):
            raise SETTING_UNKNOWN.error(f"{source}: {shown(section)} stands outside of a section")
        for key, value in members.items():
            yield source, section, key, value


def _toml(path: Path, source: str) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except (OSError, ValueError) as fault:
        reason = fault.strerror if isinstance(fault, OSError) else "not a path"
        raise SETTINGS_UNREADABLE.error(f"{source} cannot be read: {reason}") from None
    if len(content) > FILE_BYTES_MAX:
        raise SETTINGS_TOO_LARGE.error(f"{source} has more than {FILE_BYTES_MAX} bytes", limit_bytes=FILE_BYTES_MAX)
    try:
        return tomllib.loads(content.decode("utf-8"))
    except UnicodeDecodeError as fault:
        line = content.count(b"\n", 0, fault.start) + 1
        raise SETTINGS_NOT_TOML.error(f"{source}: line {line} is not UTF-8", line=line) from None
    except tomllib.TOMLDecodeError as fault:
        place = _LINE.search(str(fault))
        raise SETTINGS_NOT_TOML.error(f"{source}: {fault}", line=int(place[1]) if place else None) from None
    except RecursionError:
        raise SETTINGS_NOT_TOML.error(f"{source}: nested too deep") from None


def _from_environment(declared: Mapping[str, type[Struct]], environ: Mapping[str, str]) -> Iterator[_Given]:
    """The variables `INTERLOCK_<SECTION>__<NAME>`; a value that is not plain is JSON."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or "__" not in variable:
            continue
        section, _, key = variable.removeprefix(PREFIX).lower().partition("__")
        yield variable, section, key, _plain(declared.get(section), section, key, environ[variable])


def _plain(record: type[Struct] | None, section: str, key: str, text: str) -> object:
    member = next((each for each in members_of(record) if each.name == key), None) if record else None
    if member is None or not (member.repeated or member.kind is Kind.JSON):
        return text
    try:
        return parse(text)
    except InterlockError as fault:
        raise _invalid(section, key, f"JSON is expected; {fault.message}") from None


def _known(names: Mapping[str, object], name: str, source: str, what: str) -> type[Struct]:
    if name not in names:
        raise SETTING_UNKNOWN.error(
            f"{source}: no {what} is called {shown(name)}{suggestion(name, names)}", name=shown(name)
        )
    return cast("type[Struct]", names[name])


def _record(section: str, record: type[Struct], values: Mapping[str, object]) -> Struct:
    try:
        return msgspec.convert(values, record, strict=False, dec_hook=_secret_reference)
    except msgspec.ValidationError as fault:
        key, reason = explained(str(fault), members_of(record))
        raise _invalid(section, key, reason) from None


def _reference_text(value: object) -> str:
    if not isinstance(value, SecretRef):
        raise NotImplementedError(type(value).__name__)
    return f"{value.scheme}:{value.name}"


def _secret_reference(kind: type, text: object) -> object:
    """Decode the one type that is ours: a reference to a secret stands as its text in every source."""
    if kind is not SecretRef:
        raise NotImplementedError(kind.__name__)
    try:
        return SecretRef(str(text))
    except InterlockError as fault:
        raise ValueError(f"{fault.message}; {fault.advice}") from None


def _invalid(section: str, key: str, reason: str) -> InterlockError:
    return SETTING_INVALID.error(f"[{section}] {key}: {reason}", section=section, key=key)


class ConfigInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings that this line has; the command line names another file with --config."""

    config: Annotated[str | None, Meta(description="The settings file; default: the usual places.")] = None


class ConfigCheck(Struct, frozen=True):
    """That all settings are sound; where one is not, the line ends with its error instead."""

    sections: int
    given: int
    digest: str


class SettingRow(Struct, frozen=True):
    """A setting, its value, and where that is from: `default`, a file, a variable, an argument."""

    setting: str
    value: Any
    source: str
    meaning: str


class ConfigReport(Struct, frozen=True):
    """Every setting."""

    settings: list[SettingRow]


def _loaded(ctx: CallContext, given: ConfigInput) -> Settings:
    parts = ctx.services.get(Application).parts()
    sections = [section for part in parts for section in part.settings]
    return load(sections, config=None if given.config is None else Path(given.config))


async def _check(ctx: CallContext, given: ConfigInput) -> ConfigCheck:
    """Raises: as loading and opening do, `secret_…`, `setting_invalid`."""
    from interlock.journal.ingest import Ingest

    settings = _loaded(ctx, given)
    application, config = ctx.services.get(Application), None if given.config is None else Path(given.config)
    async with application.open(store=MEMORY, config=config, create=True) as opened:  # reads files that settings name
        opened.get(Ingest).check_secrets()
        if missing := missing_file(settings.get(PlanSettings)):
            raise _invalid("plans", f"offered.{shown(missing[0])}", f"there is no file {shown(missing[1], 200)}")
        return ConfigCheck(len(settings.values), len(settings.sources), settings.digest)


async def _explain(ctx: CallContext, given: ConfigInput) -> ConfigReport:
    settings = _loaded(ctx, given)
    rows = [
        SettingRow(
            f"{section}.{member.name}",
            settings.values[section][member.name],
            settings.sources.get((section, member.name), "default"),
            member.description,
        )
        for section, record in settings.records.items()
        for member in members_of(type(record))
    ]
    return ConfigReport(rows)


COMMANDS = (
    Command(
        "config",
        "check",
        ConfigInput,
        ConfigCheck,
        _check,
        "Check all settings, with the files that they name.",
        "interlock config check",
        "config.read",
        Effect.READS,
        machine=True,
    ),
    Command(
        "config",
        "explain",
        ConfigInput,
        ConfigReport,
        _explain,
        "Show every setting with its value, and where that is from.",
        "interlock config explain",
        "config.read",
        Effect.READS,
        machine=True,
    ),
)

PART = Part(name="settings", errors=ERRORS, commands=COMMANDS)
