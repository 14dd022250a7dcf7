"""Builds the command line from the catalogue.

What it does: one generic builder turns the members of any input record into the options of a verb; nouns
become groups of verbs. Parsing a line gives an `Invocation`: which command, with which texts, on which store.

What it does not do: it has no function for any one verb, reads no file, and validates no value beyond its
form.

Rules: the verbs of a noun are built only when the line names that noun, so that starting stays cheap however
long the catalogue grows; what the line does not give is left out, so the record's own defaults hold.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from keyword import iskeyword
from pathlib import Path
from typing import Annotated

from cyclopts import App, Group, Parameter, Token

import interlock
from interlock.base.ids import shown
from interlock.base.part import Command, Effect
from interlock.surfaces.catalogue import Catalogue, takes_option
from interlock.surfaces.cli import completers
from interlock.surfaces.cli.common import global_options, text_of
from interlock.surfaces.cli.values import described, takes_pairs
from interlock.surfaces.members import Kind, Member, default_text, members_of

_OWN = Group("Options", sort_key=1)
_ARGUMENTS = Group("Arguments", sort_key=0)
_NOUNS = Group("Nouns", sort_key=0)
_MACHINE = Group("This machine", sort_key=1)
_VERBS = {
    Effect.STARTS: Group("Start and drive", sort_key=0),
    Effect.READS: Group("Look", sort_key=1),
    Effect.CHANGES: Group("Tell and change", sort_key=2),
}
_ABOUT = Group("About", sort_key=3)

_METAVARS = {Kind.TEXT: "TEXT", Kind.INTEGER: "N", Kind.CHOICE: "CHOICE", Kind.JSON: "JSON|@FILE|-"}
_OWN_METAVARS = {
    "step": "STEP",
    "from": "STEP",
    "absorb": "KEY",
    "again": "KEY",
    "run_id": "UUID",
    "attribute": "KEY=VALUE",
}
_PATHS = {
    *("config", "documents", "file", "folder", "input_file", "key", "out", "path", "plan", "project"),
    *("sign", "signature", "source", "store", "target", "trust"),
}
"""Members of text that name a file or a folder, or may: shells complete them as one."""

_RUNS = {"run", "a", "b", "parent"}
"""Members that name a run: shells complete them from the store."""

_ROLES = {"role"}
"""Members that name a role: shells complete them from the settings."""


_INTEGER_DIGITS_MAX = 20


@dataclass(frozen=True, slots=True)
class Invocation:
    """One parsed command line: `given` holds the members that were given, as texts, integers and flags.

    `server` and `profile` name a server, where the verb can be asked of one.
    """

    command: Command
    given: Mapping[str, object]
    store: str | None
    config: str | None
    json: bool
    command_id: str | None = None
    acting_as: str | None = None
    server: str | None = None
    profile: str | None = None


def build(catalogue: Catalogue, only: str | None = None) -> App:
    """The command line of `catalogue`; with `only`, the verbs of that noun and the names of the others.

    Calling the result with tokens gives an `Invocation`, or None after it has printed help or the version.
    """
    app = App(
        name="interlock",
        help="Runs operations that must not go wrong, and proves what happened.",
        version=interlock.__version__,
        help_format="plaintext",
        help_epilogue="Add --help to any noun or verb to see more, with an example.",
        group_arguments=_ARGUMENTS,
        group_parameters=_OWN,
        group_commands=_ABOUT,
    )
    for noun in catalogue.nouns():
        verbs = catalogue.verbs(noun)
        words = "" if only == noun else _sentence(verbs)  # its own help lists them with what they do
        group = App(name=noun, help=words, group=_NOUNS, version_flags=[], help_epilogue="")
        app.command(group)
        if only in {None, noun}:
            for command in verbs:
                group.command(_verb(command))
    for command in catalogue.verbs(""):
        app.command(_verb(command))
    return app


def _sentence(verbs: Sequence[Command]) -> str:
    return ", ".join(command.verb for command in verbs)


def _verb(command: Command) -> App:
    return App(
        name=command.verb,
        help=command.summary,
        usage=_usage(command),
        help_epilogue=f"Example: {command.example}",
        default_command=_reader(command),
        version_flags=[],
        group=_VERBS[command.effect] if command.noun else _MACHINE,
    )


def _usage(command: Command) -> str:
    """The line in short: what stands by its place, in brackets where it may be left out."""
    placed = {member.name: member for member in members_of(command.input)}
    words = [
        name if placed[each].required and placed[each].kind is not Kind.JSON else f"[{name}]"
        for each in command.positional
        for name in (_name(placed[each]).upper(),)
    ]
    return " ".join(["Usage: interlock", *filter(None, [command.noun, command.verb]), *words, "[OPTIONS]"])


def _reader(command: Command) -> Callable[..., Invocation]:
    """A function with the command's members and the global options as its signature."""
    own = [member for member in members_of(command.input) if not takes_option(command, member.name)]
    placed = sorted(
        (member for member in own if member.name in command.positional),
        key=lambda member: command.positional.index(member.name),
    )
    named = [member for member in own if member.name not in command.positional]
    common = [*([_COMMAND_ID] if takes_command_id(command) else []), *global_options(command)]
    signature = inspect.Signature(
        [_positional(command, member) for member in placed] + [_option(m) for m in named] + common
    )

    def read(*args: object, **kwargs: object) -> Invocation:
        bound = signature.bind(*args, **kwargs)
        bound.apply_defaults()
        values = bound.arguments
        return Invocation(
            command=command,
            given={m.name: values[_argument(m)] for m in own if values[_argument(m)] is not None},
            store=values.get("store") or None,
            config=values.get("config") or None,
            json=values["json"],
            command_id=values.get("command_id"),
            acting_as=values.get("acting_as") or None,
            server=values.get("server") or None,
            profile=values.get("profile") or None,
        )

    read.__signature__ = signature  # type: ignore[attr-defined]
    read.__doc__ = command.summary
    return read


class _Unchecked:
    """Where a plug-in has loaded pydantic, it would hold what our converters give against the types of the texts."""

    def __get_pydantic_core_schema__(self, _source: object, _handler: object) -> dict[str, str]:
        return {"type": "any"}


_UNCHECKED = _Unchecked()


def _positional(command: Command, member: Member) -> inspect.Parameter:
    # A document that must be given and is not comes from standard input, as filters have always done.
    reads_input = member.kind is Kind.JSON and member.required and member.name == command.positional[-1]
    optional = reads_input or not member.required
    return inspect.Parameter(
        _argument(member),
        inspect.Parameter.POSITIONAL_ONLY,
        default="-" if reads_input else None if optional else inspect.Parameter.empty,
        annotation=Annotated[
            _type(member),
            _parameter(member, _name(member).upper(), "-" if reads_input else default_text(member)),
            _UNCHECKED,
        ],
    )


def _option(member: Member) -> inspect.Parameter:
    return inspect.Parameter(
        _argument(member),
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if member.required else None,
        annotation=Annotated[_type(member), _parameter(member, f"--{_name(member)}", default_text(member)), _UNCHECKED],
    )


def _argument(member: Member) -> str:
    """The member's name as a parameter of a function: no word of the language, such as `from`."""
    return f"{member.name}_" if iskeyword(member.name) else member.name


def _name(member: Member) -> str:
    return member.name.replace("_", "-")


def _type(member: Member) -> object:
    text = Path if _is_path(member) else str  # what shells complete follows from the type; the value stays a text
    base: type = {Kind.FLAG: bool, Kind.INTEGER: int}.get(member.kind, text)
    whole = list[base] if member.repeated or takes_pairs(member) else base  # type: ignore[valid-type]
    return whole if member.required else whole | None


def _is_path(member: Member) -> bool:
    return member.kind is Kind.TEXT and member.name in _PATHS


def _parameter(member: Member, name: str, default: str) -> Parameter:
    bounds = f" ({member.bounds})" if member.bounds and member.kind is Kind.INTEGER else ""
    return Parameter(
        name=name,
        help=described(member) + bounds,
        metavar=_metavar(member),
        show_default=default or False,
        choices=member.choices or None,
        converter=_converter(member),
        completer=_completer(member),
        negative=None if member.kind is Kind.FLAG and member.default is not False else (),
        allow_leading_hyphen=member.kind is Kind.JSON,  # `-` is standard input
        json_list=False,
    )


def _completer(member: Member) -> completers.Completer | None:
    """What completes the values of a member, by what they name."""
    if member.kind is not Kind.TEXT:
        return None
    return completers.runs if member.name in _RUNS else completers.roles if member.name in _ROLES else None


def _metavar(member: Member) -> str | None:
    """The word for a value: of what it names, where that says more than its kind."""
    if member.kind is Kind.FLAG:
        return None
    return _OWN_METAVARS.get(member.name, _METAVARS[member.kind])


_COMMAND_ID = inspect.Parameter(
    "command_id",
    inspect.Parameter.KEYWORD_ONLY,
    default=None,
    annotation=Annotated[
        str | None,
        Parameter(
            name="--command-id",
            metavar="TEXT",
            help="An id of your own: the same line under it takes effect once, however often it is sent.",
            show_default=False,
        ),
    ],
)


def takes_command_id(command: Command) -> bool:
    """Whether a line may name its command: what changes something, and is recorded under that id."""
    return command.effect is Effect.CHANGES and command.idempotent and not command.machine


def _converter(member: Member) -> Callable[[object, Sequence[Token]], object] | None:
    match member.kind, member.repeated:
        case Kind.INTEGER, True:
            return lambda _hint, tokens: [_integer(token.value, member.bounds) for token in tokens]
        case Kind.INTEGER, False:
            return lambda _hint, tokens: _integer(tokens[0].value, member.bounds)
        case Kind.TEXT, True if _is_path(member):
            return lambda _hint, tokens: [token.value for token in tokens]
        case Kind.TEXT, False if _is_path(member):
            return text_of
        case Kind.JSON, _:
            return lambda _hint, tokens: _json_texts(tokens, several=takes_pairs(member))
        case _:
            return None


def _integer(text: str, bounds: str) -> int:
    """A whole number in decimal digits only: no `1_000`, no `0x10`, no `1.5`; and none that takes long to read."""
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("a whole number is expected")
    if len(digits) > _INTEGER_DIGITS_MAX:
        raise ValueError(f"the number is out of bounds; expected: {bounds or f'{_INTEGER_DIGITS_MAX} digits at most'}")
    return int(text)


def _json_texts(tokens: Sequence[Token], *, several: bool) -> str | list[str]:
    """The text of JSON; several texts where a member is given in pieces of KEY=VALUE."""
    texts = [_json_text(token.value) for token in tokens]
    return texts if several and len(texts) > 1 else texts[0]


def _json_text(text: str) -> str:
    """The text as it stands. It may begin with a hyphen; no JSON begins with two, which is a wrong option."""
    if text.startswith("--"):
        raise ValueError(f"JSON is expected, not the option {shown(text.partition('=')[0])}")
    return text
