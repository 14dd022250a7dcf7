"""The example of a command as a program gives it: made of the command line that every command declares.

What it does: reads the example as the command line reads it. What it does not do: it opens no file that an example
names; a member whose value stands in one is left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from interlock.base.errors import InterlockError
from interlock.base.part import Command
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.values import read_values

if TYPE_CHECKING:
    from cyclopts import App

_PIPES = {">", "|"}


class Examples:
    """The examples of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._lines: dict[str, App] = {}

    def of(self, command: Command) -> Mapping[str, Any]:
        """The input that a command's example gives."""
        words = takewhile(lambda word: word not in _PIPES, shlex.split(command.example))
        tokens = list(words)[1:]
        invocation = self._line(command.noun)(
            tokens, exit_on_error=False, print_error=False, result_action="return_value"
        )
        given = {name: value for name, value in invocation.given.items() if not _is_file(value)}
        try:
            return read_values(command, given)
        except InterlockError:
            return {}

    def _line(self, noun: str) -> App:
        """The command line of a noun, which takes a tenth of a second to make."""
        from interlock.surfaces.cli.build import build

        if noun not in self._lines:
            self._lines[noun] = build(self._catalogue, only=noun)
        return self._lines[noun]


def _is_file(value: object) -> bool:
    return isinstance(value, str) and (value == "-" or value.startswith("@"))
