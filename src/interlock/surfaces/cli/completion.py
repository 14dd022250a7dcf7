"""Shell completion: a static script generated from the whole catalogue.

It installs nothing; `interlock completion bash` prints what the shell should read.
"""

from __future__ import annotations

from typing import Literal

from interlock.surfaces.catalogue import Catalogue
from interlock.surfaces.cli.build import build


def script(catalogue: Catalogue, shell: Literal["bash", "zsh", "fish"]) -> str:
    """The completion script of `interlock` for a shell."""
    return build(catalogue).generate_completion(prog_name="interlock", shell=shell)
