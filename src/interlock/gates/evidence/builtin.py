"""The contracts of the built-in providers, as data.

What it does: holds the contracts of `time`, `env`, `json` and `http` as the reference has them, and of `run` and
`exec`, which are ours. What it does not do: it answers nothing (`providers`).

Rule: what stands here is what a scenario is checked against; each provider's test asks it for every check.
"""

from __future__ import annotations

from typing import Any, Final

from interlock.gates.evidence.contracts import COMPARATORS, CheckContract, CheckExample, ProviderContract
from interlock.gates.spec import Comparator

_PRESENCE: Final[list[Comparator]] = ["exists", "not_exists"]
_SAMENESS: Final[list[Comparator]] = ["equals", "not_equals", "in_set", *_PRESENCE]
_ORDERED: Final[list[Comparator]] = [
    "equals",
    "not_equals",
    "greater_than",
    "greater_than_or_equal",
    "less_than",
    "less_than_or_equal",
    "in_set",
    *_PRESENCE,
]
_TEXT: Final[list[Comparator]] = ["equals", "not_equals", "contains", "in_set", *_PRESENCE]
_NOTHING: Final[dict[str, Any]] = {"type": "object", "additionalProperties": False, "properties": {}}
_DYNAMIC: Final[dict[str, Any]] = {
    "type": ["null", "boolean", "number", "string", "array", "object"],
    "x-decision-gate": {"dynamic_type": True},
}
_JSON: Final = ["application/json"]


def _params(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(required),
    }


def _text(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description} | more


def _whole(description: str, default: int, **more: Any) -> dict[str, Any]:
    return {"type": "integer", "minimum": 0, "default": default, "description": description} | more


def _flag(description: str, default: bool) -> dict[str, Any]:  # noqa: FBT001 - a default stands as it is
    return {"type": "boolean", "default": default, "description": description}


def _texts(description: str, default: list[str] | None) -> dict[str, Any]:
    kind = "array" if default is not None else ["array", "null"]
    return {"type": kind, "items": {"type": "string"}, "default": default, "description": description}


def _threshold(relation: str) -> CheckContract:
    timestamp = {
        "description": "Milliseconds since 1970 or a place in the logical order, or a date-time by RFC 3339.",
        "oneOf": [{"type": "integer"}, {"type": "string", "format": "date-time"}],
    }
    return CheckContract(
        check_id=relation,
        description=f"Whether the trigger's time is {relation} a threshold, which does not count itself.",
        determinism="time_dependent",
        params_required=True,
        params_schema=_params(("timestamp",), timestamp=timestamp),
        result_schema={"type": "boolean"},
        allowed_comparators=_SAMENESS,
        anchor_types=["trigger_time_unix_millis", "trigger_time_logical"],
        content_types=_JSON,
        examples=[
            CheckExample("A time of the year 2023.", {"timestamp": 1_700_000_000_000}, relation == "after"),
            CheckExample("A date-time.", {"timestamp": "2023-11-14T22:13:20Z"}, relation == "after"),
        ],
    )


TIME: Final = ProviderContract(
    provider_id="time",
    name="Time",
    description="The time of the trigger. No clock is read.",
    transport="builtin",
    config_schema=_params((), allow_logical=_flag("Whether logical times are answered.", default=True)),
    checks=[
        CheckContract(
            check_id="now",
            description="The trigger's time.",
            determinism="time_dependent",
            params_required=False,
            params_schema=_NOTHING,
            result_schema={"type": "integer"},
            allowed_comparators=_ORDERED,
            anchor_types=["trigger_time_unix_millis", "trigger_time_logical"],
            content_types=_JSON,
            examples=[CheckExample("A time in milliseconds.", {}, 1_700_000_000_000)],
        ),
        _threshold("after"),
        _threshold("before"),
    ],
    notes=["All times are the caller's: a decision is the same whenever it is looked at."],
)

ENV: Final = ProviderContract(
    provider_id="env",
    name="Environment",
    description="Variables of this process, as far as they are allowed.",
    transport="builtin",
    config_schema=_params(
        (),
        allowlist=_texts("Variables that may be asked for; null: all that are not denied.", None),
        denylist=_texts("Variables that may not.", []),
        max_value_bytes=_whole("Bytes of a value.", 65_536),
        max_key_bytes=_whole("Bytes of a name.", 255),
        overrides={
            "type": ["object", "null"],
            "additionalProperties": {"type": "string"},
            "default": None,
            "description": "Stands instead of the environment.",
        },
    ),
    checks=[
        CheckContract(
            check_id="get",
            description="The value of a variable, or nothing.",
            determinism="external",
            params_required=True,
            params_schema=_params(("key",), key=_text("The variable.")),
            result_schema={"type": ["string", "null"]},
            allowed_comparators=_TEXT,
            anchor_types=["env"],
            content_types=["text/plain"],
            examples=[CheckExample("Where it runs.", {"key": "DEPLOY_ENV"}, "production")],
        )
    ],
    notes=["A variable that is not set is no value: exists is False, and equals is Unknown."],
)

JSON: Final = ProviderContract(
    provider_id="json",
    name="JSON files",
    description="Values of JSON and YAML files under one folder.",
    transport="builtin",
    config_schema=_params(
        ("root", "root_id"),
        root=_text("The folder."),
        root_id=_text("What the folder is called in anchors.", pattern="^[a-z0-9][a-z0-9_-]{0,63}$"),
        max_bytes=_whole("Bytes of a file, and of what is selected.", 1_048_576),
        allow_yaml=_flag("Whether YAML is read.", default=True),
    ),
    checks=[
        CheckContract(
            check_id="path",
            description="A file, or what a JSONPath (RFC 9535) selects of it: one value, or a list of several.",
            determinism="external",
            params_required=True,
            params_schema=_params(
                ("file",), file=_text("The file, from the folder."), jsonpath=_text("What to select.")
            ),
            result_schema=_DYNAMIC,
            allowed_comparators=list(COMPARATORS),
            anchor_types=["file_path_rooted"],
            content_types=["application/json", "application/yaml"],
            examples=[CheckExample("How many failed.", {"file": "report.json", "jsonpath": "$.summary.failed"}, 0)],
        )
    ],
    notes=["Symbolic links are followed, and must stay under the folder."],
)

_HTTP_CONFIG: Final = _params(
    (),
    allow_http=_flag("Whether addresses may be http ones.", default=False),
    timeout_ms=_whole("How long an answer is waited for.", 5_000, minimum=1),
    max_response_bytes=_whole("Bytes of a body.", 1_048_576),
    allowed_hosts=_texts("Hosts that may be asked; null: all.", None),
    allow_private_networks=_flag("Whether this machine and private networks may be asked.", default=False),
    user_agent=_text("What it calls itself.", default="decision-gate/0.1"),
    hash_algorithm={"const": "sha256", "default": "sha256"},
)
_URL: Final = _params(("url",), url=_text("The address, without user and password.", format="uri"))

HTTP: Final = ProviderContract(
    provider_id="http",
    name="HTTP",
    description="Answers of web servers. No redirect is followed.",
    transport="builtin",
    config_schema=_HTTP_CONFIG,
    checks=[
        CheckContract(
            check_id="status",
            description="The status of the answer to a GET.",
            determinism="external",
            params_required=True,
            params_schema=_URL,
            result_schema={"type": "integer"},
            allowed_comparators=_ORDERED,
            anchor_types=["url"],
            content_types=_JSON,
            examples=[CheckExample("A service that is up.", {"url": "https://service.example/health"}, 200)],
        ),
        CheckContract(
            check_id="body_hash",
            description="The digest of the body of the answer to a GET.",
            determinism="external",
            params_required=True,
            params_schema=_URL,
            result_schema={
                "type": "object",
                "additionalProperties": False,
                "properties": {"algorithm": {"type": "string"}, "value": {"type": "string"}},
                "required": ["algorithm", "value"],
            },
            allowed_comparators=_PRESENCE,
            anchor_types=["url"],
            content_types=_JSON,
            examples=[
                CheckExample(
                    "An empty body.",
                    {"url": "https://service.example/empty"},
                    {
                        "algorithm": "sha256",
                        "value": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
                    },
                )
            ],
        ),
    ],
    notes=["A name is resolved once, and every address of it must be public unless private networks are allowed."],
)

_RUN_ID: Final = _text("The run.", format="uuid")


def _of_run(check_id: str, description: str, params: dict[str, Any], example: CheckExample) -> CheckContract:
    return CheckContract(
        check_id=check_id,
        description=description,
        determinism="external",
        params_required=True,
        params_schema=params,
        result_schema=_DYNAMIC,
        allowed_comparators=list(COMPARATORS),
        anchor_types=["run"],
        content_types=_JSON,
        examples=[example],
    )


_EXAMPLE_RUN: Final = "00000000-0000-4000-8000-000000000000"
RUN: Final = ProviderContract(
    provider_id="run",
    name="Runs",
    description="Runs of this journal: how they stand, and what they have come to.",
    transport="builtin",
    config_schema=_NOTHING,
    checks=[
        CheckContract(
            check_id="status",
            description="The phase of a run: running, completed, failed or cancelled.",
            determinism="external",
            params_required=True,
            params_schema=_params(("run_id",), run_id=_RUN_ID),
            result_schema={"type": "string"},
            allowed_comparators=_TEXT,
            anchor_types=["run"],
            content_types=_JSON,
            examples=[CheckExample("A run that has ended well.", {"run_id": _EXAMPLE_RUN}, "completed")],
        ),
        _of_run(
            "output",
            "What a step of a run returned, or nothing.",
            _params(("run_id", "step"), run_id=_RUN_ID, step=_text("The step.")),
            CheckExample("A count.", {"run_id": _EXAMPLE_RUN, "step": "tests"}, {"failed": 0}),
        ),
        _of_run(
            "fact",
            "What a run recorded under a key, or nothing; never what it sealed.",
            _params(("run_id", "key"), run_id=_RUN_ID, key=_text("The key of the fact.")),
            CheckExample("An answer.", {"run_id": _EXAMPLE_RUN, "key": "scan"}, {"findings": 0}),
        ),
    ],
    notes=["Evidence is as old as the last event of the run."],
)

EXEC: Final = ProviderContract(
    provider_id="exec",
    name="Programs",
    description="What a program prints, where the configuration allows the program.",
    transport="builtin",
    config_schema=_params(
        (),
        allowed_paths=_texts("Folders whose programs may run; none: no program.", []),
        timeout_ms=_whole("How long a program is waited for.", 10_000, minimum=1),
        max_output_bytes=_whole("Bytes of its output.", 1_048_576),
    ),
    checks=[
        CheckContract(
            check_id=check_id,
            description=description,
            determinism="external",
            params_required=True,
            params_schema=_params(
                ("program",),
                program=_text("The whole path of the program."),
                args={"type": "array", "items": {"type": "string"}, "description": "Its arguments."},
                input={"description": "What it reads, as JSON."},
            ),
            result_schema=result,
            allowed_comparators=allowed,
            anchor_types=["program"],
            content_types=_JSON,
            examples=[
                CheckExample("A check of ours.", {"program": "/usr/local/bin/check", "args": ["--json"]}, example)
            ],
        )
        for check_id, description, result, allowed, example in (
            ("output", "The JSON value that a program prints.", _DYNAMIC, list(COMPARATORS), {"ok": True}),
            ("exit_code", "The exit code of a program.", {"type": "integer"}, _ORDERED, 0),
        )
    ],
    notes=["A program gets no environment of this process and no shell."],
)

BUILTIN: Final = {each.provider_id: each for each in (TIME, ENV, JSON, HTTP, RUN, EXEC)}
"""The contracts by id; these ids are nobody else's."""
