"""What a fork of a run inherits, and what it does anew: a pure reading of the source's events.

What it does: finds where a fork begins, which states completed before that with their facts, which waits it asks again
and which effects it would send once more, and holds the caller's choice for each of these against what is possible.
What it does not do: it reads no store (`forking`) and records nothing (`inheriting`).

Rules: a fork inherits states that completed before its position and nothing after; a fact belongs to the state whose
attempt bound it, and one that cannot be told apart is not inherited; children are never shared; an effect without
a key can only be sent again, because nothing could absorb it.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec
from msgspec import Struct

from interlock.base.ids import shown, step_name
from interlock.engine import events as e
from interlock.engine.decide import completed_states
from interlock.engine.errors import FORK_CHOICE_INVALID, FORK_CHOICE_NEEDED, FORK_POSITION_NEEDED
from interlock.engine.pipelines.planner import recovery_point
from interlock.engine.plan import PlanOutline
from interlock.engine.run_state import WAIT_PREFIX, RunState, StepStatus

CHILD_PREFIX = "child:"
_NAMES_ITS_STATE = (WAIT_PREFIX, CHILD_PREFIX, "time:", "random:")

Choice = Literal["absorb", "again"]
ABSORB: Choice = "absorb"
AGAIN: Choice = "again"


class ForkEffect(Struct, frozen=True):
    """An effect of the source at or after the position: what came of it there, and what the fork does about it.

    `outcome` is recorded, failed or unknown; `options` are the choices there are. The key `child:…` stands for all
    effects of a child run, which is started anew.
    """

    step: str
    state_id: str
    fact_key: str
    namespace: str
    idempotency_key: str | None
    outcome: str
    options: tuple[Choice, ...]
    choice: Choice | None = None


class ForkWait(Struct, frozen=True):
    """A wait of the source that the fork asks again, by its step, its name there and its kind."""

    step: str
    name: str
    kind: str


class Inherited(Struct, frozen=True):
    """A state of the source as a fork inherits it: where it started and ended, and what it recorded of the outside."""

    state_id: str
    base: str
    snapshot: str
    writes_id: str | None
    records: tuple[Struct, ...]

    @property
    def facts(self) -> list[str]:
        """Keys of its facts."""
        return [record.key for record in self.records if isinstance(record, e.FactRecorded)]


class Heritage(Struct, frozen=True):
    """What a fork at one position inherits, and what it does anew.

    `children` are keys of children that are started anew, with the artifacts that name the source's own; `sent_again`
    says of effects that the source was to send again which run's id ends their keys.
    """

    inherited: tuple[Inherited, ...]
    effects: tuple[ForkEffect, ...]
    waits: tuple[ForkWait, ...]
    children: Mapping[str, str]
    sent_again: Mapping[str, str]


@dataclass
class _State:
    """What the walk learns of one state."""

    base: str = ""
    snapshot: str = ""
    writes_id: str | None = None
    records: dict[tuple[str, str], Struct] = field(default_factory=dict)
    waits: dict[str, str] = field(default_factory=dict)


class _Walk:
    """One pass over a source's records."""

    def __init__(self) -> None:
        self.states: dict[str, _State] = {}
        self.completed: list[str] = []
        self.before: dict[str, int] = {}
        """How many states had completed when a state was first entered."""
        self.open: dict[str, None] = {}
        self.owner: dict[str, str] = {}
        self.is_sequential = True
        self.sent_again: dict[str, str] = {}

    def step(self, record: Struct | None) -> None:
        match record:
            case e.RunLimits():
                self.is_sequential = record.max_concurrency == 1
            case e.RunForked():
                self.sent_again = {each.fact_key: each.run_id for each in record.again}
            case e.StateEntered():
                self.before.setdefault(record.state_id, len(self.completed))
                self.of(record.state_id).base = record.base_snapshot_id
                self.open[record.state_id] = None
            case e.BranchCompleted():
                self.of(record.state_id).writes_id = record.writes_id
            case e.StateCompleted():
                self.of(record.state_id).snapshot = record.context_snapshot_id
                self.completed.append(record.state_id)
                self.open.pop(record.state_id, None)
            case e.StateFailed():
                self.open.pop(record.state_id, None)
            case e.StateSuspended():
                self.open.pop(record.state_id, None)
                self.of(record.state_id).waits |= {wait.name: wait.kind for wait in record.waits}
            case e.EffectIntended():
                self.owner[record.fact_key] = record.state_id
                records = self.of(record.state_id).records
                records.pop(("settled", record.fact_key), None)
                records["intended", record.fact_key] = record
            case e.EffectSettled():
                self.note(self.owner.get(record.fact_key), ("settled", record.fact_key), record)
            case e.FactRecorded():
                self.note(self.owner_of(record), ("fact", record.key), record)
                if record.key.startswith(WAIT_PREFIX):  # answered early, it never suspended its state
                    _, state_id, name = record.key.split(":", 2)
                    self.of(state_id).waits.setdefault(name, "signal")
            case _:
                pass

    def of(self, state_id: str) -> _State:
        return self.states.setdefault(state_id, _State())

    def note(self, state_id: str | None, place: tuple[str, str], record: Struct) -> None:
        if state_id is not None:
            self.of(state_id).records[place] = record

    def owner_of(self, record: e.FactRecorded) -> str | None:
        """The state that a fact belongs to; None where the source does not say it."""
        known = record.state_id or self.owner.get(record.key)
        if known is None and record.key.startswith(_NAMES_ITS_STATE):
            named = record.key.split(":", 2)[1]
            known = named if named in self.states else None
        if known is None and len(self.open) == 1:
            known = next(iter(self.open))
        return known


def heritage(records: Iterable[Struct | None], outline: PlanOutline, from_state: str) -> Heritage:
    """What a fork of the run with these records inherits if it begins at `from_state`; all of it where that is `""`."""
    walk = _Walk()
    for record in records:
        walk.step(record)
    if walk.is_sequential:
        kept = walk.completed[: walk.before.get(from_state, len(walk.completed))]
    else:
        gone = _and_after(outline, from_state)
        kept = [state_id for state_id in walk.completed if state_id not in gone]
    inherited = tuple(
        Inherited(state_id, each.base, each.snapshot, each.writes_id, tuple(each.records.values()))
        for state_id in kept
        for each in [walk.states[state_id]]
    )
    unchanged = set(kept)
    anew = {state_id: each for state_id, each in walk.states.items() if state_id not in unchanged}
    return Heritage(
        inherited,
        tuple(effect for state_id, each in anew.items() for effect in _effects(state_id, each)),
        tuple(wait for state_id, each in anew.items() for wait in _waits(state_id, each)),
        {key: fact.payload_id for each in anew.values() for key, fact in _children(each)},
        walk.sent_again,
    )


def _and_after(outline: PlanOutline, state_id: str) -> set[str]:
    """A state and all that wait for it, directly or not."""
    after: dict[str, list[str]] = {}
    for before, follower in outline.edges:
        after.setdefault(before, []).append(follower)
    found, waiting = {state_id}, [state_id]
    while waiting:
        fresh = [each for each in after.get(waiting.pop(), []) if each not in found]
        found.update(fresh)
        waiting += fresh
    return found


def _waits(state_id: str, state: _State) -> list[ForkWait]:
    return [ForkWait(step_name(state_id), name, kind) for name, kind in state.waits.items()]


def _effects(state_id: str, state: _State) -> list[ForkEffect]:
    found = []
    for (kind, key), record in state.records.items():
        if kind != "intended" or not isinstance(record, e.EffectIntended):
            continue
        failed = ("settled", key) in state.records
        outcome = "recorded" if ("fact", key) in state.records else "failed" if failed else "unknown"
        options: tuple[Choice, ...] = (ABSORB, AGAIN) if record.idempotency_key is not None else (AGAIN,)
        name = step_name(state_id)
        found.append(ForkEffect(name, state_id, key, record.namespace, record.idempotency_key, outcome, options))
    return found


def _children(state: _State) -> list[tuple[str, e.FactRecorded]]:
    return [
        (key, record)
        for (kind, key), record in state.records.items()
        if kind == "fact" and key.startswith(CHILD_PREFIX) and isinstance(record, e.FactRecorded)
    ]


def children_of(records: Iterable[Struct | None]) -> list[str]:
    """Artifacts that name the children which a run has started."""
    facts = (record for record in records if isinstance(record, e.FactRecorded))
    return [fact.payload_id for fact in facts if fact.key.startswith(CHILD_PREFIX)]


def child_effect(key: str, intents: Sequence[e.EffectIntended]) -> ForkEffect | None:
    """All effects of a child (and of its own) as one entry; None where it sent none.

    The keys of a child's effects are its plan's own, so they are absorbed, or go out again where there is none.
    """
    if not intents:
        return None
    _, state_id, _ = key.split(":", 2)
    is_keyed = all(each.idempotency_key is not None for each in intents)
    option: Choice = ABSORB if is_keyed else AGAIN
    return ForkEffect(step_name(state_id), state_id, key, "child", None, "recorded", (option,))


def position(state: RunState, outline: PlanOutline) -> str:
    """The state where a fork begins that nobody named one for: where the run stands, or what that recovers from.

    Raises: `fork_position_needed` for a run that completed.
    """
    if state.status is e.RunStatus.COMPLETED:
        raise FORK_POSITION_NEEDED.error("the run completed, so there is no step where it stands")
    order = outline.order()
    stands = _stands(state, order)
    if stands is None:
        raise FORK_POSITION_NEEDED.error("every step has completed, so there is none where the run stands")
    plan = outline.plan(state.fingerprint)
    if not plan.states[plan.index[stands]].meta.depends_on:
        return stands
    return recovery_point(plan, completed_states(state), stands) or stands


def _stands(state: RunState, order: Sequence[str]) -> str | None:
    """Where a run stands: at what failed, is parked, waits, was entered, or comes next, in this order."""
    unfinished = {i: step for i, step in state.steps.items() if step.status is not StepStatus.COMPLETED}
    failed = [i for i, step in unfinished.items() if step.status is StepStatus.FAILED and i not in state.parked]
    for group in (failed, state.parked, state.waits, unfinished):
        if group:
            return next(each for each in order if each in group)
    return next((each for each in order if each not in state.steps), None)


class Choices(Struct, frozen=True):
    """What a caller wants of the effects: by fact key, and for all that are not named."""

    absorb: tuple[str, ...] = ()
    again: tuple[str, ...] = ()
    absorb_all: bool = False
    again_all: bool = False


def choose(effects: Sequence[ForkEffect], choices: Choices) -> tuple[ForkEffect, ...]:
    """The effects, each with its choice. Raises: `fork_choice_needed`, `fork_choice_invalid`."""
    _check_names({effect.fact_key for effect in effects}, choices)
    chosen = tuple(msgspec.structs.replace(effect, choice=_choice(effect, choices)) for effect in effects)
    open_ = [effect for effect in chosen if effect.choice is None]
    if open_:
        refused = [effect for effect in open_ if _wanted(effect, choices) is not None]
        only = [f"{each.fact_key}: {each.options[0]}" for each in open_ if len(each.options) == 1]
        raise FORK_CHOICE_NEEDED.error(
            _cannot(refused)
            if refused
            else "say of each effect whether it is absorbed or sent again: "
            + "; ".join(_options(each) for each in open_[:8]),
            effects=[each.fact_key for each in open_],
            steps=[each.step for each in open_],
            only=only,
        )
    return chosen


def _keys(effects: Sequence[ForkEffect]) -> str:
    return ", ".join(shown(each.fact_key) for each in effects[:8])


def _cannot(refused: Sequence[ForkEffect]) -> str:
    """Why the choice that somebody made for these effects is none."""
    kept = [effect for effect in refused if effect.options == (ABSORB,)]
    if kept:
        return f"a child sends its effects under the keys of its plan, so these can only be absorbed: {_keys(kept)}"
    options = " ".join(f"--again {shown(each.fact_key)}" for each in refused[:8])
    return (
        f"without an idempotency key nothing can absorb an effect, and these have none: {_keys(refused)}. "
        f"Send them again with {options}, or leave them out with a later --from"
    )


def _options(effect: ForkEffect) -> str:
    """The options that choose for an effect."""
    return " or ".join(f"--{option} {shlex.quote(shown(effect.fact_key))}" for option in effect.options)


def _check_names(known: Collection[str], choices: Choices) -> None:
    both = sorted(set(choices.absorb) & set(choices.again))
    if both or (choices.absorb_all and choices.again_all):
        raise FORK_CHOICE_INVALID.error("an effect is either absorbed or sent again, not both", effects=both)
    strange = sorted({*choices.absorb, *choices.again} - set(known))
    if strange:
        names = [shown(each) for each in strange]
        raise FORK_CHOICE_INVALID.error(f"no effect at or after the position has the key {names[0]}", effects=names)


def _choice(effect: ForkEffect, choices: Choices) -> Choice | None:
    wanted = _wanted(effect, choices)
    return wanted if wanted in effect.options else None


def _wanted(effect: ForkEffect, choices: Choices) -> Choice | None:
    """What the caller said of an effect, whether it is possible or not."""
    if effect.fact_key in choices.absorb:
        return ABSORB
    if effect.fact_key in choices.again:
        return AGAIN
    if choices.absorb_all or choices.again_all:
        return ABSORB if choices.absorb_all else AGAIN
    return None
