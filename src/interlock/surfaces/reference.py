"""Writes the reference pages of `docs/reference/`: commands, permissions, error codes, settings, plan documents.

What it does: turns the declarations of the parts into pages. What it does not do: it adds no fact of
its own; what a page lacks, a part has not declared.

Rules: the same parts give the same bytes; nothing depends on the machine, the time or the width of a screen.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from interlock.base.part import Command, Part
from interlock.gates.scenario.schema import scenario_schema
from interlock.surfaces import reference_documents as documents
from interlock.surfaces import reference_permissions as permissions
from interlock.surfaces.application import load
from interlock.surfaces.catalogue import Catalogue, takes_option
from interlock.surfaces.cli.values import described
from interlock.surfaces.members import Kind, Member, default_text, members_of

SCENARIO_SCHEMA = "scenario.schema.json"
_EFFECTS = {"reads": "reads only", "changes": "changes something", "starts": "starts work"}

_CLI_HEAD = """\
# Command line

`interlock <noun> <verb>`, or `interlock <verb>` for what concerns the machine itself. Written by `make docs`
from the catalogue of commands.

## Options of every verb

| option | variable | meaning |
|---|---|---|
| `--store PATH` | `INTERLOCK_STORE` | the store; by default `.interlock/store.db` of the nearest folder \
upwards that has a `.interlock`, else of the working directory |
| `--config PATH` | `INTERLOCK_CONFIG` | the settings file; by default `interlock.toml` of the working \
directory, if there is one; see [settings](settings.md) |
| `--as NAME` | `INTERLOCK_AS` | act as a principal that the settings declare; not of verbs about the machine itself |
| `--server URL` | `INTERLOCK_SERVER` | ask this server instead of a store; its token is in `INTERLOCK_TOKEN` |
| `--profile NAME` | `INTERLOCK_PROFILE` | ask the server that the file of profiles has under this name |
| `--json` | | answer with one JSON object on standard output, also where the answer is an error |
| `--command-id TEXT` | | only of verbs that change something: the same line under the same id takes effect once |
| `--help` | | what the noun or verb takes, with an example |

A JSON value is given inline, as `@FILE`, or as `-` for standard input. Text answers are for people and may
change; programs use `--json`. `NO_COLOR` switches colour off.

## Servers

A verb without `works on this machine alone` below can be asked of a server: it takes the same values, answers the same
and exits by the same codes. What is driven goes on there: a line that starts it looks on until it ends or waits, and to
interrupt the line stops nothing. The line wins over the environment; `--store` and `--server` exclude each other.

The file of profiles is `~/.config/interlock/profiles.toml` (`XDG_CONFIG_HOME` is respected):

```toml
default = "work"                       # meant where no line names a place and no folder upwards has a store

[profiles.work]
server = "https://interlock.example"
token = "env:WORK_TOKEN"               # or file:/absolute/path; never the token itself
ca = "work-ca.pem"                     # optional: the authorities to trust instead of the usual ones
```

Without a token, a server of this machine is asked with the one that it has left beside its store, in `server.json`, for
the user who runs it. Plain `http` is for servers of this machine; no redirect is followed, and no proxy asked.

## Exit codes

| code | means |
|---|---|
| 0 | done |
| 1 | failed; for verbs that drive: what they drove failed or was cancelled |
| 2 | wrong usage or unacceptable input |
| 3 | not found |
| 4 | conflict |
| 5 | refused by a policy or a missing permission |
| 6 | overloaded: ask again later |
| 7 | corrupt, or a replay that differs |
| 8 | what was driven waits |
| 130 | interrupted from the keyboard |
| 143 | ended by SIGTERM |
| 141 | whoever read the output has gone |

An error for people goes to standard error. With `--json` it is one object on standard output: `error`, with
members `code`, `category`, `retryable`, `message`, `advice` and `details`; the codes stand in
[errors](errors.md).
"""

_ERRORS_HEAD = """\
# Error codes

Every error has a stable code, a category and an advice. Programs test the code; a retryable error may go away
without a change by the caller. Written by `make docs` from what the parts declare.

| code | category | retryable | what to do |
|---|---|---|---|
"""

_SETTINGS_HEAD = """\
# Settings

Sources, the later wins: the defaults below; the file `interlock.toml` of the working directory, or the one
that `--config` or `INTERLOCK_CONFIG` names; variables `INTERLOCK_<SECTION>__<NAME>`; arguments. An unknown
section or setting is refused. A secret is given as a reference (`env:NAME`, `file:/path`), never as itself.
Written by `make docs` from what the parts declare.
"""


def pages(parts: Sequence[Part]) -> dict[str, str]:
    """The text of each page by its file name."""
    return {
        "cli.md": _CLI_HEAD + "".join(_nouns(Catalogue(each for part in parts for each in part.commands))),
        "errors.md": _ERRORS_HEAD + "".join(_error_rows(parts)),
        "settings.md": _SETTINGS_HEAD + "".join(_sections(parts)),
        permissions.PAGE: permissions.page(
            [each for part in parts for each in part.commands], [way for part in parts for way in part.ways]
        ),
        documents.PAGE: documents.page(parts),
    }


def write(folder: Path, parts: Sequence[Part]) -> None:
    """Write every page into `folder`, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages(parts).items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / documents.SCHEMA).write_text(documents.schema_text(parts), encoding="utf-8")
    (folder / SCENARIO_SCHEMA).write_text(scenario_schema_text(), encoding="utf-8")


def scenario_schema_text() -> str:
    """The schema of scenario documents, as the text of its file."""
    return json.dumps(scenario_schema(), indent=2, ensure_ascii=False) + "\n"


def _nouns(catalogue: Catalogue) -> Iterator[str]:
    for noun in sorted(catalogue.nouns()):
        yield f"\n## {noun}\n"
        for command in catalogue.verbs(noun):
            yield from _verb(command)
    if machine := catalogue.verbs(""):
        yield "\n## This machine\n"
        for command in machine:
            yield from _verb(command)


def _verb(command: Command) -> Iterator[str]:
    words = " ".join(filter(None, [command.noun, command.verb]))
    yield f"\n### {words}\n\n{command.summary} Example: `{command.example}`\n\n"
    again = "may be repeated safely" if command.idempotent else "is a new call each time"
    place = "; works on this machine alone" if command.machine or command.local else ""
    if command.carries:
        place = "; has its file on this machine, also with a server"
        place += " that the line itself names" if command.machine else ""
    yield f"Permission `{command.permission}`; {_EFFECTS[command.effect]}; {again}{place}.\n"
    yield from _inputs(command)
    outputs = ", ".join(f"`{name}`" for name in command.output.__struct_encode_fields__)
    yield f"\nAnswers with {outputs}.\n" if outputs else "\nAnswers with an empty object.\n"


def _inputs(command: Command) -> Iterator[str]:
    members = [each for each in members_of(command.input) if not takes_option(command, each.name)]
    if not members:
        return
    yield "\n| argument | value | default | meaning |\n|---|---|---|---|\n"
    for member in sorted(members, key=lambda each: _place(command, each)):
        name = member.name.replace("_", "-")
        placed = member.name in command.positional
        shown_name = f"`{name.upper()}`" if placed else f"`--{name}`"
        yield _row([shown_name, _value(member), _default(member), described(member)])


def _place(command: Command, member: Member) -> int:
    return command.positional.index(member.name) if member.name in command.positional else len(command.positional)


def _value(member: Member) -> str:
    if member.kind is Kind.CHOICE:
        text = ", ".join(f"`{choice}`" for choice in member.choices)
    else:
        text = ", ".join(filter(None, [member.kind.value, member.bounds]))
    return f"{text}; may be given again" if member.repeated else text


def _default(member: Member) -> str:
    if member.required:
        return "required"
    return f"`{text}`" if (text := default_text(member)) else ""


def _error_rows(parts: Iterable[Part]) -> Iterator[str]:
    codes = {code.code: code for part in parts for code in part.errors}
    for _, code in sorted(codes.items()):
        yield _row([f"`{code.code}`", code.category.value, "yes" if code.retryable else "no", code.advice])


def _sections(parts: Iterable[Part]) -> Iterator[str]:
    sections = sorted((section for part in parts for section in part.settings), key=lambda each: each.name)
    for section in sections:
        yield f"\n## [{section.name}]\n\n{_sentence(section.record)}\n\n"
        yield "| setting | value | default | meaning |\n|---|---|---|---|\n"
        for member in members_of(section.record):
            yield _row([f"`{member.name}`", _value(member), _default(member), member.description])


def _sentence(record: type[Struct]) -> str:
    return (record.__doc__ or "").strip().partition("\n")[0]


def _row(cells: Iterable[str]) -> str:
    escaped = [" ".join(each.split()).replace("|", "\\|") for each in cells]
    return "|" + "|".join(f" {each} " if each else " " for each in escaped) + "|\n"


if __name__ == "__main__":
    write(Path(sys.argv[1]), load().parts())
