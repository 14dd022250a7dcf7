"""What is wrong with a command line, in our words.

What it does: turns the parser's refusals into `usage_invalid` errors that name the option and suggest the
nearest one. What it does not do: it never repeats a value that was typed, since that may be a secret or a
whole document.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import chain

from cyclopts import exceptions as parser

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.nearest import suggestion
from interlock.surfaces.catalogue import SERVER_OPTIONS, Catalogue
from interlock.surfaces.cli.presentation import presentation_of
from interlock.surfaces.errors import USAGE_INVALID


def usage_error(fault: parser.CycloptsError, catalogue: Catalogue) -> InterlockError:
    """The `usage_invalid` error that says what the parser refused."""
    verb = " ".join(["interlock", *(fault.command_chain or ())])
    return USAGE_INVALID.error(_message(fault, verb, catalogue), command=verb)


def _message(fault: parser.CycloptsError, verb: str, catalogue: Catalogue) -> str:
    match fault:
        case parser.UnknownOptionError():
            typed = (fault.token.keyword or fault.token.value).partition("=")[0]
            if typed == "--as":
                return f"`{verb}` is for the user of this machine alone and takes no --as"
            if typed.removeprefix("--") in SERVER_OPTIONS:
                return f"`{verb}` works on this machine, and no server can be asked for it: it has no option {typed}"
            known = chain.from_iterable(argument.names for argument in fault.argument_collection if argument.parse)
            return f"`{verb}` has no option {shown(typed)}{suggestion(typed, known)}"
        case parser.UnknownCommandError():
            typed = (fault.unused_tokens or [""])[0]
            if " " not in verb and (meant := _with_noun(typed, catalogue)):
                return f"`{verb}` has no verb {shown(typed)}; did you mean `{verb} {meant} {typed}`?"
            return _unknown_word(typed, [] if fault.app is None else list(fault.app), verb)
        case parser.UnusedCliTokensError():
            count = len(fault.unused_tokens or [])
            return f"`{verb}` takes fewer arguments: {count} too many{_meant(fault.command_chain or ())}"
        case parser.MissingArgumentError():
            return f"`{verb}` needs {_name(fault)}" if not fault.keyword else f"{fault.keyword} needs a value"
        case parser.RepeatArgumentError():
            return f"{fault.token.keyword or _name(fault)} is given more than once"
        case parser.CoercionError() | parser.ValidationError():
            return f"{_name(fault)}: {_expected(fault)}"
        case _:
            return f"`{verb}` cannot be read as it stands"


def _meant(chain: Sequence[str]) -> str:
    """What the noun has to say to whoever gives its verb too many arguments."""
    noun, verb = (*chain, "", "")[:2]
    words = presentation_of(noun).others.get(verb) if verb else None
    return f"; {words}" if words else ""


def _with_noun(verb: str, catalogue: Catalogue) -> str | None:
    """The noun that has this verb, where the line left it out."""
    return next((noun for noun in catalogue.nouns() if verb in {each.verb for each in catalogue.verbs(noun)}), None)


def _unknown_word(typed: str, names: Iterable[str], verb: str) -> str:
    known = [name for name in names if not name.startswith("-")]
    kind = "verb" if " " in verb else "noun or verb"
    return f"`{verb}` has no {kind} {shown(typed)}{suggestion(typed, known) or '; it has: ' + ', '.join(known)}"


def _name(fault: parser.CycloptsError) -> str:
    return fault.argument.name if fault.argument is not None else "an argument"


def _expected(fault: parser.CoercionError | parser.ValidationError) -> str:
    """What our own converter says, else the choices; the parser's words would repeat the value."""
    if isinstance(fault.__cause__, ValueError):
        return str(fault.__cause__)
    choices = fault.argument.get_choices(force=True) if fault.argument is not None else None
    return f"one of {', '.join(choices)} is expected" if choices else "it takes no such value"
