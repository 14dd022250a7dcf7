"""The input of a run: JSON of its caller, made the first context.

What it does: makes JSON of what a program gives, refuses what is none, too large, or not what the plan's functions ask
for. What it does not do: it writes nothing, and judges no value that a state may give instead.

Rules: records convert by the types that they declare; in plain data only JSON counts, so that nothing is quietly made
something else. A parameter is held against the input where nothing but the input can have given it: states that are
skipped ask for nothing, and what comes after a state that writes the context by itself is left to the run.
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping
from dataclasses import is_dataclass
from difflib import get_close_matches
from enum import Enum
from typing import Any

import msgspec
from msgspec import Struct

from interlock.base import ids
from interlock.base.canonical import Json, canonical
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.engine.authoring import FunctionState, Parameter
from interlock.engine.context import encoded
from interlock.engine.errors import INPUT_INVALID, INPUT_TOO_LARGE
from interlock.engine.plan import ExecutionPlan, StateNode

NAME_CHARACTERS = 80
"""Characters of names that are compared for likeness."""


def plain(given: object) -> Json:
    """What a program gave, as JSON's own types. Raises: `run_input_invalid`."""
    try:
        return _plain(given)
    except RecursionError:
        raise INPUT_INVALID.error("the input is nested too deeply") from None


def _plain(value: Any) -> Json:
    if isinstance(value, Struct | Enum) or _is_record_class(type(value)):
        return _converted(value)
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise INPUT_INVALID.error(f"the input is not JSON: a key of type {type(key).__name__}")
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, str | int | float):
        return value
    raise INPUT_INVALID.error(f"the input is not JSON: a value of type {type(value).__name__}")


def _is_record_class(kind: type) -> bool:
    return is_dataclass(kind) or hasattr(kind, "__attrs_attrs__")


def _converted(record: object) -> Json:
    try:
        value: Json = msgspec.to_builtins(record, str_keys=True, order="deterministic")
    except (TypeError, ValueError) as fault:
        raise INPUT_INVALID.error(f"the input is not JSON ({type(fault).__name__})") from fault
    return value


def input_members(given: Json, plan: ExecutionPlan, bytes_max: int) -> dict[str, bytes]:
    """The members of an input as first context: canonical bytes by key.

    Raises: `run_input_invalid`, `run_input_too_large`, `secrets_detected`, `id_invalid`.
    """
    if given is None:
        return {}
    if not isinstance(given, dict):
        raise INPUT_INVALID.error("the input is not an object with named members")
    # The states of a pipeline keep what they return under keys of their own.
    names = frozenset[str]() if plan.planned else plan.step_names
    shadowed = sorted(names.intersection(given))
    if shadowed:
        raise INPUT_INVALID.error(f"the input has a member named like the state {shadowed[0]}", member=shadowed[0])
    members = {ids.context_key(key): encoded(key, value, "the input") for key, value in given.items()}
    # As canonical JSON: a brace at each end, and for each member a colon and a comma, but for the last.
    size_bytes = 1 + sum(len(canonical(key)) + len(content) + 2 for key, content in members.items())
    if size_bytes > bytes_max:
        raise INPUT_TOO_LARGE.error(f"an input of {size_bytes} bytes, of {bytes_max} at most", limit_bytes=bytes_max)
    return members


def check_parameters(plan: ExecutionPlan, given: Mapping[str, bytes], skip_tags: Iterable[str]) -> None:
    """Refuse an input that lacks what a function takes from it, or has it in another type.

    Raises: `run_input_invalid`.
    """
    skipped = frozenset(skip_tags)
    produced, wanted = plan.step_names, _wanted(plan)
    for place in plan.order:
        node = plan.states[place]
        state = node.state
        if not isinstance(state, FunctionState):
            return  # a state of another kind may write any key
        if skipped and not skipped.isdisjoint(node.meta.tags):
            continue
        for parameter in state.parameters:
            if parameter.name not in produced:
                _check(parameter, given, produced, wanted, node)
        if state.writes_freely:
            return


def _wanted(plan: ExecutionPlan) -> frozenset[str]:
    """Every name that a function of the plan takes."""
    states = (node.state for node in plan.states)
    return frozenset(name for state in states if isinstance(state, FunctionState) for name in state.needs)


def _check(
    parameter: Parameter,
    given: Mapping[str, bytes],
    produced: Collection[str],
    wanted: Collection[str],
    node: StateNode,
) -> None:
    content = given.get(parameter.name)
    if parameter.optional and content in (None, b"null"):
        return
    name, step = shown(parameter.name), ids.step_name(node.id)
    if content is None:
        members = [each for each in given if each not in wanted]
        hint = _meant(parameter.name, members, [each for each in produced if each != step])
        raise INPUT_INVALID.error(f"the input has no {name}, which the state {step} takes{hint}", member=name)
    try:
        msgspec.json.decode(content, type=parameter.kind)
    except (msgspec.MsgspecError, InterlockError):
        kind = shown(inspect.formatannotation(parameter.kind), 200)
        raise INPUT_INVALID.error(
            f"{name} of the input is not what the state {step} takes: {kind}", member=name
        ) from None


def _meant(name: str, members: Collection[str], states: Collection[str]) -> str:
    """What is there under a name like the one that is missing: a member of the input, or another state."""
    sought = name[:NAME_CHARACTERS]
    if near := get_close_matches(sought, [each[:NAME_CHARACTERS] for each in members], n=1):
        return f"; it has {shown(near[0])}: did you mean {shown(name)}?"
    if near := get_close_matches(sought, [each[:NAME_CHARACTERS] for each in states], n=1):
        return f"; did you mean the state {shown(near[0])}?"
    return ""
