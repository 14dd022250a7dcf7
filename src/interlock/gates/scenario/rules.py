"""The rules that a scenario document must keep, by their stable ids.

It holds the catalogue and nothing else: who checks a rule imports it. A rule that `validate` refuses by has the id of
its error code. What concerns the text of a document is a rule of all documents.
"""

from __future__ import annotations

from msgspec.structs import replace

from interlock.base.errors import ErrorCode
from interlock.engine.document import rules as documents
from interlock.engine.document.findings import Level, Rule
from interlock.gates import errors


def _refusal(kind: ErrorCode, summary: str) -> Rule:
    """The rule that `validate` refuses by with this code."""
    return Rule(kind.code, summary, kind.advice)


FILE_TOO_LARGE = replace(documents.FILE_TOO_LARGE, hint="Let packets name large content by its digest.")
FILE_EMPTY = replace(documents.FILE_EMPTY, hint="Begin with `scenario_id`, `stages` and `conditions`.")

STAGES_MISSING = _refusal(errors.SCENARIO_STAGES_MISSING, "A scenario has a stage.")
STAGE_DUPLICATE = _refusal(errors.SCENARIO_STAGE_DUPLICATE, "Stages have different ids.")
GATE_DUPLICATE = _refusal(errors.SCENARIO_GATE_DUPLICATE, "Gates have different ids, over all stages.")
PACKET_DUPLICATE = _refusal(errors.SCENARIO_PACKET_DUPLICATE, "Packets have different ids, over all stages.")
CONDITION_DUPLICATE = _refusal(errors.SCENARIO_CONDITION_DUPLICATE, "Conditions have different ids.")
QUERY_INVALID = _refusal(errors.SCENARIO_QUERY_INVALID, "A condition asks a provider for a check.")
CONDITION_UNDEFINED = _refusal(errors.SCENARIO_CONDITION_UNDEFINED, "A requirement names conditions that there are.")
TARGET_UNKNOWN = _refusal(errors.SCENARIO_TARGET_UNKNOWN, "A stage leads to stages that there are.")

REQUIREMENT_FORM = Rule(
    "requirement_form",
    "A requirement is a tree of its five kinds.",
    "Write one of And, Or, Not, RequireGroup and Condition, or the text of a requirement.",
)
REQUIREMENT_TEXT = Rule(
    "requirement_text",
    "The text of a requirement can be read.",
    "Write conditions with `and`, `or`, `not`, `at_least(n, …)` and parentheses.",
)
REQUIREMENT_TOO_DEEP = Rule(
    "requirement_too_deep", "A requirement is nested 32 levels at most.", "Nest less: what is deeper is never decided."
)
REQUIREMENT_NEVER_HOLDS = Rule(
    "requirement_never_holds", "A requirement can hold.", "Correct it: whatever the evidence, its gate stays closed."
)
REQUIREMENT_ALWAYS_HOLDS = Rule(
    "requirement_always_holds",
    "A requirement can fail.",
    "Name conditions: whatever the evidence, its gate is open.",
    Level.WARNING,
)
GROUP_NEVER_HOLDS = Rule(
    "group_never_holds", "A group asks for no more than it has.", "Lower `min`, or add what is missing."
)
GROUP_ALWAYS_HOLDS = Rule(
    "group_always_holds", "A group asks for something.", "Let `min` be 1 at least.", Level.WARNING
)

STAGE_UNREACHABLE = Rule("stage_unreachable", "Every stage can be reached.", "Lead to it, or remove it.", Level.WARNING)
STAGE_CYCLE = Rule(
    "stage_cycle",
    "Stages lead on.",
    "Check that the way back is meant: its packets are issued again each time.",
    Level.WARNING,
)
STAGE_WITHOUT_END = Rule("stage_without_end", "From every stage an end can be reached.", "Lead out of the circle.")
STAGE_OPEN = Rule(
    "stage_open", "A stage has a gate.", "Add one: a stage without gates opens at its first trigger.", Level.WARNING
)
BRANCH_GATE_UNKNOWN = Rule("branch_gate_unknown", "A branch names a gate.", "Name a gate of this stage.")
BRANCH_GATE_ELSEWHERE = Rule(
    "branch_gate_elsewhere",
    "A branch names gates of its own stage.",
    "Name a gate of this stage: any other is unknown here.",
    Level.WARNING,
)
BRANCH_RULE_DEAD = Rule(
    "branch_rule_dead",
    "A branch can be taken.",
    "Remove it, or move it up.",
    Level.WARNING,
)
BRANCH_WITHOUT_MATCH = Rule(
    "branch_without_match", "A stage that opens leads somewhere.", "Add a `default`, or a branch that fits."
)

AUTO_TICK_WITHOUT_TIMEOUT = Rule(
    "auto_tick_without_timeout", "A tick of its own belongs to a timeout.", "Add `timeout`, or remove `auto_tick`."
)
ON_TIMEOUT_WITHOUT_TIMEOUT = Rule(
    "on_timeout_without_timeout",
    "What happens at a timeout needs one.",
    "Add `timeout`, or write `on_timeout: fail`.",
    Level.WARNING,
)
TIMEOUT_COMPLETES = Rule(
    "timeout_completes",
    "A run does not complete because time passes.",
    "Write `on_timeout: fail`: nothing follows this stage, so its timeout completes the run with closed gates.",
    Level.WARNING,
)
ALTERNATE_WITHOUT_BRANCH = Rule(
    "alternate_without_branch",
    "An alternate branch belongs to a branch.",
    "Write `advance_with_flag`, or let the stage branch.",
    Level.WARNING,
)
ON_HOLD_WITHOUT_BRANCH = Rule(
    "on_hold_without_branch",
    "`on_hold: branch` belongs to a branch.",
    "Let the stage branch, or remove `on_hold`.",
    Level.WARNING,
)

ID_BLANK = Rule("id_blank", "Ids and versions are no blank texts.", "Write a name.")
TAG_BLANK = Rule("tag_blank", "Tags and labels are no blank texts.", "Remove it, or write a word.", Level.WARNING)
CONDITION_UNUSED = Rule(
    "condition_unused", "Every condition is used.", "Name it in a requirement, or remove it.", Level.WARNING
)
EXPECTED_MISSING = Rule(
    "expected_missing",
    "A comparator has something to compare with.",
    "Add `expected`: without it, and with null, the condition is never known.",
)
EXPECTED_SUPERFLUOUS = Rule(
    "expected_superfluous", "`exists` and `not_exists` compare with nothing.", "Remove `expected`."
)
EXPECTED_INVALID = Rule(
    "expected_invalid", "What is expected is something that the check can give.", "Write a value of the check's type."
)
PROVIDER_MISSING = Rule("provider_missing", "A provider is known.", "Name a provider that is configured.")
CHECK_MISSING = Rule("check_missing", "A provider has the check.", "Name a check of this provider.")
PARAMS_MISSING = Rule("params_missing", "A check that needs parameters has them.", "Add `params`.")
PARAMS_INVALID = Rule("params_invalid", "Parameters are those of the check.", "Correct them by the check's contract.")
COMPARATOR_NOT_ALLOWED = Rule(
    "comparator_not_allowed", "A comparator fits its check.", "Choose one that the check allows."
)
COMPARATOR_REFUSED = Rule(
    "comparator_refused", "A comparator fits the type of what it compares.", "Choose one that fits the type."
)
SECRET = Rule(
    "secret_in_scenario",
    "A scenario holds no secret.",
    "Remove it: scenarios are stored, exported and shown as they are.",
    Level.WARNING,
)

OF_TEXTS: tuple[Rule, ...] = (
    documents.FILE_MISSING,
    documents.FILE_UNREADABLE,
    FILE_TOO_LARGE,
    documents.FILE_ENCODING,
    documents.FILE_BOM,
    FILE_EMPTY,
    documents.CHARACTER,
    documents.YAML_SYNTAX,
    documents.JSON_SYNTAX,
    documents.YAML_DOCUMENTS,
    documents.YAML_VERSION,
    documents.YAML_ALIAS,
    documents.YAML_ANCHOR,
    documents.YAML_TAG,
    documents.YAML_MERGE,
    documents.TOO_DEEP,
    documents.TOO_MANY_NODES,
    documents.KEY_TWICE,
    documents.KEY_NOT_TEXT,
    documents.KEY_TOO_LONG,
    documents.NUMBER_RANGE,
    documents.NUMBER_NOT_FINITE,
    documents.SURROGATE,
    documents.MEMBER_MISSING,
    documents.MEMBER_UNKNOWN,
    documents.WRONG_TYPE,
    documents.WRONG_VALUE,
    documents.WRONG_FORM,
    documents.OUT_OF_BOUNDS,
)
"""What scenario documents have to keep as every document has."""

RULES: tuple[Rule, ...] = (
    *OF_TEXTS,
    *(value for name, value in list(globals().items()) if isinstance(value, Rule) and not name.startswith("FILE_")),
)
"""Every rule, in the order of this file."""
