"""The verbs about subscriptions: records of input and output, and thin handlers over `Subscriptions`.

What it does: adds, lists, shows, pauses, resumes, redrives and removes subscriptions. What it does not do: no verb
delivers; a process that works does.

Rule: where a subscription stands is shown as a cursor, which a new one can begin at.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Raw, Struct

from interlock.base.bounds import PAGE_ITEMS_MAX
from interlock.base.canonical import parse
from interlock.base.part import CallContext, Command, Effect
from interlock.journal.errors import SINK_TARGET_INVALID
from interlock.journal.subscriptions.fold import Letter, SubscriptionState
from interlock.journal.subscriptions.progress import Lane
from interlock.journal.subscriptions.service import NOW, Subscriptions
from interlock.journal.subscriptions.views import SubscriptionRow
from interlock.journal.views import Views

Name = Annotated[str, Meta(min_length=1, max_length=63, description="The subscription's name.")]
Text = Annotated[str, Meta(min_length=1, max_length=600)]
Version = Annotated[
    Annotated[int, Meta(ge=0)] | None,
    Meta(description="Only if it still has this version, which `subscription show` tells."),
]
ROWS_SHOWN_MAX = 100
"""Streams held back, and dead letters, that one answer shows."""


class AddSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to deliver, and where to."""

    name: Name
    sink: Annotated[str, Meta(min_length=1, max_length=63, description="Where to: file, http, log.")]
    target: Annotated[Raw | None, Meta(description="What the sink needs to know, a JSON object.")] = None
    type: Annotated[
        tuple[Text, ...], Meta(description="Only events of this type, or of types that begin so: `engine.run_*`.")
    ] = ()
    kind: Annotated[tuple[Text, ...], Meta(description="Only events of streams of this kind, such as run.")] = ()
    audience: Annotated[
        tuple[Text, ...],
        Meta(description="Only events that are for this one, such as packets for `agent:builder`."),
    ] = ()
    start: Annotated[
        str, Meta(max_length=4096, description="Where to begin: now, beginning, or a cursor that was given out.")
    ] = NOW


class SubscriptionInput(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which subscription."""

    name: Name


class ChangeSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which subscription is changed."""

    name: Name
    expect_version: Version = None


class PauseSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which subscription is not delivered for a while, and why."""

    name: Name
    reason: Annotated[str, Meta(min_length=1, max_length=500, description="Why; recorded with your name.")]
    expect_version: Version = None


class RedriveSubscription(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which dead letters are delivered again."""

    name: Name
    key: Annotated[tuple[Text, ...], Meta(description="Only this letter, as `subscription show` names it.")] = ()
    expect_version: Version = None


class ListSubscriptions(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which subscriptions to list, newest first."""

    state: Annotated[str | None, Meta(description="Only those in this state: active, paused.")] = None
    limit: Annotated[int, Meta(ge=1, le=PAGE_ITEMS_MAX, description="Rows in a page.")] = 50
    cursor: Annotated[str | None, Meta(description="Where the page before ended.")] = None


class SubscriptionList(Struct, frozen=True):
    """A page of subscriptions."""

    items: list[SubscriptionRow]
    next: str | None


class SubscriptionChanged(Struct, frozen=True):
    """What became of a subscription; `changed` is False where it was so already."""

    name: str
    changed: bool


class SubscriptionRedriven(Struct, frozen=True):
    """How many dead letters are delivered again."""

    name: str
    letters: int


class HeldStream(Struct, frozen=True):
    """A stream with undelivered events after `after`, the first of which is tried again at `due_ms`."""

    stream: str
    after: int
    goal: int
    attempts: int
    due_ms: int
    code: str
    message: str


class DeadLetter(Struct, frozen=True):
    """An event that was given up; `redriven` while it is on its way again."""

    key: str
    attempts: int
    at_ms: int
    redriven: bool
    code: str
    message: str


class SubscriptionReport(Struct, frozen=True):
    """A subscription as it is now. Of streams and letters the first hundred are shown; `held` and `dead` count all."""

    name: str
    version: int
    state: str
    reason: str | None
    sink: str
    target: Raw
    kinds: tuple[str, ...]
    types: tuple[str, ...]
    audience: tuple[str, ...]
    cursor: str
    behind: int
    deliverer: str | None
    held: int
    dead: int
    streams: list[HeldStream]
    letters: list[DeadLetter]


async def _add(ctx: CallContext, given: AddSubscription) -> SubscriptionChanged:
    target = {} if given.target is None else parse(bytes(given.target))
    if not isinstance(target, dict):
        raise SINK_TARGET_INVALID.error("the target is a JSON object", place="target")
    added = await ctx.services.get(Subscriptions).add(
        given.name,
        sink=given.sink,
        target=target,
        types=given.type,
        kinds=given.kind,
        audience=given.audience,
        start=given.start,
        principal=ctx.principal,
        command_id=ctx.command_id,
    )
    return SubscriptionChanged(given.name, added)


async def _list(ctx: CallContext, given: ListSubscriptions) -> SubscriptionList:
    terms = {} if given.state is None else {"state": given.state}
    page = await ctx.services.get(Views).query(ctx.principal.tenant, "subscriptions", terms, given.cursor, given.limit)
    return SubscriptionList(page.items, page.next)


async def _show(ctx: CallContext, given: SubscriptionInput) -> SubscriptionReport:
    subscriptions = ctx.services.get(Subscriptions)
    standing = await subscriptions.standing(given.name, principal=ctx.principal)

    def report(state: SubscriptionState) -> SubscriptionReport:
        letters = sorted(state.letters.values(), key=lambda each: (each.stream, each.seq))
        paused = state.paused
        return SubscriptionReport(
            name=given.name,
            version=state.version,
            state="active" if paused is None else "paused",
            reason=None if paused is None else paused.reason,
            sink=state.sink,
            target=Raw(bytes(state.target)),
            kinds=state.filter.kinds,
            audience=state.filter.audience,
            types=state.filter.types,
            cursor=standing.cursor,
            behind=standing.behind,
            deliverer=standing.deliverer,
            held=len(standing.lanes),
            dead=len(letters),
            streams=[_held(each) for each in standing.lanes[:ROWS_SHOWN_MAX]],
            letters=[_letter(each) for each in letters[:ROWS_SHOWN_MAX]],
        )

    return await subscriptions.look(given.name, report, principal=ctx.principal)


def _held(lane: Lane) -> HeldStream:
    return HeldStream(lane.stream, lane.after, lane.goal, lane.attempts, lane.due_ms, lane.code, lane.message)


def _letter(letter: Letter) -> DeadLetter:
    return DeadLetter(letter.key, letter.attempts, letter.at_ms, letter.redriven, letter.code, letter.message)


async def _pause(ctx: CallContext, given: PauseSubscription) -> SubscriptionChanged:
    changed = await ctx.services.get(Subscriptions).pause(
        given.name,
        given.reason,
        principal=ctx.principal,
        command_id=ctx.command_id,
        expect_version=given.expect_version,
    )
    return SubscriptionChanged(given.name, changed)


async def _resume(ctx: CallContext, given: ChangeSubscription) -> SubscriptionChanged:
    changed = await ctx.services.get(Subscriptions).resume(
        given.name, principal=ctx.principal, command_id=ctx.command_id, expect_version=given.expect_version
    )
    return SubscriptionChanged(given.name, changed)


async def _redrive(ctx: CallContext, given: RedriveSubscription) -> SubscriptionRedriven:
    letters = await ctx.services.get(Subscriptions).redrive(
        given.name, given.key, principal=ctx.principal, command_id=ctx.command_id, expect_version=given.expect_version
    )
    return SubscriptionRedriven(given.name, letters)


async def _remove(ctx: CallContext, given: ChangeSubscription) -> SubscriptionChanged:
    changed = await ctx.services.get(Subscriptions).remove(
        given.name, principal=ctx.principal, command_id=ctx.command_id, expect_version=given.expect_version
    )
    return SubscriptionChanged(given.name, changed)


COMMANDS = (
    Command(
        "subscription",
        "add",
        AddSubscription,
        SubscriptionChanged,
        _add,
        "Deliver events to a sink from now on.",
        """interlock subscription add audit --sink file --target '{"path": "audit.jsonl"}'""",
        "subscription.add",
        Effect.CHANGES,
        positional=("name",),
    ),
    Command(
        "subscription",
        "list",
        ListSubscriptions,
        SubscriptionList,
        _list,
        "List subscriptions.",
        "interlock subscription list --state paused",
        "subscription.read",
        Effect.READS,
    ),
    Command(
        "subscription",
        "show",
        SubscriptionInput,
        SubscriptionReport,
        _show,
        "Show how far a subscription is, what is held back and what was given up.",
        "interlock subscription show audit",
        "subscription.read",
        Effect.READS,
        positional=("name",),
    ),
    Command(
        "subscription",
        "pause",
        PauseSubscription,
        SubscriptionChanged,
        _pause,
        "Deliver nothing of a subscription until it is resumed.",
        "interlock subscription pause audit --reason 'the disk is changed'",
        "subscription.pause",
        Effect.CHANGES,
        positional=("name",),
    ),
    Command(
        "subscription",
        "resume",
        ChangeSubscription,
        SubscriptionChanged,
        _resume,
        "Deliver a paused subscription again, from where it stood.",
        "interlock subscription resume audit",
        "subscription.resume",
        Effect.CHANGES,
        positional=("name",),
    ),
    Command(
        "subscription",
        "redrive",
        RedriveSubscription,
        SubscriptionRedriven,
        _redrive,
        "Deliver dead letters again, all or those that are named.",
        "interlock subscription redrive audit --key default/run/7c3b0f5e-9c4d-4e2a-8f6b-7d1c2e3f4a5b#3",
        "subscription.redrive",
        Effect.CHANGES,
        positional=("name",),
    ),
    Command(
        "subscription",
        "remove",
        ChangeSubscription,
        SubscriptionChanged,
        _remove,
        "Forget a subscription and how far it was.",
        "interlock subscription remove audit",
        "subscription.remove",
        Effect.CHANGES,
        positional=("name",),
    ),
)
