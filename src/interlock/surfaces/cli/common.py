"""The options of every verb: the store, the settings, the server, and the form of the answer.

What it does: gives their parameters, of a verb those that mean something to it. What it does not do: it reads no value.

Rule: what the environment says of a server is for verbs that a server can be asked for; a verb about the machine or
about files of it has no such option, so that nothing of it can go elsewhere, unless it carries them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Group, Parameter, Token

from interlock.base.part import Command
from interlock.surfaces.catalogue import GLOBAL_OPTIONS, MACHINE_OPTIONS, SERVER_OPTIONS, STORE_OPTIONS
from interlock.surfaces.cli import completers
from interlock.surfaces.cli.variables import (
    AS_VARIABLE,
    CONFIG_VARIABLE,
    PROFILE_VARIABLE,
    SERVER_VARIABLE,
    STORE_VARIABLE,
)

_GLOBAL = Group("Options of every verb", sort_key=2)
_COMMON = Parameter(group=_GLOBAL, show_default=False)
_ON_LINE = Parameter(env_var=())
"""What works on this machine alone is not sent away by a variable."""


def text_of(_hint: object, tokens: Sequence[Token]) -> str:
    """The text as it stands, whatever a shell completes it as."""
    return tokens[0].value


_OPTIONS: Final = (
    (
        "store",
        Path | None,
        Parameter(
            converter=text_of,
            name="--store",
            metavar="PATH",
            env_var=STORE_VARIABLE,
            help="The store: a file, or postgresql://…; by default the nearest .interlock/store.db upwards.",
        ),
    ),
    (
        "config",
        Path | None,
        Parameter(
            converter=text_of,
            name="--config",
            metavar="PATH",
            env_var=CONFIG_VARIABLE,
            help="The settings file; by default interlock.toml of the working directory, if any.",
        ),
    ),
    (
        "as",
        str | None,
        Parameter(
            name="--as",
            metavar="NAME",
            env_var=AS_VARIABLE,
            help="Act as a principal that the settings declare, with its roles, and not as yourself.",
            completer=completers.principals,
        ),
    ),
    (
        "server",
        str | None,
        Parameter(
            name="--server",
            metavar="URL",
            env_var=SERVER_VARIABLE,
            help="Ask this server instead of a store; INTERLOCK_TOKEN is its token.",
        ),
    ),
    (
        "profile",
        str | None,
        Parameter(
            name="--profile",
            metavar="NAME",
            env_var=PROFILE_VARIABLE,
            help="Ask the server that your profiles.toml has under this name.",
            completer=completers.profiles,
        ),
    ),
    ("json", bool, Parameter(name="--json", negative=(), help="Answer with one JSON object.")),
)


def global_options(command: Command) -> Iterator[inspect.Parameter]:
    """The options of every verb, without those that mean nothing to this one."""
    meant = set(_meant(command))
    for name, hint, parameter in _OPTIONS:
        if name in meant:
            yield inspect.Parameter(
                "acting_as" if name == "as" else name,  # a word of the language
                inspect.Parameter.KEYWORD_ONLY,
                default=False if hint is bool else None,
                annotation=Annotated[
                    hint, _COMMON, parameter, *([_ON_LINE] if command.machine and name in SERVER_OPTIONS else [])
                ],
            )


def _meant(command: Command) -> Sequence[str]:
    if command.machine:
        own = [name for name in command.input.__struct_encode_fields__ if name in MACHINE_OPTIONS]
        return ["json", *own, *(SERVER_OPTIONS if command.carries else ())]
    return STORE_OPTIONS if command.local and not command.carries else GLOBAL_OPTIONS
