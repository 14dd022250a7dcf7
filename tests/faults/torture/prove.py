"""The independent checker of a torture: what must hold in a journal and in the logs of the outside, whatever happened.

What it does: `proved` names everything that is wrong, as pairs of a rule and a sentence; `settled` says whether
everything has come to rest. What it does not do: it imports nothing of the product and repairs nothing.

Rules, each of which `test_torture_checker` shows to be seen when it is broken:
`chain` every event is hashed, follows the one before it, and no end of a stream is lost; `feed` positions are dense;
`artifacts` bytes are those of their name, and what events name is there; `owners` epochs rise by one, each has one
owner, and nobody else writes in it; `states` each completes once and only while it is open; `ends` a run has ended, or
is parked for a reason, and nothing follows its end; `facts` each is bound once; `started` and `told` what was
acknowledged is there once and had its consequence; `keyed` effects are sent under their one key, `unkeyed` ones once a
decision, both after they were meant; `timers` fire once and in order; `leases` and `units` are never more than there
are; `left` nothing is held, due or set any more; `inbox` is taken forwards, and whole.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from typing import Any

from tests.faults.torture.evidence import Evidence
from tests.faults.torture.story import Run, Story, Wrong
from tests.faults.torture.units import overlaps

UNITS = 2
REASONS = frozenset({"side_effect_outcome_unknown", "crash_budget_spent"})
_NAMES = ("payload_id", "context_snapshot_id", "initial_snapshot_id", "manifest_id", "fingerprint", "artifact_id")


def told_of(evidence: Evidence) -> Story:
    """The story that the entries tell."""
    story = Story()
    for entry in sorted(evidence.entries, key=lambda each: (each.partition, each.position)):
        story.take(entry)
    return story


def proved(evidence: Evidence, answer_of: Callable[[str, str], int]) -> Wrong:
    """Everything that is wrong. `answer_of` gives the value with which a wait of a run was answered."""
    story = told_of(evidence)
    wrong = [*story.wrong, *_chains(evidence), *_feed(evidence), *_artifacts(evidence)]
    labels = _labels(story)
    wrong += _ends(evidence, story)
    wrong += _told(evidence, story, answer_of)
    wrong += _effects(evidence, story, labels)
    wrong += _timers(story)
    wrong += overlaps(evidence, story, UNITS)
    wrong += _left(evidence, story)
    return wrong


def settled(evidence: Evidence, story: Story) -> bool:
    """Whether everything has come to rest: what `ends` and `left` demand holds."""
    return not [*_ends(evidence, story), *_left(evidence, story)]


def _chains(evidence: Evidence) -> Wrong:
    wrong: Wrong = []
    heads: dict[str, tuple[int, str, int]] = {}
    for entry in sorted(evidence.entries, key=lambda each: (each.stream, each.seq)):
        place = f"{entry.stream}#{entry.seq}"
        seq, before, at_ms = heads.get(entry.stream, (0, "", 0))
        digest = hashlib.sha256(b"interlock/event/1\n" + entry.envelope).hexdigest()
        try:
            envelope: dict[str, Any] = json.loads(entry.envelope)
        except ValueError:
            wrong.append(("chain", f"{place} is no JSON"))
            continue
        content = entry.salt + (entry.data or b"")
        if digest != entry.digest or hashlib.sha256(content).hexdigest() != envelope["data_digest"]:
            wrong.append(("chain", f"{place} has other bytes than were hashed"))
        if envelope["stream"] != entry.stream or envelope["seq"] != entry.seq:
            wrong.append(("chain", f"{place} belongs elsewhere"))
        if entry.seq != seq + 1 or (envelope["prev"] or "") != before or envelope["at_ms"] < at_ms:
            wrong.append(("chain", f"{place} does not follow #{seq}"))
        heads[entry.stream] = (entry.seq, entry.digest, envelope["at_ms"])
    found = {stream: head[:2] for stream, head in heads.items()}
    wrong += [("chain", f"{each} does not end where its head is") for each in found.keys() ^ evidence.heads.keys()]
    both = found.keys() & evidence.heads.keys()
    return wrong + [("chain", f"{each} lost its end") for each in both if found[each] != evidence.heads[each]]


def _feed(evidence: Evidence) -> Wrong:
    wrong: Wrong = []
    for partition, last in evidence.counters.items():
        found = sorted(each.position for each in evidence.entries if each.partition == partition)
        if found != list(range(1, last + 1)):
            wrong.append(("feed", f"{partition} has {len(found)} positions, which are not those up to {last}"))
    return wrong


def _artifacts(evidence: Evidence) -> Wrong:
    wrong: Wrong = [("artifacts", f"{name} has other bytes") for name, is_ in evidence.artifacts.items() if name != is_]
    for entry in evidence.entries:
        try:
            data = json.loads(entry.data or b"null")
        except ValueError:
            continue  # the story says so
        for member in _NAMES:
            named = data.get(member)
            if isinstance(named, str) and len(named) == 64 and named not in evidence.artifacts:
                wrong.append(("artifacts", f"{entry.stream}#{entry.seq} names {named}, which is not there"))
    return wrong


def _labels(story: Story) -> dict[str, str]:
    """Under which label the outside knows each run."""

    def label(run: Run) -> str:
        if run.parent is None or run.parent[0] not in story.runs:
            return run.run_id
        return f"{label(story.runs[run.parent[0]])}.{run.parent[1].removeprefix('child:')}"

    return {label(run): run.run_id for run in story.runs.values()}


def _ends(evidence: Evidence, story: Story) -> Wrong:
    """Runs that are neither ended nor parked for a reason; a parent may wait for a child that is."""
    wrong: Wrong = []
    stuck: dict[str, bool] = {}

    def is_parked(run: Run) -> bool:
        if run.run_id not in stuck:
            stuck[run.run_id] = False  # whoever waits for itself is not parked
            waits = {name for each in run.waits.values() for name, wait in each.items() if wait.kind == "child"}
            kids = [story.runs.get(kid) for kid, (_, name) in run.children.items() if name in waits]
            below = [kid for kid in kids if kid is not None and kid.status is None and is_parked(kid)]
            reasons = {parked["code"] for parked in run.parked.values()}
            timed = any(wait.kind == "sleep" for each in run.waits.values() for wait in each.values())
            moving = run.open or timed or run.failed.keys() - run.parked.keys()
            stuck[run.run_id] = not moving and reasons <= REASONS and bool(reasons or below)
        return stuck[run.run_id]

    for run in story.runs.values():
        if run.status is None and not is_parked(run):
            wrong.append(("ends", f"{run.run_id} neither ended nor is parked: open {sorted(run.open)}, {run.waits}"))
        if run.status == "failed" and ("abandon" not in [action for _, action in run.decided]):
            wrong.append(("ends", f"{run.run_id} failed, and nobody gave it up: {run.failed}"))
        if run.status == "cancelled" and not run.cancelled:
            wrong.append(("ends", f"{run.run_id} was cancelled by nobody"))
        if run.status == "completed" and run.entered != run.completed:
            wrong.append(("ends", f"{run.run_id} completed without {sorted(run.entered - run.completed)}"))
        inbox, _ = evidence.heads.get(f"default/run/{run.run_id}/inbox", (0, ""))
        if run.status is None and inbox > run.inbox_seq:
            wrong.append(("inbox", f"{run.run_id} has not taken #{run.inbox_seq + 1} to #{inbox} of its inbox"))
    return wrong


def _told(evidence: Evidence, story: Story, answer_of: Callable[[str, str], int]) -> Wrong:
    """What was acknowledged: starts, answers, files, cancellations, decisions."""
    wrong: Wrong = []
    for line in evidence.told:
        what, how, run_id, name, *_ = line.split()
        run = story.runs.get(run_id)
        if run is None or not run.begun:
            wrong.append(("started" if what == "start" else "told", f"{what} of {run_id} was acknowledged and is lost"))
        elif how == "yes" and what == "answer":
            wrong += _answer(story, run, name, answer_of(run_id, name))
        elif how == "yes" and what == "attach":
            wrong += _file(story, run)
        elif how == "yes" and what == "cancel" and run.status not in ("cancelled", "completed", "failed"):
            wrong.append(("told", f"{run_id} was told to end, and goes on"))
        elif how == "yes" and what == "resolve" and run.status is None and not _is_decided(run, name):
            wrong.append(("told", f"the decision about {name} of {run_id} is lost"))
    for run_id, inbox in story.inboxes.items():
        twice = [command for command, count in inbox.commands.items() if count > 1]
        wrong += [("told", f"{run_id} was told twice under {command}") for command in twice]
    return wrong


def _file(story: Story, run: Run) -> Wrong:
    """A file that was acknowledged lies in the inbox once, and was taken once, unless the run had ended before."""
    digest = hashlib.sha256(f"the file of {run.run_id}".encode()).hexdigest()
    inbox = story.inboxes.get(run.run_id)
    entries = [] if inbox is None else inbox.entries
    places = [
        entry.seq for entry, kind, data in entries if kind == "artifact_attached" and data["artifact_id"] == digest
    ]
    if len(places) != 1:
        return [("told", f"the file of {run.run_id} lies {len(places)} times in its inbox")]
    taken = run.attached.count(digest)
    if taken != 1 and not (taken == 0 and run.status is not None and run.inbox_seq < places[0]):
        return [("told", f"the file of {run.run_id} was taken {taken} times")]
    return []


def _is_decided(run: Run, name: str) -> bool:
    return any(f".{name}." in state for state, _ in run.decided)


def _answer(story: Story, run: Run, name: str, value: int) -> Wrong:
    """An answer that was acknowledged lies in the inbox once, and was taken, unless the run had ended before."""
    payload = hashlib.sha256(str(value).encode()).hexdigest()
    inbox = story.inboxes.get(run.run_id)
    places = [
        entry.seq
        for entry, kind, data in ([] if inbox is None else inbox.entries)
        if kind == "signal_sent" and data["name"] == name and data["payload_id"] == payload
    ]
    if name in run.expired and len(places) < 2:
        return []  # it came too late, and nobody waited for it any more
    if len(places) != 1:
        return [("told", f"the answer to {name} of {run.run_id} lies {len(places)} times in its inbox")]
    taken = run.received.get((name, payload), 0)
    if taken != 1 and not (taken == 0 and run.status is not None and run.inbox_seq < places[0]):
        return [("told", f"the answer to {name} of {run.run_id} was taken {taken} times")]
    bound = [content for key, content in run.facts.items() if key.startswith("wait:") and key.endswith(f":{name}")]
    if bound and bound != [payload]:
        return [("told", f"{name} of {run.run_id} is bound to another answer")]
    return []


def _effects(evidence: Evidence, story: Story, labels: dict[str, str]) -> Wrong:
    """What the outside saw, against what was meant: keys, intents before deliveries, deliveries behind facts."""
    wrong: Wrong = []
    seen: Counter[tuple[str, str]] = Counter()
    keys: dict[str, tuple[str, str]] = {}
    for line in evidence.effects:
        label, fact, key = line.split()
        run = story.runs.get(labels.get(label, ""))
        intents = [] if run is None else run.intents.get(fact, [])
        rule = "unkeyed" if (intents[0] if intents else key) in (None, "-") else "keyed"
        seen[label, fact] += 1
        if not intents:
            wrong.append((rule, f"{fact} of {label} was sent, and nobody had said so before"))
        elif (intents[0] or "-") != key:
            wrong.append((rule, f"{fact} of {label} was sent under {key} instead of {intents[0]}"))
        elif key == "-" and seen[label, fact] > len(intents):
            wrong.append(
                (rule, f"{fact} of {label} was sent {seen[label, fact]} times, and meant {len(intents)} times")
            )
        if key != "-" and keys.setdefault(key, (label, fact)) != (label, fact):
            wrong.append((rule, f"{key} stands for {keys[key]} and for {fact} of {label}"))
    runs = {run_id: label for label, run_id in labels.items()}
    for run in story.runs.values():
        for fact in run.bound_by_call - run.adopted:
            if not seen[runs[run.run_id], fact]:
                rule = "keyed" if run.intents[fact][0] else "unkeyed"
                wrong.append((rule, f"{fact} of {run.run_id} has an answer, and was never sent"))
    return wrong


def _timers(story: Story) -> Wrong:
    """Each fires once; of two that were set one after the other, the one that is due first fires first."""
    wrong: Wrong = []
    for run_id, inbox in story.inboxes.items():
        run = story.runs.get(run_id)
        fired: dict[str, tuple[int, int]] = {}
        for entry, kind, data in inbox.entries:
            if kind != "timer_due":
                continue
            timer = data["timer_id"]
            if timer in fired and fired[timer][1] == data["due_ms"]:
                wrong.append(("timers", f"{timer} of {run_id} fired twice"))
            fired[timer] = (entry.position, data["due_ms"])
            known = None if run is None else run.timers.get(timer)
            if not timer.startswith("deadline:") and (known is None or known.position > entry.position):
                wrong.append(("timers", f"{timer} of {run_id} fired before it was set"))
        wrong += [] if run is None else _in_order(run, fired)
    return wrong


def _in_order(run: Run, fired: dict[str, tuple[int, int]]) -> Wrong:
    wrong: Wrong = []
    for first, (position, due_ms) in fired.items():
        for other, (earlier, later_ms) in fired.items():
            if (due_ms, first) >= (later_ms, other) or position < earlier:
                continue
            if first in run.timers and other in run.timers and run.timers[first].position <= run.timers[other].position:
                wrong.append(("timers", f"{first} of {run.run_id} fired after {other}, and was due before it"))
    return wrong


def _left(evidence: Evidence, story: Story) -> Wrong:
    """Claims, timers and units that nobody needs any more."""
    wrong: Wrong = []
    runs = {f"default/run/{run.run_id}": run for run in story.runs.values()}
    for each in evidence.activations:
        run = runs.get(each.stream)
        if each.owner is not None:
            wrong.append(("left", f"{each.stream} is still held by {each.owner}"))
        elif run is not None and run.status is not None and each.due_ms is not None:
            wrong.append(("left", f"{each.stream} has ended and still wants an owner"))
    for timer in evidence.timers:
        run = runs.get(timer.stream)
        if run is None or run.status is not None:
            wrong.append(("left", f"{timer.stream} needs the timer {timer.timer_id} no more"))
    for lease in story.leases.values():
        wrong += [("left", f"{each.holder} still holds a unit of {lease.name}") for each in lease.held.values()]
        wrong += [("left", f"{request} still waits for {lease.name}") for request in lease.queue]
    return wrong
