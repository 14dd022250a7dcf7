"""Python functions as a way out."""

from __future__ import annotations

import asyncio
import threading
from typing import cast

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.python import PythonFunctions, PythonTransport

CONTEXT = TransportContext("00000000-0000-4000-8000-000000000000", "m.s.l", 0)
BUSY = ErrorCode("busy", Category.UNAVAILABLE, "Wait.", retryable=True)


def double(given: Json) -> Json:
    return [given, given]


async def slowly(given: Json) -> Json:
    await asyncio.sleep(0)
    return given


def thread_name(_: Json) -> Json:
    return threading.current_thread().name


def changes_its_input(given: Json) -> Json:
    assert isinstance(given, dict)
    given["changed"] = True
    return given


def fails(_: Json) -> Json:
    raise ValueError("the password is hunter2")


def is_busy(_: Json) -> Json:
    raise BUSY.error("busy now")


def gives_no_json(_: Json) -> Json:
    return cast("Json", {1, 2})


FUNCTIONS = {
    function.__name__: function
    for function in (double, slowly, thread_name, changes_its_input, fails, is_busy, gives_no_json)
}


def call(function: str, given: Json = None) -> Json:
    transport = PythonTransport(PythonFunctions(FUNCTIONS))
    request: Json = {"kind": "call_function_v1", "function": function, "input": given}
    return asyncio.run(transport.call(request, CONTEXT))


def refused(request: Json) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        asyncio.run(PythonTransport(PythonFunctions(FUNCTIONS)).call(request, CONTEXT))
    return caught.value


def test_a_function_gets_json_and_gives_json() -> None:
    assert call("double", {"a": 1}) == [{"a": 1}, {"a": 1}]


def test_a_coroutine_function_runs_on_the_loop_and_any_other_in_a_thread() -> None:
    assert call("slowly", 7) == 7
    assert call("thread_name") != threading.current_thread().name


def test_a_function_that_changes_its_input_changes_no_request() -> None:
    given: dict[str, Json] = {"changed": False}

    assert call("changes_its_input", given) == {"changed": True}
    assert given == {"changed": False}


@pytest.mark.parametrize(
    "request_",
    [
        None,
        [],
        {},
        {"kind": "call_function_v2", "function": "double"},
        {"kind": "call_function_v1", "function": 7},
        {"kind": "call_function_v1", "function": "double", "hunter2": 1},
    ],
    ids=repr,
)
def test_a_malformed_request_is_refused_and_not_repeated(request_: Json) -> None:
    fault = refused(request_)

    assert fault.code == "python_request_invalid"
    assert "hunter2" not in str(fault)
    assert "call_function_v2" not in str(fault)


def test_an_unknown_function_is_refused() -> None:
    assert refused({"kind": "call_function_v1", "function": "os.system"}).code == "python_function_unknown"


def test_what_a_function_raises_becomes_a_stable_error_without_its_text() -> None:
    fault = refused({"kind": "call_function_v1", "function": "fails"})

    assert (fault.code, fault.category, fault.retryable) == ("python_failed", Category.UNAVAILABLE, False)
    assert "ValueError" in str(fault)
    assert "hunter2" not in f"{fault} {fault.details}"
    assert fault.__suppress_context__


def test_an_error_of_our_own_tree_keeps_its_code_and_whether_it_can_be_retried() -> None:
    fault = refused({"kind": "call_function_v1", "function": "is_busy"})

    assert (fault.code, fault.retryable) == ("busy", True)


def test_a_result_that_is_no_json_is_refused() -> None:
    assert refused({"kind": "call_function_v1", "function": "gives_no_json"}).code == "python_result_invalid"


def test_every_function_counts_as_an_effect() -> None:
    assert PythonTransport(PythonFunctions({})).effectful({"function": "double"})
