"""The grammar of plan documents: the records that say what a document may hold.

What it does: declares the records of a document, from which the check of a document's form, the JSON Schema for editors
and the reference page are made. What it does not do: it checks nothing itself; names, order and expressions are checked
by `lint`.

Rule: one grammar of steps for every kind of document; another kind has another head, and the same steps.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from interlock.base.ids import SEGMENT
from interlock.engine.durations import Duration

STEPS_MAX: Final = 1_000
"""Steps of one document."""

INPUTS_MAX: Final = 1_000
TAGS_MAX: Final = 100
NAME_FORM: Final = r"\A[A-Za-z_][A-Za-z0-9_]{0,62}\Z"
Segment = Annotated[str, Meta(pattern=rf"\A{SEGMENT}\Z")]
Name = Annotated[str, Meta(pattern=NAME_FORM)]


class BackoffGrammar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long a step waits before it is tried again."""

    kind: Annotated[
        Literal["fixed", "exponential"],
        Meta(description="`fixed` waits `delay_ms` each time; `exponential` doubles `base_ms` up to `max_ms`."),
    ]
    delay_ms: Annotated[int, Meta(ge=0, le=2**53 - 1, description="Milliseconds, of `fixed`.")] = 0
    base_ms: Annotated[int, Meta(ge=0, le=2**53 - 1, description="Milliseconds, of `exponential`.")] = 0
    max_ms: Annotated[int, Meta(ge=0, le=2**53 - 1, description="Milliseconds, of `exponential`.")] = 0


class RetryGrammar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often a step is tried."""

    max_attempts: Annotated[int, Meta(ge=1, le=2**32 - 1, description="Attempts in all, with the first.")] = 1
    backoff: (
        Annotated[BackoffGrammar, Meta(description="The time between attempts; none where it is absent.")] | None
    ) = None


class StepGrammar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"with_": "with"}):
    """One step."""

    name: Annotated[Segment, Meta(description="The step's name; its state has the id `<pipeline>.<name>.main`.")]
    handler: Annotated[str, Meta(min_length=1, max_length=63, description="What the step does.")]
    with_: Annotated[dict[str, Any], Meta(description="What the handler is given; see the handlers.")] = {}
    needs: Annotated[
        list[str],
        Meta(max_length=STEPS_MAX, description="Earlier steps that must have completed, and whose output can be read."),
    ] = []
    side_effects: (
        Annotated[
            Literal["pure", "read_only_io", "apply_side_effect"],
            Meta(description="What the step does to the outside; required for `exec` and for `http` that is no GET."),
        ]
        | None
    ) = None
    idempotency_key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=512,
                description="What the outside knows a repetition of the step's effect by; may hold expressions.",
            ),
        ]
        | None
    ) = None
    skip_when: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=4_096,
                description="CEL without `${{ }}`; where it is true, the step is skipped.",
            ),
        ]
        | None
    ) = None
    retry: Annotated[RetryGrammar, Meta(description="How often the step is tried.")] | None = None
    timeout: Annotated[Duration, Meta(description="The time that one attempt has, such as 120s.")] | None = None
    tags: Annotated[
        list[Annotated[str, Meta(min_length=1, max_length=200)]],
        Meta(max_length=TAGS_MAX, description="Words that planners and policies know the step by."),
    ] = []
    outputs: Annotated[
        dict[Name, Any],
        Meta(
            max_length=200,
            description="Named values of `output`, `input` and `steps`; where there are any, they are all that "
            "the step's output holds.",
        ),
    ] = {}


class DocumentGrammar(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan document."""

    pipeline: Annotated[Segment, Meta(description="The plan's name: the operation id of its runs.")]
    version: Annotated[str, Meta(min_length=1, max_length=100, description="The plan's version, a text.")]
    input: Annotated[
        dict[Name, Any],
        Meta(max_length=INPUTS_MAX, description="The inputs of a run with their defaults; a run takes no others."),
    ] = {}
    steps: Annotated[
        list[StepGrammar], Meta(min_length=1, max_length=STEPS_MAX, description="The steps, in the order of the plan.")
    ]
