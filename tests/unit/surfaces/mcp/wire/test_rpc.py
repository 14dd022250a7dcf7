"""JSON-RPC of the wire: every error of the contract as data, and nothing that ends it."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.gates import errors as gate_errors
from interlock.gates.control import errors as control_errors
from interlock.gates.showing import DocsSettings
from interlock.journal.errors import DISK_FULL, EVENT_CORRUPT, QUEUE_FULL
from interlock.surfaces import errors as surface_errors
from interlock.surfaces.mcp.search import Library, Page
from interlock.surfaces.mcp.wire.documents import WireDocuments
from interlock.surfaces.mcp.wire.faults import CODES, Kind, fault, fault_of
from interlock.surfaces.mcp.wire.framing import BODY_BYTES_MAX
from interlock.surfaces.mcp.wire.rpc import Rpc
from interlock.surfaces.mcp.wire.services import WireServices
from interlock.surfaces.mcp.wire.tools import TOOLS, Tool, WireTools

DOCUMENTS = WireDocuments(
    Library([Page("guide", "Guide", "pattern", "# Guide", "A guide."), Page("own", "Own", "pattern", "x", "", True)]),
    DocsSettings(),
)
CODE = ErrorCode("some_fault", Category.FAILED, "Nothing.")


class Asked(Struct, frozen=True):
    """What the tool of these tests does."""

    say: str


async def answer(_services: WireServices, asked: Asked) -> Any:
    match asked.say:
        case "refuse":
            raise CODE.error("it does not work")
        case "wait":
            raise QUEUE_FULL.error("too many wait", retry_after_ms=250)
        case "break":
            raise RuntimeError("the secret")
        case "strange":
            return object()
        case say:
            return {"said": say}


def rpc(documents: WireDocuments = DOCUMENTS) -> Rpc:
    services: Any = SimpleNamespace(documents=documents)
    tools = (Tool("say", "Say something.", Asked, "runpack", answer), TOOLS[-1])
    return Rpc(WireTools(services, tools), documents)


def ask(body: Any, *, correlation_id: str | None = None, documents: WireDocuments = DOCUMENTS) -> tuple[int, Any]:
    """The status and the response to a body; a value is sent as JSON."""
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    response = asyncio.run(rpc(documents).answer(content, correlation_id))
    return response.status, json.loads(response.body)


def call(name: str, arguments: Any, **members: Any) -> dict[str, Any]:
    params = {"name": name, "arguments": arguments}
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params, **members}


def method(name: str, params: Any = None) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 'a"b', "method": name, "params": params}


READ = "resources/read"
STATUS = {-32070: 413, -32030: 200, -32040: 200, -32050: 200, -32060: 200}
"""Of the errors below; 400 for every other."""
NO_REQUEST = (-32600, "invalid_request", "invalid json-rpc request", None)
NO_CALL = (-32602, "invalid_params", "invalid tool params", "7")
TOO_LARGE = (-32070, "request_too_large", "request body too large", None)
NO_METHOD = (-32601, "method_not_found", "method not found", '"a\\"b"')
FAILED = (-32040, "runpack", "it does not work")


def invalid(message: str, request_id: str = "7") -> tuple[int, str, str, str]:
    return -32602, "invalid_params", message, request_id


def no_resource(message: str) -> tuple[int, str, str, str]:
    return invalid(message, '"a\\"b"')


ERRORS: list[tuple[Any, tuple[Any, ...]]] = [
    (b"", NO_REQUEST),
    (b"{", NO_REQUEST),
    (b"\xff", NO_REQUEST),
    (b"[" * 100_000, NO_REQUEST),
    (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"x"}', NO_REQUEST),
    ([method("tools/list")], NO_REQUEST),
    ({"jsonrpc": "2.0", "method": "tools/list"}, NO_REQUEST),
    ({"id": 1, "method": "tools/list"}, NO_REQUEST),
    ({"jsonrpc": "2.0", "id": 1}, NO_REQUEST),
    (
        {"jsonrpc": "1.0", "id": 1, "method": "tools/list"},
        (-32600, "invalid_request", "invalid json-rpc version", "1"),
    ),
    (None, TOO_LARGE),
    (b" " * (BODY_BYTES_MAX + 1), TOO_LARGE),
    (method("initialize"), NO_METHOD),
    (method("tools/List"), NO_METHOD),
    (call("say", {"say": "x"}, params=None), NO_CALL),
    (call("say", {"say": "x"}, params={"name": "say"}), NO_CALL),
    (call("say", {"say": "x"}, params={"name": 1, "arguments": {}}), NO_CALL),
    (call("none", {}), (-32601, "method_not_found", "unknown tool", "7")),
    (call("say", {"say": 1}), invalid("not as the contract has it: Expected `str`, got `int` - at `$.say`")),
    (call("say", None), invalid("not as the contract has it: Expected `object`, got `null`")),
    (call("say", {"say": "refuse"}), (*FAILED, "7")),
    (call("say", {"say": "refuse"}, id=None), (*FAILED, "null")),
    (call("say", {"say": "refuse"}, id=[1, {}]), (*FAILED, "[1,{}]")),
    (call("say", {"say": "break"}), (-32050, "internal", "internal error", "7")),
    (call("say", {"say": "strange"}), (-32060, "serialization", "serialization failed", "7")),
    (method(READ), no_resource("resources.read requires uri")),
    (method(READ, {"uri": 1}), no_resource("resources.read requires uri")),
    (method(READ, {"uri": "file:///x"}), no_resource("resource uri must start with decision-gate://docs/")),
    (method(READ, {"uri": "decision-gate://docs/own"}), no_resource("unknown resource uri")),
]


@pytest.mark.parametrize(("body", "expected"), ERRORS)
def test_every_error_has_its_code_its_kind_and_its_data(body: Any, expected: tuple[Any, ...]) -> None:
    code, kind, message, request_id = expected
    asked_id = None if request_id is None else json.loads(request_id)
    data = {"kind": kind, "retryable": False, "request_id": request_id}
    error = {"code": code, "message": message, "data": data}
    assert ask(body) == (STATUS.get(code, 400), {"jsonrpc": "2.0", "id": asked_id, "error": error})


def test_a_fault_of_the_program_is_traced_and_its_words_are_not_answered(capsys: pytest.CaptureFixture[str]) -> None:
    assert "the secret" not in json.dumps(ask(call("say", {"say": "break"})))
    assert "RuntimeError: the secret" in capsys.readouterr().err


def test_a_limit_that_passes_says_when_to_ask_again() -> None:
    status, response = ask(call("say", {"say": "wait"}))
    assert status == 200
    assert response["error"]["code"] == -32071
    assert response["error"]["data"] == {
        "kind": "rate_limited",
        "retryable": True,
        "request_id": "7",
        "retry_after_ms": 250,
    }


@pytest.mark.parametrize("correlation_id", ["", "a b", "ä", "a\x00", "a" * 129, "a/b", '"', "a\n"])
def test_a_correlation_id_that_is_none_is_refused_before_anything_is_read(correlation_id: str) -> None:
    status, response = ask(b"{", correlation_id=correlation_id)
    assert (status, response["error"]["code"], response["error"]["message"]) == (400, -32073, "invalid correlation id")
    assert response["error"]["data"]["kind"] == "invalid_correlation_id"


@pytest.mark.parametrize("correlation_id", ["a", "A-1_2.3~", "!#$%&'*+-.^_`|~", "a" * 128])
def test_a_correlation_id_of_the_contract_is_accepted(correlation_id: str) -> None:
    assert ask(call("say", {"say": "x"}), correlation_id=correlation_id)[0] == 200


def test_a_result_is_one_item_of_json_in_the_order_of_the_contract() -> None:
    response = asyncio.run(rpc().answer(json.dumps(call("say", {"say": "x", "more": 1})).encode()))
    assert response.body == (b'{"jsonrpc":"2.0","id":7,"result":{"content":[{"type":"json","json":{"said":"x"}}]}}')


def test_the_lists_name_tools_and_resources() -> None:
    tools = ask(method("tools/list"))[1]["result"]["tools"]
    assert [list(tool) for tool in tools] == [["name", "description", "input_schema"]] * 2
    assert [tool["name"] for tool in tools] == ["say", "decision_gate_docs_search"]
    assert ask(method("resources/list"))[1]["result"] == {
        "resources": [
            {
                "uri": "decision-gate://docs/guide",
                "name": "Guide",
                "description": "A guide.",
                "mimeType": "text/markdown",
            },
            {"uri": "decision-gate://docs/custom/own", "name": "Own", "description": "", "mimeType": "text/markdown"},
        ]
    }
    read = {"contents": [{"uri": "decision-gate://docs/guide", "mimeType": "text/markdown", "text": "# Guide"}]}
    for params in ({"uri": "decision-gate://docs/guide"}, {"arguments": {"uri": "decision-gate://docs/guide"}}):
        assert ask(method(READ, params))[1]["result"] == read


@pytest.mark.parametrize(
    ("settings", "search", "resources"),
    [
        (DocsSettings(enabled=False), False, False),
        (DocsSettings(enable_search=False), False, True),
        (DocsSettings(enable_resources=False), True, False),
    ],
)
def test_documentation_that_is_switched_off_is_not_there(settings: DocsSettings, search: bool, resources: bool) -> None:
    documents = WireDocuments(Library([]), settings)
    names = [tool["name"] for tool in ask(method("tools/list"), documents=documents)[1]["result"]["tools"]]
    assert ("decision_gate_docs_search" in names) == search
    found = ask(call("decision_gate_docs_search", {"query": "x"}), documents=documents)[1]
    assert ("result" in found) == search
    for name in ("resources/list", READ):
        code = ask(method(name, {"uri": "x"}), documents=documents)[1].get("error", {}).get("code")
        assert (code == -32601) == (not resources)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists) | st.binary(max_size=30))
def test_whatever_is_asked_is_answered(body: Any) -> None:
    assert ask(body)[1]["error"]["data"]["kind"] in CODES


KINDS: list[tuple[InterlockError, Kind, Kind]] = [
    (control_errors.SCENARIO_NOT_FOUND.error("x"), "control_plane", "not_found"),
    (control_errors.SCENARIO_CONFLICT.error("x"), "control_plane", "conflict"),
    (control_errors.SUBMISSION_CONFLICT.error("x"), "control_plane", "conflict"),
    (control_errors.SCENARIO_RUN_NOT_FOUND.error("x"), "control_plane", "control_plane"),
    (control_errors.SCENARIO_RUN_NOT_FOUND.error("x"), "runpack", "not_found"),
    (control_errors.SCENARIO_RUN_EXISTS.error("x"), "control_plane", "control_plane"),
    (control_errors.SCENARIO_MISMATCH.error("x"), "control_plane", "control_plane"),
    (control_errors.SCENARIO_RUN_INACTIVE.error("x"), "control_plane", "control_plane"),
    (control_errors.POLICY_DENIED.error("x"), "control_plane", "control_plane"),
    (control_errors.GATE_RESOLUTION_FAILED.error("x"), "control_plane", "control_plane"),
    (control_errors.TRIGGER_TIME_MISMATCH.error("x"), "control_plane", "control_plane"),
    (control_errors.PAYLOAD_TOO_LARGE.error("x"), "control_plane", "control_plane"),
    (control_errors.STAGE_NOT_FOUND.error("x"), "control_plane", "control_plane"),
    (control_errors.SCENARIO_RUN_MOVED.error("x"), "control_plane", "rate_limited"),
    (control_errors.NAMESPACE_DENIED.error("x"), "control_plane", "unauthorized"),
    (control_errors.TENANT_DENIED.error("x"), "control_plane", "unauthorized"),
    (control_errors.PAYLOAD_UNFIT.error("x"), "control_plane", "invalid_params"),
    (control_errors.PRECHECK_INVALID.error("x"), "control_plane", "invalid_params"),
    (gate_errors.COMPARATOR_FORBIDDEN.error("x"), "control_plane", "invalid_params"),
    (gate_errors.COMPARATOR_DISABLED.error("x"), "control_plane", "invalid_params"),
    (gate_errors.COMPARATOR_NOT_LISTED.error("x"), "control_plane", "invalid_params"),
    (gate_errors.COMPARATOR_EXPECTED_INVALID.error("x"), "control_plane", "invalid_params"),
    (gate_errors.COMPARATOR_SCHEMA_INVALID.error("x"), "control_plane", "invalid_params"),
    (gate_errors.CONDITION_UNBOUND.error("x"), "control_plane", "invalid_params"),
    (gate_errors.GATE_INPUT_INVALID.error("x"), "control_plane", "invalid_params"),
    (gate_errors.PROVIDER_MISSING.error("x"), "control_plane", "control_plane"),
    (gate_errors.SCENARIO_STAGES_MISSING.error("x"), "control_plane", "control_plane"),
    (gate_errors.SHAPE_EXISTS.error("x"), "invalid_params", "conflict"),
    (gate_errors.SHAPE_NOT_FOUND.error("x"), "invalid_params", "not_found"),
    (gate_errors.SHAPE_SCHEMA_INVALID.error("x"), "invalid_params", "invalid_params"),
    (gate_errors.EVIDENCE_TOO_LARGE.error("x"), "evidence", "evidence"),
    (surface_errors.CONTRACT_HIDDEN.error("x"), "invalid_params", "unauthorized"),
    (surface_errors.WIRE_ANSWER_TOO_LARGE.error("x"), "invalid_params", "request_too_large"),
    (surface_errors.WIRE_INPUT_INVALID.error("x"), "control_plane", "invalid_params"),
    (surface_errors.RUNPACKS_ABSENT.error("x"), "runpack", "runpack"),
    (DISK_FULL.error("x"), "control_plane", "internal"),
    (EVENT_CORRUPT.error("x"), "control_plane", "internal"),
    (EVENT_CORRUPT.error("x"), "runpack", "runpack"),
]


@pytest.mark.parametrize(("error", "own", "kind"), KINDS, ids=lambda each: getattr(each, "code", str(each)))
def test_an_error_of_ours_is_one_of_the_wire(error: InterlockError, own: Kind, kind: Kind) -> None:
    found = fault_of(error, own)
    assert (found.kind, found.code) == (kind, CODES[kind])
    assert found.message == ("unauthorized" if kind == "unauthorized" else "x")


@pytest.mark.parametrize(
    "kind",
    [
        gate_errors.PROVIDER_MISSING,
        gate_errors.CHECK_MISSING,
        gate_errors.PARAMS_MISSING,
        gate_errors.PARAMS_INVALID,
        gate_errors.EXPECTED_INVALID,
        gate_errors.COMPARATOR_NOT_ALLOWED,
    ],
    ids=lambda kind: kind.code,
)
def test_what_a_contract_does_not_allow_is_invalid_and_says_the_code(kind: ErrorCode) -> None:
    found = fault_of(kind.error("it is not"), "evidence", contracts=True)
    assert (found.code, found.message) == (-32602, f"{kind.code}: it is not")


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("unauthenticated", 401),
        ("unauthorized", 403),
        ("invalid_params", 400),
        ("not_found", 200),
        ("conflict", 200),
        ("evidence", 200),
        ("control_plane", 200),
        ("runpack", 200),
        ("internal", 200),
        ("serialization", 200),
        ("request_too_large", 200),
        ("rate_limited", 200),
        ("inflight_limit", 503),
    ],
)
def test_an_error_of_a_tool_has_its_status_where_it_goes_over_http(kind: Kind, status: int) -> None:
    found = fault(kind, "x")
    assert (found.status, found.retryable) == (status, kind in {"rate_limited", "inflight_limit"})
