"""The program `interlock`: one command line in, one answer and one exit code out.

What it does: parses the line, opens the application where the verb needs one, calls the client, and shows the
answer or the error. What it does not do: it knows no verb; what there is to call stands in the catalogue.

Rules: answers go to standard output and errors for people to standard error; with `--json` both are one JSON
object on standard output; the exit code follows from the error's category or from the command's outcome.
Libraries are imported when they are needed, because every call pays for them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.base.errors import Category, InterlockError
from interlock.base.settled import loading
from interlock.surfaces.application import Application, load
from interlock.surfaces.catalogue import GLOBAL_OPTIONS, Catalogue
from interlock.surfaces.cli.hiding import hide_passwords
from interlock.surfaces.cli.report import Interrupted, report, report_interruption
from interlock.surfaces.errors import OUTPUT_UNWRITABLE, PROGRAM_FAULT

if TYPE_CHECKING:
    from msgspec import Struct

    from interlock.surfaces.cli.build import Invocation

EXIT_CODES = {
    Category.FAILED: 1,
    Category.STORAGE: 1,
    Category.UNAVAILABLE: 1,
    Category.INVALID: 2,
    Category.NOT_FOUND: 3,
    Category.CONFLICT: 4,
    Category.REFUSED: 5,
    Category.OVERLOADED: 6,
    Category.CORRUPT: 7,
}
_GLOBALS = {f"--{name}" for name in GLOBAL_OPTIONS}
EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141
EXIT_TERMINATED = 143


def main(argv: Sequence[str] | None = None, application: Application | None = None) -> int:
    """Run one command line (by default that of this process) and return its exit code."""
    tokens = list(sys.argv[1:] if argv is None else argv)
    if argv is None:
        hide_passwords(tokens)
    _prepare_streams()
    try:
        return _guarded(tokens, application)
    except BrokenPipeError:  # whoever read our output has gone
        _give_up_output()
        return EXIT_PIPE_CLOSED


def _prepare_streams() -> None:
    """Make both outputs take any text; a closed one swallows it."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        getattr(sys, name).reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not complain at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _guarded(tokens: Sequence[str], application: Application | None) -> int:
    """Run the line; show any error and return the exit code that belongs to it."""
    as_json = "--json" in _options(tokens)
    try:
        return _run(tokens, application)
    except InterlockError as fault:
        return _reported(fault, as_json=as_json)
    except KeyboardInterrupt:
        report_interruption()
        return EXIT_INTERRUPTED
    except Interrupted as fault:
        report_interruption(str(fault), terminated=fault.terminated)
        return EXIT_TERMINATED if fault.terminated else EXIT_INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as fault:  # noqa: BLE001 - the last place where anything can be said about it
        import traceback

        traceback.print_exception(fault)
        return _reported(PROGRAM_FAULT.error(f"unexpected {type(fault).__name__}"), as_json=as_json)


def _reported(fault: InterlockError, *, as_json: bool) -> int:
    """Show `fault` and return its exit code, which speaks also where nothing can be shown."""
    try:
        report(fault, as_json=as_json)
    except OSError:
        _give_up_output()
    return EXIT_CODES[fault.category]


def _options(tokens: Sequence[str]) -> Sequence[str]:
    return tokens[: tokens.index("--")] if "--" in tokens else tokens


def _run(tokens: Sequence[str], given: Application | None) -> int:
    with loading():
        application = given or load()
        catalogue = application.catalogue()
        if tokens[:1] == ["__complete"]:  # a shell asks
            from interlock.surfaces.cli.completion import complete

            complete(catalogue, tokens[1:])
            return 0
        tokens = _asked_in_words(tokens)
        invocation = _parsed(_globals_last(tokens), catalogue)
    if invocation is None:
        asked = {"--help", "-h", "--version"} & set(_options(tokens))
        return 0 if asked else EXIT_CODES[Category.INVALID]
    from interlock.surfaces.cli.answer import answer
    from interlock.surfaces.cli.calling import run_call

    output = run_call(lambda: answer(invocation, catalogue, application))
    _show(invocation, output, application)
    code = invocation.command.exit_code
    return code(output) if code else 0


def _show(invocation: Invocation, output: Struct, application: Application) -> None:
    from interlock.surfaces.cli.render import show

    try:
        show(invocation.command, output, as_json=invocation.json)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as fault:
        _give_up_output()
        raise OUTPUT_UNWRITABLE.error(f"the answer cannot be written: {fault.strerror}") from None
    if not invocation.json:
        from interlock.surfaces.cli.driving import say_next
        from interlock.surfaces.cli.servers import meant_server

        say_next(invocation, output, far=meant_server(invocation, application, Path.cwd()) is not None)


def _parsed(tokens: Sequence[str], catalogue: Catalogue) -> Invocation | None:
    """The parsed line; None where help or the version was printed: it was asked for, or no verb was named."""
    from cyclopts import CycloptsError

    from interlock.surfaces.cli.build import build

    app = build(catalogue, only=tokens[0] if tokens else "")
    try:
        parsed: Invocation | None = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as fault:
        from interlock.surfaces.cli.usage import usage_error

        raise usage_error(fault, catalogue) from None
    return parsed


def _asked_in_words(tokens: Sequence[str]) -> Sequence[str]:
    """`help VERB` and `version`, as many programs have them, mean the options."""
    match list(tokens):
        case ["help", *rest]:
            return [*rest, "--help"]
        case ["version"]:
            return ["--version"]
        case _:
            return tokens


def _globals_last(tokens: Sequence[str]) -> list[str]:
    """Move options of every verb that stand before the noun behind the verb, where they are defined."""
    rest, front = list(tokens), []
    while rest and rest[0].partition("=")[0] in _GLOBALS:
        takes_value = rest[0] in _GLOBALS and rest[0] != "--json"
        front += rest[: 1 + takes_value]
        del rest[: 1 + takes_value]
    words = next((place for place, word in enumerate(rest[:2]) if word.startswith("-")), len(rest[:2]))
    return rest[:words] + front + rest[words:]


if __name__ == "__main__":
    sys.exit(main())
