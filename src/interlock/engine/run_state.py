"""What a run is, as its events tell it: the records that the fold fills and everything else reads.

What it does: declares `RunState` and its parts. What it does not do: nothing here changes by itself; `fold` and
`fold_control` say what each event means.

Rules: a run of many states keeps little of each, because fold snapshots hold them all; what only some runs need
(waits, branches, edits) stands in tables that are empty for the others.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Raw, Struct

from interlock.base.errors import InterlockError
from interlock.base.events import Place
from interlock.engine.errors import RUN_CORRUPT, ErrorInfo
from interlock.engine.events import RunStatus
from interlock.engine.flow.limits import Needs

WAIT_PREFIX = "wait:"


def wait_key(state_id: str, name: str) -> str:
    """The key of the fact that a wait is for."""
    return f"{WAIT_PREFIX}{state_id}:{name}"


class StepStatus(StrEnum):
    """Where a state of the plan stands in its run."""

    PENDING = "pending"
    RUNNING = "running"
    SUSPENDED = "suspended"
    COMPLETED = "completed"
    FAILED = "failed"


class Step(Struct, array_like=True):
    """What a run knows of one state: `failures` counts ordinary ones, `orphans` attempts that a crash ended.

    `base` is where its next attempt would start from, and is let go once it has completed.
    """

    status: StepStatus
    attempts: int
    failures: int
    orphans: int
    base: str
    entered_ms: int
    ended_ms: int = 0
    error: ErrorInfo | None = None
    due_ms: int = 0


class Fact(Struct, array_like=True, frozen=True):
    """A bound fact."""

    payload_id: str
    kind: str
    request_digest: str | None


class Intent(Struct, array_like=True):
    """An effect that was about to be sent; `attempt` numbers the attempt that sent it."""

    state_id: str
    namespace: str
    request_digest: str
    idempotency_key: str | None
    attempt: int


class Parked(Struct, array_like=True, frozen=True):
    """Why a state waits for an operator."""

    code: str
    state_id: str
    fact_key: str | None
    since_ms: int


class Wait(Struct, array_like=True, frozen=True):
    """A fact that has not arrived yet, since when and until when."""

    kind: str
    token: str
    since_ms: int
    due_ms: int | None
    default_id: str | None
    schema: Raw


class Branch(Struct, array_like=True, frozen=True):
    """With fan-out: the context as a completed state and its ancestors leave it, and what it wrote."""

    view_id: str
    writes_id: str


class Order(Struct, array_like=True, frozen=True):
    """What an operator asked for, and why."""

    actor: str
    reason: str
    since_ms: int


class Edit(Struct, array_like=True, frozen=True):
    """Another policy for a state: JSON of its retry policy (null: as planned) and its time limit."""

    retry: Raw
    timeout_ms: int | None


class Child(Struct, array_like=True):
    """A child run: which wait of which state it ends, whether it is cancelled with its parent, how it ended."""

    state_id: str
    name: str
    cancel_with_parent: bool
    status: RunStatus | None = None


class Parent(Struct, array_like=True, frozen=True):
    """Whose child a run is, and which wait of the parent its end answers."""

    run_id: str
    state_id: str
    name: str
    depth: int


class Fork(Struct, array_like=True, frozen=True):
    """What a run is a fork of: the source as it stood at `seq`, and how many of its states the run inherits."""

    run_id: str
    from_state: str
    seq: int
    inherits: int


class Awaited(Struct, array_like=True, frozen=True):
    """A unit that is waited for: of which lease, under which request, for which state (null: the run)."""

    lease: str
    request_id: str
    state_id: str | None
    since_ms: int
    place: int


class RunState(Struct):
    """A run as its events tell it. `stream` is its id; `status` is None while it runs.

    `active` are states that were entered and have neither completed nor wait for something, in order of entry;
    `open` those of them whose attempt has not ended. `waits` and `early` are by state and name. `again` says of an
    effect which run's id ends its idempotency key. `queued` are units that were asked for and not there; whether they
    still are not, the leases know. `event_bytes` are those of all events, `artifact_bytes` those of artifacts as far as
    they have been counted.
    """

    stream: str
    seq: int = 0
    started_ms: int = 0
    at_ms: int = 0
    op_id: str = ""
    manifest_id: str = ""
    initial_snapshot_id: str = ""
    checkpoint: str = ""
    fingerprint: str = ""
    plan_version: str = ""
    plan_source: str | None = None
    epoch: int = 0
    owner: str = ""
    max_concurrency: int = 1
    deadline_ms: int | None = None
    open: list[str] = []
    active: dict[str, None] = {}
    steps: dict[str, Step] = {}
    facts: dict[str, Fact] = {}
    intents: dict[str, Intent] = {}
    effect_keys: dict[str, str] = {}
    waits: dict[str, dict[str, Wait]] = {}
    early: dict[str, dict[str, list[str]]] = {}
    branches: dict[str, Branch] = {}
    children: dict[str, Child] = {}
    parent: Parent | None = None
    parked: dict[str, Parked] = {}
    skips: dict[str, Order] = {}
    edits: dict[str, Edit] = {}
    again: dict[str, str] = {}
    fork: Fork | None = None
    needs: Needs | None = None
    queued: list[Awaited] = []
    paused: Order | None = None
    cancelling: Order | None = None
    timed_out: bool = False
    inbox_seq: int = 0
    abandoned: str | None = None
    status: RunStatus | None = None
    final_snapshot_id: str | None = None
    completed: int = 0
    event_bytes: int = 0
    artifact_bytes: int = 0
    budget_warned: bool = False

    @property
    def exists(self) -> bool:
        """Whether the run was ever started."""
        return self.seq > 0

    @property
    def open_state(self) -> str | None:
        """The state whose attempt is open; the first of several."""
        return self.open[0] if self.open else None

    @property
    def is_inheriting(self) -> bool:
        """Whether states that a fork inherits are not recorded yet; its next owner begins with them."""
        return self.fork is not None and self.completed < self.fork.inherits

    def arrived(self, state_id: str) -> bool:
        """Whether a suspended state may be entered again: something that it waited for is there."""
        return state_id in self.active

    def timers(self) -> list[str]:
        """Ids of the timers that the run still has."""
        return [w.token for waits in self.waits.values() for w in waits.values() if w.due_ms is not None]


def corrupt(place: Place, why: str) -> InterlockError:
    """The error of an event that no correct engine could have written."""
    return RUN_CORRUPT.error(
        f"event {place.seq} of {place.stream} is impossible: {why}", stream=place.stream, seq=place.seq, why=why
    )
