"""Stream ids: one spelling for each, and nothing else is taken for one."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.base.bounds import STREAM_ID_BYTES_MAX
from interlock.base.errors import Invalid
from interlock.journal.streams import StreamName, parse_stream, stream_id, tenant_of

RUN = "0b6d3c1e-9a52-4f0e-8f3b-2a6d1c9e7f10"
TEXT = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("parts", "stream"),
    [
        (("default", "run", RUN), f"default/run/{RUN}"),
        (("acme", "inbox", "ci"), "acme/inbox/ci"),
        (("0-x_y", "lease", "a-b._~Z9"), "0-x_y/lease/a-b._~Z9"),
        (("default", "lease", "a/b c"), "default/lease/a%2Fb%20c"),
        (("default", "lease", "a%2Fb"), "default/lease/a%252Fb"),
        (("default", "lease", "é\U0001f600"), "default/lease/%C3%A9%F0%9F%98%80"),
        (("default", "lease", "\x00+\n"), "default/lease/%00%2B%0A"),
        (("default", "lease", "..."), "default/lease/..."),
    ],
)
def test_an_id_has_this_spelling_for_ever(parts: tuple[str, str, str], stream: str) -> None:
    assert stream_id(*parts) == stream
    assert parse_stream(stream) == StreamName(*parts)


def test_the_inbox_of_a_run_is_another_stream_of_the_same_tenant() -> None:
    inbox = stream_id("acme", "run", RUN, inbox=True)

    assert inbox == f"acme/run/{RUN}/inbox"
    assert parse_stream(inbox) == StreamName("acme", "run", RUN, inbox=True)
    assert tenant_of(inbox) == "acme"


@given(TEXT.filter(lambda text: text not in {".", ".."}), st.booleans())
def test_whatever_stands_in_an_id_comes_back_and_needs_nothing_but_plain_ascii(text: str, inbox: bool) -> None:
    stream = stream_id("default", "thing", text, inbox=inbox)

    assert parse_stream(stream) == StreamName("default", "thing", text, inbox)
    assert stream.isascii()
    assert stream.isprintable()
    assert stream.count("/") == 2 + inbox


@given(st.one_of(st.text(max_size=30), st.from_regex(r"\A[a-z]{1,4}/[a-z]{1,4}/[!-~]{0,9}(/inbox)?\Z")))
def test_what_is_taken_for_an_id_is_spelled_as_it_would_be_built(text: str) -> None:
    with suppress(Invalid):
        name = parse_stream(text)
        assert stream_id(name.tenant, name.kind, name.id, inbox=name.inbox) == text


@pytest.mark.parametrize(
    "stream",
    [
        "",
        "/",
        "//",
        "default",
        "default/run",
        "default/run/",
        "default//x",
        "/run/x",
        "default/run/.",
        "default/run/..",
        "default/run/x/",
        "default/run/x/outbox",
        "default/run/x/inbox/y",
        "default/run//inbox",
        "default/run/x/inbox\n",
        "default/run/x\n",
        "default/run/a b",
        "default/run/é",
        "default/run/%c3%a9",
        "default/run/%61",
        "default/run/%2e",
        "default/run/%2E%2E",
        "default/run/%FF",
        "default/run/%4",
        "default/run/%",
        "default/Run/x",
        "default/9/x",
        "default/run%2Fx/y",
        "Default/run/x",
        "-x/run/y",
        "déjà/run/x",
    ],
)
def test_another_spelling_is_refused(stream: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_stream(stream)
    assert caught.value.code == "stream_invalid"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        (("Default", "run", "x"), "id_invalid"),
        (("default\n", "run", "x"), "id_invalid"),
        (("default", "Run", "x"), "stream_invalid"),
        (("default", "run\n", "x"), "stream_invalid"),
        (("default", "run/x", "y"), "stream_invalid"),
        (("default", "", "x"), "stream_invalid"),
        (("default", "run", ""), "stream_invalid"),
        (("default", "run", "."), "stream_invalid"),
        (("default", "run", ".."), "stream_invalid"),
        (("default", "run", "\ud800"), "stream_invalid"),
    ],
)
def test_nothing_is_built_of_parts_that_break_the_rule(parts: tuple[str, str, str], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        stream_id(*parts)
    assert caught.value.code == code


def test_an_id_is_bounded_in_bytes_as_it_is_spelled() -> None:
    room = STREAM_ID_BYTES_MAX - len("default/run/")
    longest = stream_id("default", "run", "x" * room)

    assert len(longest) == STREAM_ID_BYTES_MAX
    assert parse_stream(longest).id == "x" * room
    for text in ("x" * (room + 1), "é" * (room // 6 + 1)):
        with pytest.raises(Invalid) as caught:
            stream_id("default", "run", text)
        assert text not in str(caught.value)
    with pytest.raises(Invalid):
        parse_stream(longest + "x")


def test_a_refusal_shows_no_more_than_the_beginning() -> None:
    with pytest.raises(Invalid) as caught:
        parse_stream("secret " * 30)

    assert len(str(caught.value.details["value"])) <= 41
    assert "secret" not in caught.value.message
