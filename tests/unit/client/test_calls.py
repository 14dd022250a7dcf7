"""An input survives the way through a request: what a server makes of it is what the caller gave."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import Raw, Struct
from starlette.datastructures import QueryParams

from interlock.base.errors import InterlockError
from interlock.client.calls import IDEMPOTENCY_KEY, Known, request_of
from interlock.client.exchange import Sending
from interlock.engine.commands import StartInput
from interlock.surfaces.application import load
from interlock.surfaces.client import checked_input
from interlock.surfaces.http.requests import given_of
from interlock.surfaces.http.routes import Route
from tests.unit.client.inputs import inputs

KNOWN = Known(load())
ROUTES = KNOWN.routes.by_name
RUN = "01890a5d-ac96-774b-bcce-b302099a8057"


def read(route: Route, sending: Sending) -> dict[str, Any]:
    """What a server reads in a request: the keys of its path as they were sent, the query, the body."""
    pattern = re.sub(r"\{(\w+)\}", r"(?P<\1>[^/?#]+)", route.path)
    keys = re.fullmatch(pattern, sending.path)
    assert keys is not None
    content = sending.content
    assert content is None or isinstance(content, bytes)
    return given_of(route, keys.groupdict(), QueryParams(sending.query).multi_items(), content)


@pytest.mark.parametrize("name", sorted(ROUTES))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(data=st.data())
def test_the_input_of_every_route_survives_its_request(name: str, data: st.DataObject) -> None:
    route = ROUTES[name]
    values = data.draw(inputs(route.command.input))
    record = accepted(route, values)
    assume(record is not None)
    assume(all(values.get(key) not in {None, "", ".", ".."} for key in route.keys))

    sending = request_of(route, values, None)

    assert checked_input(route.command, read(route, sending)) == record


def accepted(route: Route, values: Mapping[str, object]) -> Struct | None:
    try:
        return checked_input(route.command, values)
    except InterlockError:
        return None


@pytest.mark.parametrize("key", [".", ".."])
def test_a_key_that_every_reader_takes_for_a_step_of_a_path_is_refused(key: str) -> None:
    with pytest.raises(InterlockError) as caught:
        request_of(ROUTES["lease.show"], {"lease": key}, None)

    assert caught.value.code == "input_invalid"


def test_what_changes_something_is_sent_under_a_key_and_a_question_is_not() -> None:
    change, question = ROUTES["filter.remove"], ROUTES["filter.list"]
    first, second = (request_of(change, {"name": "a"}, None).headers[IDEMPOTENCY_KEY] for _ in range(2))

    assert first != second
    assert request_of(change, {"name": "a"}, "mine: 7").headers[IDEMPOTENCY_KEY] == "mine: 7"
    assert IDEMPOTENCY_KEY not in request_of(question, {}, None).headers


@pytest.mark.parametrize(
    ("given_id", "code"), [("a\r\nb", "id_invalid"), ("grün", "input_invalid"), (" a", "input_invalid")]
)
def test_a_command_id_that_no_header_can_hold_is_refused(given_id: str, code: str) -> None:
    with pytest.raises(InterlockError) as caught:
        request_of(ROUTES["filter.remove"], {"name": "a"}, given_id)

    assert caught.value.code == code


def test_only_what_was_given_is_sent() -> None:
    sent = request_of(ROUTES["run.start"], {"plan": "hello:plan", "input": {"b": 1, "a": 2}}, None)
    record = request_of(ROUTES["run.start"], StartInput(plan="hello:plan", input=Raw(b'{"b": 1}')), None)

    assert sent.content == b'{"plan":"hello:plan","input":{"a":2,"b":1}}'
    assert record.content is not None
    assert read(ROUTES["run.start"], record)["input"] == {"b": 1}
    assert "input_file" not in read(ROUTES["run.start"], sent)


def test_an_input_is_checked_before_anything_is_made_of_it() -> None:
    with pytest.raises(InterlockError) as caught:
        request_of(ROUTES["run.list"], {"limit": 0}, None)
    assert caught.value.code == "input_invalid"
    assert request_of(ROUTES["run.status"], {"run": RUN}, None).path == f"/api/v1/runs/{RUN}"


@pytest.mark.parametrize("name", ["run.lint", "backup", "artifact.show"])
def test_what_works_on_files_of_a_machine_has_no_route(name: str) -> None:
    with pytest.raises(InterlockError) as caught:
        KNOWN.route(name)
    assert caught.value.code == "client_command_local"


def test_a_name_that_is_none_is_refused_with_the_nearest() -> None:
    with pytest.raises(InterlockError) as caught:
        KNOWN.route("run.lst")
    assert (caught.value.code, "run.list" in caught.value.message) == ("command_unknown", True)
