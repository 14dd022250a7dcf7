"""The example of a command as a program gives it: made of the command line that every command declares.

What it does: reads the example as the command line reads it. What it does not do: it opens no file that an example
names; a member whose value stands in one is left out.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from itertools import takewhile
from typing import Any

from interlock.base.errors import InterlockError
from interlock.base.part import Command
from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.values import read_values

_PIPES = {">", "|"}


class Examples:
    """The examples of a catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def of(self, command: Command) -> Mapping[str, Any]:
        """The input that a command's example gives."""
        from interlock.surfaces.cli.build import build

        words = takewhile(lambda word: word not in _PIPES, shlex.split(command.example))
        tokens = list(words)[1:]
        app = build(self._catalogue, only=command.noun)
        invocation = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        given = {name: value for name, value in invocation.given.items() if not _is_file(value)}
        try:
            return read_values(command, given)
        except InterlockError:
            return {}


def _is_file(value: object) -> bool:
    return isinstance(value, str) and (value == "-" or value.startswith("@"))
