"""Two programs that behave like `nix` and `nix-store`, for machines that have neither.

Each writes down how it was called and then does what the test wants: by default the evaluation knows one app, and the
build prints the store path of what it built.
"""

from __future__ import annotations

from pathlib import Path

ROOT = "/nix/store/abv96mh51pcim4r9lj59py9b5msgbc8n-hello"
DERIVATION = "/nix/store/dj9sh1rwgwxw96j8a28i2mspgbklmc81-hello.drv"
PROGRAM = f"{ROOT}/bin/hello"
EVALUATED = f'{{"context":{{"{DERIVATION}":{{"outputs":["out"]}}}},"program":"{PROGRAM}"}}'

_SCRIPT = """#!/bin/sh
here=$(dirname "$0"); name=$(basename "$0")
printf '%s\\n' "$@" > "$here/$name.arguments"
env > "$here/$name.environment"; pwd > "$here/$name.folder"
. "$here/$name.behaviour"
"""


class StandIn:
    """The programs in a folder, and what they were called with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("nix", "nix-store"):
            (folder / name).write_text(_SCRIPT)
            (folder / name).chmod(0o755)
        self.evaluates(EVALUATED)
        self.builds(ROOT)

    @property
    def program(self) -> str:
        """The path of the one that is `nix`."""
        return str(self.folder / "nix")

    def evaluates(self, printed: str) -> None:
        """Let `nix eval` print a text."""
        self.behave("nix", f"cat <<'END'\n{printed}\nEND\n")

    def builds(self, printed: str) -> None:
        """Let `nix-store --realise` print a text."""
        self.behave("nix-store", f"cat <<'END'\n{printed}\nEND\n")

    def behave(self, name: str, script: str) -> None:
        """Let a program do what a shell script says."""
        (self.folder / f"{name}.behaviour").write_text(script)

    def arguments(self, name: str) -> list[str] | None:
        """What a program was called with last; None if it never was."""
        written = self.folder / f"{name}.arguments"
        return written.read_text().splitlines() if written.exists() else None

    def environment(self, name: str) -> dict[str, str]:
        """The variables that a program saw."""
        lines = (self.folder / f"{name}.environment").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)
