"""How the answers of a noun look to people.

What it does: declares what a module of `surfaces/cli/nouns/` may say about the outputs of its verbs (columns,
texts, progress), and finds that module. What it does not do: a noun without a module is shown by the generic
renderer.

Rule: presentation only; nothing here adds an option, changes an input or decides an exit code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from interlock.surfaces.caller import Caller


@dataclass(frozen=True, slots=True)
class Step:
    """One line of live progress: `mark` is one of the words that `progress.py` knows how to draw."""

    name: str
    mark: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Afar:
    """How to look on at what a server drives: the query is asked until `is_over` says so of its answer.

    `came_to` makes the output of the verb from what the server answered first and what the query said last. Inputs of
    such verbs have a member `detach`, by which no more than the start is waited for.
    """

    is_over: Callable[[Caller, Struct], Awaitable[bool]]
    came_to: Callable[[Caller, Struct, Struct], Awaitable[Struct]]


@dataclass(frozen=True, slots=True)
class Progress:
    """How to watch a verb that drives: ask `query` ten times a second, and draw the steps of its answer.

    Member `key` of the verb's input names what is driven; member `asks` of the query's input takes that name.
    `fresh` makes one where the line gave none, so that there is something to ask for; `goes_on` is the command
    that drives it on after an interruption; `afar` is how to look on while a server drives.
    """

    key: str
    query: str
    asks: str
    steps: Callable[[Struct], Sequence[Step]]
    goes_on: Callable[[str], str]
    fresh: Callable[[], str] | None = None
    afar: Afar | None = None


@dataclass(frozen=True, slots=True)
class Presentation:
    """What a noun says about its verbs, each by the name of the verb.

    `columns` gives the members to show of the rows of an output's list, by the name of the list; `text` turns
    an output into bytes that are written as they are; `people` gives the record to show instead of an output;
    `cut` names the tables, like `columns`, whose lines stay whole on a terminal, and which of their columns are
    cut short for it, in their middle; `gives_way` names tables whose columns are cut at their ends instead, one
    after the other in this order, so that the last of them is whole for longest; `empty` is said on standard error
    where an output has nothing to show; `follow` gives the command that a person needs next, if any, by the output
    and the line, and `follow_afar` the one where a server has answered, if it is another; `others` says what is meant
    where a line has too many arguments; `progress` watches a verb that drives; `hint` asks what would have fitted where
    the value of a line is no JSON; `sent` reads what a line names in files of this machine, before it goes to a server.
    """

    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    text: Mapping[str, Callable[[Struct], bytes]] = field(default_factory=dict)
    people: Mapping[str, Callable[[Struct], Struct]] = field(default_factory=dict)
    cut: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    gives_way: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    empty: Mapping[str, str] = field(default_factory=dict)
    follow: Mapping[str, Callable[[Struct, Mapping[str, object]], str | None]] = field(default_factory=dict)
    follow_afar: Mapping[str, Callable[[Struct, Mapping[str, object]], str | None]] = field(default_factory=dict)
    others: Mapping[str, str] = field(default_factory=dict)
    progress: Mapping[str, Progress] = field(default_factory=dict)
    hint: Mapping[str, Callable[[Caller, Mapping[str, object]], Awaitable[str | None]]] = field(default_factory=dict)
    sent: Mapping[str, Callable[[Mapping[str, object]], Mapping[str, object]]] = field(default_factory=dict)


def presentation_of(noun: str) -> Presentation:
    """The presentation of a noun (`machine` for verbs without one), or an empty one."""
    module = f"{__package__}.nouns.{noun.replace('-', '_') or 'machine'}"
    if find_spec(module) is None:
        return Presentation()
    found: Presentation = import_module(module).PRESENTATION
    return found
