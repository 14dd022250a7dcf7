"""Shell completion: a script generated from the whole catalogue, and the answers to what it asks.

What it does: `interlock completion bash` prints what the shell should read; where a run is to be named, that script
asks `interlock __complete LINE`, which is answered here. What it does not do: it installs nothing.

Rule: an answer is never an error; a shell that asks gets what there is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.build import build

ASKED = "__complete"
"""What a script writes before the line of which it asks the last word."""

_FILES = 'COMPREPLY=( $(compgen -f -- "${cur}") )'
_FILE_NAMES = 'compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "${cur}")'
"""Names with blanks stay one name, and a folder goes on with its stroke."""


def script(catalogue: Catalogue, shell: Literal["bash", "zsh", "fish"]) -> str:
    """The completion script of `interlock` for a shell."""
    made = build(catalogue).generate_completion(prog_name="interlock", shell=shell)
    return made.replace(_FILES, _FILE_NAMES) if shell == "bash" else made


def complete(catalogue: Catalogue, words: Sequence[str]) -> None:
    """Print what may stand in the place of the last word."""
    build(catalogue, only=next((word for word in words[:1] if word in catalogue.nouns()), None))(
        [ASKED, *words], exit_on_error=False, print_error=False, result_action="return_value"
    )
