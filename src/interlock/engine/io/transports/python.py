"""Calls Python functions that the application registers: the transport of the namespace `python`.

What it does: calls the named function with a JSON value and answers with the JSON value that it returns; a
coroutine function runs on the event loop, any other in a thread. What it does not do: it ends no thread; a
cancelled call leaves the function of a thread running, and drops what it returns.

Rules: an unknown name is refused; `module:function` is imported for plans of this machine's user alone, since importing
runs code, and from `folder` before anywhere else; what a function raises becomes `python_failed` without a word of its
text, except for errors of our own tree, which are safe by construction. What a function does is not seen in
its name, so a state that calls one says what its side effects are; one that fails may have done half of it.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import logging
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from msgspec import Struct

from interlock.base.canonical import Json, canonical
from interlock.base.errors import Category, ErrorCode, InterlockError
from interlock.base.ids import shown
from interlock.engine.io.transports.port import TransportContext
from interlock.engine.io.transports.requests import read_request

PYTHON_REQUEST_INVALID = ErrorCode(
    "python_request_invalid",
    Category.INVALID,
    "Correct the request where the message says.",
)
PYTHON_FUNCTION_UNKNOWN = ErrorCode(
    "python_function_unknown",
    Category.NOT_FOUND,
    "Register the function, or correct its name.",
)
PYTHON_FUNCTION_REFUSED = ErrorCode(
    "python_function_refused",
    Category.REFUSED,
    "Register the function; only plans of this machine's user have modules imported.",
)
PYTHON_IMPORT_FAILED = ErrorCode(
    "python_import_failed",
    Category.FAILED,
    "Correct the module, or the name of the function; `interlock run start` shows the module's own error on its log.",
)
PYTHON_FAILED = ErrorCode(
    "python_failed",
    Category.UNAVAILABLE,
    "See the function; an error of interlock.base.errors would say more.",
)
PYTHON_RESULT_INVALID = ErrorCode(
    "python_result_invalid", Category.UNAVAILABLE, "Let the function return a value of JSON types."
)

ERRORS = (
    PYTHON_REQUEST_INVALID,
    PYTHON_FUNCTION_UNKNOWN,
    PYTHON_FUNCTION_REFUSED,
    PYTHON_IMPORT_FAILED,
    PYTHON_FAILED,
    PYTHON_RESULT_INVALID,
)

_LOG = logging.getLogger("interlock.plans")

PythonFunction = Callable[[Any], Any]
"""Takes a JSON value, and returns one or a coroutine that does; what it returns is checked."""


@dataclass(frozen=True, slots=True)
class PythonFunctions:
    """The functions that plans may call, by name."""

    by_name: Mapping[str, PythonFunction]


class PythonRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A request of the namespace `python`."""

    kind: Literal["call_function_v1"]
    function: str
    input: Any = None
    folder: str | None = None


class PythonTransport:
    """The transport of the namespace `python`. Answers with what the function returns."""

    def __init__(self, functions: PythonFunctions) -> None:
        self._functions = functions.by_name

    def effectful(self, request: Json) -> bool:
        """Always: what a function does is not seen in its request."""
        del request
        return True

    async def call(self, request: Json, context: TransportContext) -> Json:
        """Call the function that `request` names. Raises: the `python_…` codes, and errors of our tree."""
        order = read_request(request, PythonRequest, PYTHON_REQUEST_INVALID)
        function = self._functions.get(order.function)
        if function is None and ":" in order.function:
            function = _imported(order, context)
        if function is None:
            raise PYTHON_FUNCTION_UNKNOWN.error(f"no function is registered as {shown(order.function)!r}")
        result = await _result(function, order)
        try:
            canonical(result)
        except InterlockError as fault:
            raise PYTHON_RESULT_INVALID.error(
                f"{order.function} returned what is not JSON ({fault.code})", function=order.function
            ) from None
        return result

    async def close(self) -> None:
        """Nothing is held between calls."""


def _imported(order: PythonRequest, context: TransportContext) -> PythonFunction:
    """The function `module:function`. Side effect: imports the module.

    Raises: `python_function_refused`, `python_import_failed`.
    """
    if not context.local_plan:
        raise PYTHON_FUNCTION_REFUSED.error("a plan from elsewhere may only name registered functions")
    module, _, name = order.function.partition(":")
    if order.folder is not None and order.folder not in sys.path:
        sys.path.insert(0, order.folder)
        importlib.invalidate_caches()
    try:
        found: object = importlib.import_module(module)
        for attribute in name.split("."):
            found = getattr(found, attribute)
    except (Exception, SystemExit) as fault:  # noqa: BLE001 - whatever a module raises is the outcome of its import
        _LOG.exception("a function of a plan cannot be imported")
        raise PYTHON_IMPORT_FAILED.error(
            f"{shown(order.function, 100)} cannot be imported: {type(fault).__name__}", function=shown(order.function)
        ) from None
    if not callable(found):
        raise PYTHON_IMPORT_FAILED.error(f"{shown(order.function, 100)} is no function", function=shown(order.function))
    return found


async def _result(function: PythonFunction, order: PythonRequest) -> Json:
    # A copy, so that a function that changes its input changes no request that is recorded.
    given = copy.deepcopy(order.input)
    try:
        if inspect.iscoroutinefunction(function):
            return cast("Json", await function(given))
        return cast("Json", await asyncio.to_thread(function, given))
    except InterlockError:
        raise
    except Exception as fault:  # noqa: BLE001 - whatever a function raises is the outcome of its call
        message = f"{order.function} raised {type(fault).__name__}"
        raise PYTHON_FAILED.error(message, function=order.function) from None
