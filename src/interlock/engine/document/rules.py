"""The rules that a plan document must keep, by their stable ids.

It holds the catalogue and nothing else: who checks a rule imports it. The reference page of rules is made from it.
"""

from __future__ import annotations

from interlock.base.extras import install_advice
from interlock.engine.document.findings import Level, Rule

FILE_MISSING = Rule("file_missing", "The document is there.", "Name a file that exists.")
FILE_UNREADABLE = Rule("file_unreadable", "A document is a file that can be read.", "Name a file that can be read.")
FILE_TOO_LARGE = Rule("file_too_large", "A document is small.", "Split it: a step can start another document.")
FILE_ENCODING = Rule("file_encoding", "A document is UTF-8.", "Save the file as UTF-8.")
FILE_BOM = Rule("file_bom", "A document begins without a byte order mark.", "Save the file as UTF-8 without BOM.")
FILE_EMPTY = Rule("file_empty", "A document has content.", "Begin with `pipeline:`, `version:` and `steps:`.")
CHARACTER = Rule("character", "Texts hold no control characters.", "Remove the character, or escape it.")
YAML_SYNTAX = Rule(
    "yaml_syntax",
    "A document is YAML 1.2.",
    "Correct the syntax; quote texts that begin with a sign, and those with ${{ … }} between brackets.",
)
JSON_SYNTAX = Rule("json_syntax", "A file named .json is JSON.", "Correct the syntax, or name the file .yaml.")
YAML_DOCUMENTS = Rule("yaml_documents", "A file holds one document.", "Put each document into a file of its own.")
YAML_VERSION = Rule("yaml_version", "A document is read as YAML 1.2.", "Remove the directive.")
YAML_ALIAS = Rule("yaml_alias", "Nothing is an alias.", "Write the value where it is meant.")
YAML_ANCHOR = Rule("yaml_anchor", "Nothing has an anchor.", "Remove the anchor.")
YAML_TAG = Rule("yaml_tag", "Nothing has a tag.", "Remove the tag; quote a text that would be read as something else.")
YAML_MERGE = Rule("yaml_merge", "Mappings are not merged.", "Write the members where they are meant.")
TOO_DEEP = Rule("too_deep", "Values are nested a few levels.", "Nest less.")
TOO_MANY_NODES = Rule("too_many_nodes", "A document has a bounded number of values.", "Split the document.")
KEY_TWICE = Rule("key_twice", "A mapping has each key once.", "Remove one of them.")
KEY_NOT_TEXT = Rule("key_not_text", "Keys are texts.", "Quote the key.")
KEY_TOO_LONG = Rule("key_too_long", "Keys are short.", "Shorten the key.")
NUMBER_RANGE = Rule("number_range", "Whole numbers are exact.", "Write numbers beyond ±(2^53-1) as texts.")
NUMBER_NOT_FINITE = Rule("number_not_finite", "Numbers are finite.", "Write a text instead.")
SURROGATE = Rule("surrogate", "Texts are whole Unicode characters.", "Write the character itself.")

MEMBER_MISSING = Rule("member_missing", "What a document needs is there.", "Add the member.")
MEMBER_UNKNOWN = Rule("member_unknown", "Every member has a meaning.", "Remove the member, or correct its name.")
WRONG_TYPE = Rule("wrong_type", "A value has the type that is meant.", "Write a value of that type.")
WRONG_VALUE = Rule("wrong_value", "A value is one of those that are possible.", "Choose one of them.")
WRONG_FORM = Rule("wrong_form", "A text has its form.", "Write it in that form.")
OUT_OF_BOUNDS = Rule("out_of_bounds", "Sizes and numbers are within their bounds.", "Choose a value within them.")
DURATION_INVALID = Rule(
    "duration_invalid", "A length of time is a number with its unit.", "Write `200ms`, `120s`, `5m`, `2h` or `7d`."
)

HANDLER_UNKNOWN = Rule("handler_unknown", "A step's handler exists.", "Name a handler that exists.")
NAME_TWICE = Rule("name_twice", "Steps have different names.", "Give the step another name.")
NAME_SHADOWS_INPUT = Rule(
    "name_shadows_input", "A step is not named like an input.", "Rename one: both are kept under their name."
)
NEEDS_UNKNOWN = Rule("needs_unknown", "`needs` names steps.", "Name a step of this document.")
NEEDS_LATER = Rule("needs_later", "`needs` names earlier steps.", "Move the needed step up, or turn the need around.")
NEEDS_ITSELF = Rule("needs_itself", "A step does not need itself.", "Remove the name.")
NEEDS_TWICE = Rule("needs_twice", "`needs` names each step once.", "Remove the repetition.", Level.WARNING)

SIDE_EFFECTS_MISSING = Rule(
    "side_effects_missing",
    "A step that may change the outside says whether it does.",
    "Add `side_effects: read_only_io`, or `apply_side_effect` if it changes something.",
)
PURE_REACHES_OUT = Rule(
    "pure_reaches_out", "A step that reaches the outside is not `pure`.", "Write `side_effects: read_only_io`."
)
KEY_ON_READER = Rule(
    "key_on_reader",
    "An idempotency key belongs to an effect.",
    "Write `side_effects: apply_side_effect`, or remove the key.",
)
EFFECT_WITHOUT_KEY = Rule(
    "effect_without_key",
    "An effect has an idempotency key.",
    "Add `idempotency_key`: without it, a crash in the middle parks the run until somebody decides.",
    Level.WARNING,
)
TAG_REMARK = Rule("tag_remark", "Tags are written like the standard ones.", "Correct the tag.", Level.WARNING)
TIMEOUT_ON_WAIT = Rule(
    "timeout_on_wait",
    "A wait is ended by its own deadline.",
    "Write `with: {timeout: …}`: the step's `timeout` bounds an attempt, and a wait holds none.",
    Level.WARNING,
)
BACKOFF_ORDER = Rule("backoff_order", "A back-off begins below its end.", "Let `max_ms` be at least `base_ms`.")
INPUT_UNUSED = Rule("input_unused", "Every input is used.", "Use the input, or remove it.", Level.WARNING)

EXPRESSION_UNCLOSED = Rule("expression_unclosed", "`${{` is closed by `}}`.", "Close it, or write `$${{` for the text.")
EXPRESSION_EMPTY = Rule("expression_empty", "An expression says something.", "Write a path or a CEL expression.")
EXPRESSION_INVALID = Rule("expression_invalid", "An expression is CEL.", "Correct the expression.")
EXPRESSION_TOO_LARGE = Rule("expression_too_large", "Expressions are short.", "Compute it in a step.")
EXPRESSION_NOT_ALLOWED = Rule(
    "expression_not_allowed", "Some members are written out.", "Write the value itself: it is needed before the run."
)
EXPRESSION_WRAPPED = Rule("expression_wrapped", "`skip_when` is bare CEL.", "Remove `${{` and `}}`.")
SKIP_WHEN_TYPE = Rule(
    "skip_when_type", "`skip_when` is true or false.", "Compare something, as in `input.fast == true`."
)
RESULT_TYPE = Rule(
    "result_type",
    "What is computed has the type of its place.",
    "Convert it, as in `string(…)` or `int(…)`.",
    Level.WARNING,
)
CEL_MISSING = Rule(
    "cel_missing",
    "CEL is installed where expressions need it.",
    f"{install_advice('cel')} Paths such as `input.name` need none.",
)
HTTP_MISSING = Rule(
    "http_missing",
    "The HTTP library is installed where a step needs it.",
    install_advice("http"),
    Level.WARNING,
)
REFERENCE_ROOT = Rule(
    "reference_root", "Expressions see `input` and `steps`.", "Begin with `input.` or with `steps.NAME.output`."
)
INPUT_UNKNOWN = Rule("input_unknown", "An expression names inputs that exist.", "Declare it under `input`.")
STEP_UNKNOWN = Rule("step_unknown", "An expression names steps that exist.", "Name a step of this document.")
STEP_NOT_NEEDED = Rule("step_not_needed", "A step needs the steps that it reads.", "Add it to `needs`.")
STEP_DYNAMIC = Rule(
    "step_dynamic", "Which steps are read can be seen in the text.", "Write `steps.NAME.output`, with the name itself."
)
STEP_MEMBER = Rule("step_member", "Of a step, the `output` can be read.", "Write `steps.NAME.output`.")
OUTPUT_UNKNOWN = Rule("output_unknown", "An expression names outputs that a step has.", "Name one of its `outputs`.")

SECRET = Rule(
    "secret_in_document",
    "A document holds no secret.",
    "Name it by a reference: {secret: env:NAME} in a header or a variable.",
)
CHILD_PATH = Rule(
    "child_path",
    "A child document stands in or below the folder of its parent.",
    "Move it there, or set document.children_anywhere.",
)
CHILD_CYCLE = Rule("child_cycle", "Documents do not start themselves.", "Remove the step, or bound it in Python.")
CHILDREN_TOO_MANY = Rule(
    "children_too_many", "Documents start a bounded number of others.", "Start fewer, or nest them less deeply."
)
CHILD_INVALID = Rule("child_invalid", "A child document is sound.", "Correct the findings of that document.")
CHILD_INPUT = Rule("child_input", "A child is given inputs that it has.", "Name an input of the child.")
CHILD_STEP = Rule("child_step", "What is taken from a child is a step of it.", "Name a step of the child.")
FUNCTION_FORM = Rule("function_form", "A function is named as module:function.", "Write `package.module:function`.")
SCHEMA_INVALID = Rule("schema_invalid", "A schema is a JSON Schema.", "Correct the schema.")
DEFAULT_WITHOUT_DEADLINE = Rule(
    "default_without_deadline", "A default is taken at a deadline.", "Add `timeout`, or remove `default`."
)
DEFAULT_MISFITS = Rule(
    "default_misfits", "A default fits the schema of its wait.", "Correct the default or the schema."
)

RULES: tuple[Rule, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Rule))
"""Every rule, in the order of this file."""
