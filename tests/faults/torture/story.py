"""The story of every run, inbox and lease, as the entries of a journal tell it: a fold of its own.

What it does: goes through the entries once, in the order of the feed, keeps what each stream comes to, and names what
no order of events may be. What it does not do: it knows neither the product's fold nor what happened outside.

Rules: `wrong` holds pairs of a rule and a sentence; the rules have the names that `prove` lists.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.faults.torture.evidence import Entry

Wrong = list[tuple[str, str]]
Data = dict[str, Any]


@dataclass
class Wait:
    """A wait of a state that has no fact yet."""

    kind: str
    token: str


@dataclass
class Set:
    """A timer as it was set: when it is due, and at which position."""

    due_ms: int
    position: int


@dataclass
class Run:
    """What the events of one run come to."""

    run_id: str
    actor: str = ""
    begun: bool = False
    status: str | None = None
    epoch: int = 0
    claim: int = 0
    owner: str = ""
    owners: dict[int, str] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    entered: set[str] = field(default_factory=set)
    completed: set[str] = field(default_factory=set)
    failed: dict[str, Data] = field(default_factory=dict)
    waits: dict[str, dict[str, Wait]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    intents: dict[str, list[str | None]] = field(default_factory=dict)
    bound_by_call: set[str] = field(default_factory=set)
    adopted: set[str] = field(default_factory=set)
    parked: dict[str, Data] = field(default_factory=dict)
    decided: list[tuple[str, str]] = field(default_factory=list)
    received: dict[tuple[str, str], int] = field(default_factory=dict)
    timers: dict[str, Set] = field(default_factory=dict)
    expired: set[str] = field(default_factory=set)
    children: dict[str, tuple[str, str]] = field(default_factory=dict)
    ended_children: dict[str, str] = field(default_factory=dict)
    parent: tuple[str, str] | None = None
    cancelled: bool = False
    attached: list[str] = field(default_factory=list)
    inbox_seq: int = 0


@dataclass
class Grant:
    """Units that were granted under a token: to whom, when, and how that ended."""

    token: int
    units: int
    request_id: str
    holder: str
    at_ms: int
    ended_ms: int | None = None
    how: str = ""


@dataclass
class Lease:
    """What the events of one lease come to."""

    name: str
    capacity: int = 0
    token: int = 0
    queue: set[str] = field(default_factory=set)
    held: dict[int, Grant] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)


@dataclass
class Inbox:
    """What was told to a run, in order."""

    entries: list[tuple[Entry, str, Data]] = field(default_factory=list)
    commands: dict[str, int] = field(default_factory=dict)


class Story:
    """All runs, inboxes and leases."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.inboxes: dict[str, Inbox] = {}
        self.leases: dict[str, Lease] = {}
        self.wrong: Wrong = []

    def take(self, entry: Entry) -> None:
        """Go one event further."""
        try:
            envelope, data = json.loads(entry.envelope), json.loads(entry.data or b"null")
            kind = envelope["type"].rpartition(".")[2]
            self._told(entry, envelope, kind, data)
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            self.wrong.append(("chain", f"{entry.stream}#{entry.seq} cannot be read: {fault!r}"))

    def _told(self, entry: Entry, envelope: Data, kind: str, data: Data) -> None:
        parts = entry.stream.split("/")
        if parts[-1] == "inbox":
            inbox = self.inboxes.setdefault(parts[2], Inbox())
            inbox.entries.append((entry, kind, data))
            if envelope["command_id"] is not None:
                inbox.commands[envelope["command_id"]] = inbox.commands.get(envelope["command_id"], 0) + 1
        elif parts[1] == "run":
            run = self.runs.setdefault(parts[2], Run(parts[2]))
            if run.status is not None:
                self.wrong.append(("ends", f"{run.run_id} goes on after its end with {kind}"))
            tell = _RUN.get(kind)
            if tell is not None:
                tell(self, run, entry, envelope | data)
        elif parts[1] == "lease":
            lease = self.leases.setdefault(parts[2], Lease(parts[2]))
            _LEASE[kind](self, lease, data | {"at_ms": envelope["at_ms"]})

    def say(self, rule: str, run: Run, what: str) -> None:
        """Name what must not be."""
        self.wrong.append((rule, f"{run.run_id}: {what}"))


def _started(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if run.begun:
        story.say("states", run, "it was started twice")
    run.begun, run.actor = True, data["actor"]


def _claimed(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if data["epoch"] != run.epoch + 1 or data["claim"] <= run.claim:
        story.say("owners", run, f"epoch {data['epoch']} with claim {data['claim']} follows {run.epoch}, {run.claim}")
    run.epoch, run.claim, run.owner = data["epoch"], data["claim"], data["owner"]
    run.owners[run.epoch] = run.owner


def _entered(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    state = data["state_id"]
    if state in run.completed or state in run.open or state in run.parked:
        story.say("states", run, f"{state} was entered while it was open or parked, or after it had completed")
    if not run.owner:
        story.say("owners", run, f"{state} was entered before anybody owned the run")
    run.open.add(state)
    run.entered.add(state)
    run.failed.pop(state, None)


def _completed(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    state = data["state_id"]
    if state in run.completed:
        story.say("states", run, f"{state} completed twice")
    elif state not in run.open:
        story.say("states", run, f"{state} completed without being entered")
    run.open.discard(state)
    run.completed.add(state)
    run.waits.pop(state, None)


def _failed(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    state = data["state_id"]
    if state not in run.open:
        story.say("states", run, f"{state} failed without being entered")
    run.open.discard(state)
    run.failed[state] = data["error"]


def _suspended(story: Story, run: Run, entry: Entry, data: Data) -> None:
    state = data["state_id"]
    if state not in run.open:
        story.say("states", run, f"{state} waits without being entered")
    run.open.discard(state)
    waits = run.waits[state] = {}
    for each in data["waits"]:
        if f"wait:{state}:{each['name']}" not in run.facts:
            waits[each["name"]] = Wait(each["kind"], each["token"])
        if each["due_ms"] is not None and not each["waited"]:
            run.timers[each["token"]] = Set(each["due_ms"], entry.position)


def _fact(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    key = data["key"]
    if key in run.facts:
        story.say("facts", run, f"{key} was bound twice")
    run.facts[key] = data["payload_id"]
    if key in run.pending:
        run.bound_by_call.add(key)
    run.pending.discard(key)
    if key.startswith("wait:"):
        _, state, name = key.split(":", 2)
        run.waits.get(state, {}).pop(name, None)


def _intended(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    fact, key = data["fact_key"], data["idempotency_key"]
    before = run.intents.setdefault(fact, [])
    if before and before[0] != key:
        story.say("keyed", run, f"{fact} was sent under {before[0]} and under {key}")
    if fact in run.pending and key is None:
        story.say("unkeyed", run, f"{fact} is sent again, and nobody decided that")
    if data["state_id"] not in run.open:
        story.say("states", run, f"{data['state_id']} sends {fact} without being open")
    before.append(key)
    run.pending.add(fact)


def _settled(_story: Story, run: Run, _entry: Entry, data: Data) -> None:
    run.pending.discard(data["fact_key"])


def _parked(_story: Story, run: Run, _entry: Entry, data: Data) -> None:
    run.parked[data["state_id"]] = data


def _resolved(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if run.parked.pop(data["state_id"], None) is None:
        story.say("states", run, f"{data['state_id']} was decided and not parked")
    run.decided.append((data["state_id"], data["action"]))
    if data["fact_key"] is not None:
        run.pending.discard(data["fact_key"])
        if data["action"] == "adopt":
            run.adopted.add(data["fact_key"])


def _taken(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if data["inbox_seq"] <= run.inbox_seq:
        story.say("inbox", run, f"the inbox was taken up to {data['inbox_seq']} after {run.inbox_seq}")
    run.inbox_seq = data["inbox_seq"]


def _received(_story: Story, run: Run, _entry: Entry, data: Data) -> None:
    key = (data["name"], data["payload_id"])
    run.received[key] = run.received.get(key, 0) + 1


def _written(_story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if data["state_id"] is None and "attached_by" in data["meta"]:
        run.attached.append(data["artifact_id"])


def _expired(_story: Story, run: Run, _entry: Entry, data: Data) -> None:
    run.expired.add(data["name"])


def _spawned(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if data["child_run_id"] in run.children:
        story.say("states", run, f"the child {data['child_run_id']} was started twice")
    run.children[data["child_run_id"]] = (data["state_id"], data["name"])


def _child_ended(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if data["child_run_id"] in run.ended_children:
        story.say("states", run, f"the child {data['child_run_id']} ended twice")
    run.ended_children[data["child_run_id"]] = data["status"]


def _linked(_story: Story, run: Run, _entry: Entry, data: Data) -> None:
    run.parent = (data["parent_run_id"], data["name"])


def _cancelling(_story: Story, run: Run, _entry: Entry, _data: Data) -> None:
    run.cancelled = True


def _emitted(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if data["name"] != "wrote":
        return
    if f"-{data['payload']['by']}-" not in run.owner:
        story.say("owners", run, f"process {data['payload']['by']} wrote under epoch {run.epoch} of {run.owner}")


def _ended(story: Story, run: Run, _entry: Entry, data: Data) -> None:
    if run.open:
        story.say("ends", run, f"it ended while {sorted(run.open)} were open")
    run.status = data["status"]


def _capacity(_story: Story, lease: Lease, data: Data) -> None:
    lease.capacity = data["capacity"]


def _queued(_story: Story, lease: Lease, data: Data) -> None:
    lease.queue.add(data["request_id"])


def _granted(story: Story, lease: Lease, data: Data) -> None:
    if data["token"] != lease.token + 1:
        story.wrong.append(("leases", f"{lease.name}: token {data['token']} after {lease.token}"))
    lease.token = data["token"]
    lease.queue.discard(data["request_id"])
    grant = Grant(data["token"], data["units"], data["request_id"], data["holder"], data["at_ms"])
    lease.held[grant.token] = grant
    lease.grants.append(grant)
    if sum(each.units for each in lease.held.values()) > lease.capacity:
        story.wrong.append(("leases", f"{lease.name}: more units are held than there are, from token {grant.token} on"))


def _returned(how: str) -> Callable[[Story, Lease, Data], None]:
    def take(story: Story, lease: Lease, data: Data) -> None:
        grant = lease.held.pop(data["token"], None)
        if grant is None:
            story.wrong.append(("leases", f"{lease.name}: token {data['token']} holds nothing and is {how}"))
            return
        if how == "expired" and data["at_ms"] < data["expires_ms"]:
            story.wrong.append(("leases", f"{lease.name}: token {grant.token} expired before its time"))
        grant.ended_ms, grant.how = data["at_ms"], how

    return take


def _withdrawn(_story: Story, lease: Lease, data: Data) -> None:
    lease.queue.discard(data["request_id"])


def _nothing(_story: Story, _lease: Lease, _data: Data) -> None:
    pass


_RUN: dict[str, Callable[[Story, Run, Entry, Data], None]] = {
    "run_started": _started,
    "owner_claimed": _claimed,
    "state_entered": _entered,
    "state_completed": _completed,
    "state_failed": _failed,
    "state_suspended": _suspended,
    "fact_recorded": _fact,
    "effect_intended": _intended,
    "effect_settled": _settled,
    "run_parked": _parked,
    "effect_resolved": _resolved,
    "inbox_taken": _taken,
    "signal_received": _received,
    "artifact_written": _written,
    "wait_expired": _expired,
    "child_run_spawned": _spawned,
    "child_run_completed": _child_ended,
    "parent_linked": _linked,
    "run_cancelling": _cancelling,
    "domain_emitted": _emitted,
    "run_completed": _ended,
}
_LEASE: dict[str, Callable[[Story, Lease, Data], None]] = {
    "lease_capacity_set": _capacity,
    "lease_queued": _queued,
    "lease_granted": _granted,
    "lease_renewed": _nothing,
    "lease_released": _returned("released"),
    "lease_expired": _returned("expired"),
    "lease_seized": _returned("seized"),
    "lease_withdrawn": _withdrawn,
    "lease_timer_passed": _nothing,
}
