"""A package's registration: the records of which `PART` is made.

What it does: declares `Part` and the records that a package lists in it, so that nobody imports a neighbour in order
to register. What it does not do: it holds no registry; `app.py` adds parts and checks that names are unique.

Rules: everything here is an immutable record; handlers are plain functions; a part names only what it owns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeVar

from msgspec import Struct

from interlock.base.errors import ErrorCode, InterlockError
from interlock.base.events import EventType, Place, Timer
from interlock.base.principal import Principal

Service = TypeVar("Service")


class Services(Protocol):
    """The running application, seen by a handler: one instance for each kind of service."""

    def get(self, kind: type[Service]) -> Service:
        """The instance of `kind`; a missing one is a fault of the program (`KeyError`)."""
        ...


def unheard(_name: str) -> None:
    """For callers that need no word of what is begun."""


@dataclass(frozen=True, slots=True)
class CallContext:
    """What a command's handler gets beside its input; it tells `begun` the name of what it is about to drive."""

    principal: Principal
    services: Services
    command_id: str | None = None
    begun: Callable[[str], None] = unheard


class Effect(StrEnum):
    """What a command does to the world: a query `reads`."""

    READS = "reads"
    CHANGES = "changes"
    STARTS = "starts"


@dataclass(frozen=True, slots=True)
class InDocument:
    """Where a document among the members of an input names its namespace of gates.

    `place` says it to people; `read` gives the number to the permission check, None where the document names none.
    """

    place: str
    read: Callable[[Any], int | None]


@dataclass(frozen=True, slots=True)
class Command:
    """One verb of the catalogue; every surface is generated from these.

    `noun` is empty for verbs about the machine itself, which have no route (`machine`). `positional` names the input
    members that a command line takes by place. `example` is one complete command line. `exit_code` derives the exit
    code from an output where it is not 0 (verbs that drive). `local` verbs work on files of this machine, for its user
    alone: they have no route and are no tool for others. A `carries` verb brings bytes from such a file or to it, and
    may be asked of a server: the client of a server knows how; one that is `machine` too, only where the line itself
    names the server. `creates` verbs make the store where there is none. `reads_store` says of an input whether it
    concerns the store; absent, every one does. `secret_output` says that an output is shown once: none is kept for
    those who send a call again. `namespace` says where a document names the namespace of the call, which otherwise is a
    member of the input, or none. A handler that changes something hands the `command_id` of its context on to whatever
    makes the change, so that it is made once also where the answer was lost.
    """

    noun: str
    verb: str
    input: type[Struct]
    output: type[Struct]
    handler: Callable[[CallContext, Any], Awaitable[Struct]]
    summary: str
    example: str
    permission: str
    effect: Effect
    idempotent: bool = True
    machine: bool = False
    local: bool = False
    carries: bool = False
    positional: tuple[str, ...] = ()
    exit_code: Callable[[Any], int] | None = None
    creates: bool = False
    reads_store: Callable[[Any], bool] | None = None
    namespace: InDocument | None = None
    secret_output: bool = False

    @property
    def name(self) -> str:
        """`<noun>.<verb>`, or the verb alone."""
        return f"{self.noun}.{self.verb}" if self.noun else self.verb


@dataclass(frozen=True, slots=True)
class DecideContext:
    """All that reaches a `decide` beside states and command. `rows` holds what the decider asked the index for."""

    now_ms: int
    principal: Principal
    entropy: bytes
    settings_digest: str
    rows: Mapping[tuple[str, str], bytes | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A `decide` that says no; `record` holds events to append all the same (an audit entry)."""

    error: InterlockError
    record: Mapping[str, Sequence[Struct]] | None = None


@dataclass(frozen=True, slots=True)
class Artifact:
    """Bytes that an event names by their SHA-256; `kind` is a hint."""

    kind: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Decided:
    """The events of a decision with the artifacts that they name; all are durable at once."""

    events: Mapping[str, Sequence[Struct]]
    artifacts: Sequence[Artifact]


Decision = Mapping[str, Sequence[Struct]] | Decided | Refusal


@dataclass(frozen=True, slots=True)
class DeciderSnapshots:
    """How fold snapshots of a decider's states are named and read, so that a long stream is not folded anew.

    With `save`, the runner also writes them, one for every `every_events` events of a stream; without it another
    writer of the same streams does.
    """

    name: str
    version: int
    restore: Callable[[bytes], Any]
    save: Callable[[Any], bytes] | None = None
    every_events: int = 100


@dataclass(frozen=True, slots=True)
class Decider:
    """A life cycle: pure functions from (states, command) to events and from (state, event) to state.

    `streams(command)` names every stream that it touches; `initial(stream)` is the state of an empty one;
    `result(events, command)` computes the answer from the events that carry the command id and nothing else, so that
    a repeated command gets its first result. `rows(command)` names rows of the index, `(index, key)`, that `decide`
    needs: they are read after the states, so that an append at those heads proves that no later one has changed them,
    if whoever writes such a row appends to one of the streams.
    """

    name: str
    streams: Callable[[Any], Sequence[str]]
    initial: Callable[[str], Any]
    decide: Callable[[Mapping[str, Any], Any, DecideContext], Decision]
    evolve: Callable[[Any, Struct, Place], Any]
    result: Callable[[Mapping[str, Sequence[Struct]], Any], Any]
    snapshots: DeciderSnapshots | None = None
    rows: Callable[[Any], Sequence[tuple[str, str]]] | None = None


@dataclass(frozen=True, slots=True)
class TimerTarget:
    """Which decider takes the due timers of the streams of one kind.

    `command(timer)` is what it is given, or what `prepare(services, timer)` makes where a decision needs more than the
    timer says. Every firing of a timer that is still set must leave an event whose `index` clears it or sets it
    anew, also one that comes to nothing: what refuses or records nothing is tried again and again.
    """

    kind: str
    decider: Decider
    command: Callable[[Timer], Struct] | None = None
    prepare: Callable[[Services, Timer], Awaitable[Struct]] | None = None


@dataclass(frozen=True, slots=True)
class View:
    """A table for people: a fold per key over the feed.

    `key(place, event)` says which row an event touches (None: none); `evolve(row, place, event)` gives the new row
    (None deletes) and may consume the one it is given; `order(row)` is the sort key of listings (an integer, newest
    highest); `terms(row)` are the fields that can be filtered on. Another `version` rebuilds the table beside the old
    one.
    """

    name: str
    version: int
    row: type[Struct]
    key: Callable[[Place, Struct], str | None]
    evolve: Callable[[Any, Place, Struct], Any]
    order: Callable[[Any], int]
    terms: Callable[[Any], Mapping[str, str]]
    types: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class SettingsSection:
    """One section of `interlock.toml`: a frozen record whose members have defaults, bounds and a description."""

    name: str
    record: type[Struct]


@dataclass(frozen=True, slots=True)
class TransportFactory:
    """A way out: the namespace group it serves (longest prefix wins) and how to make it, once for an application."""

    namespace: str
    make: Callable[[Services], Any]


@dataclass(frozen=True, slots=True)
class Subscriber:
    """For whom a sink delivers: the tenant of the subscription, and whether the user of this machine added it."""

    tenant: str
    local: bool


@dataclass(frozen=True, slots=True)
class SinkFactory:
    """Where subscriptions can deliver to, by the name that they give.

    `target` is the record of what a subscription says about it; `make(services, target, subscriber)` makes the sink of
    one subscription. `example` is a target in JSON.
    """

    name: str
    target: type[Struct]
    make: Callable[[Services, Any, Subscriber], Any]
    summary: str
    example: str


class Telling(Struct, frozen=True):
    """What is told of an event: JSON, or None where the stored data was erased."""

    data: bytes | None


@dataclass(frozen=True, slots=True)
class EventForm:
    """How events of one type are told to the outside, where that is not their stored data.

    `tell(services, stream, record, audience)` says it, anew for each delivery: large members that the record names, and
    nothing that must not be shown. It raises `InterlockError` where it cannot: the delivery has failed then. An
    `addressed` type says for whom its events are: None where they are for nobody of an `audience` that is not empty.
    """

    type: str
    tell: Callable[[Services, str, Any, tuple[str, ...]], Awaitable[Telling | None]]
    addressed: bool = False


@dataclass(frozen=True, slots=True)
class StepHandler:
    """A kind of step, as documents name it.

    `parameters` is the record of a step's `with` once it is rendered; `run(call, parameters)` does one attempt and
    gives the step's output, a JSON value. `declares(given)` says of a `with` as it is written whether its author must
    state `side_effects`; `pure` whether the step may be called pure. Members in `literal` hold no expression: they are
    needed before a run. `example` is a `with` in YAML.
    """

    name: str
    parameters: type[Struct]
    run: Callable[[Any, Any], Awaitable[Any]]
    summary: str
    example: str
    declares: Callable[[Mapping[str, Any]], bool]
    pure: bool = False
    literal: tuple[str, ...] = ()
    output: tuple[str, ...] = ()
    check: Callable[[Mapping[str, Any]], Iterable[Any]] | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """A way in that is no command: which permission it needs, and what it does to the world."""

    name: str
    permission: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class Part:
    """Everything that a package adds to the application."""

    name: str
    events: tuple[EventType, ...] = ()
    deciders: tuple[Decider, ...] = ()
    timers: tuple[TimerTarget, ...] = ()
    views: tuple[View, ...] = ()
    commands: tuple[Command, ...] = ()
    ways: tuple[Way, ...] = ()
    transports: tuple[TransportFactory, ...] = ()
    sinks: tuple[SinkFactory, ...] = ()
    forms: tuple[EventForm, ...] = ()
    steps: tuple[StepHandler, ...] = ()
    settings: tuple[SettingsSection, ...] = ()
    errors: tuple[ErrorCode, ...] = ()
