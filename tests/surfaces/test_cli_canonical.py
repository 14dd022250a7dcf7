"""`interlock canonical`: exactly the RFC 8785 bytes of standard input, or their digest. Real processes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run, run_on_terminal

# RFC 8785, sections 3.2.2 (numbers, strings) and 3.2.3 (members in the order of UTF-16 code units)
RFC_VALUES = (
    rb'{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
    rb' "string": "\u20ac$\u000F\u000aA'
    rb"'"
    rb'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
)
RFC_VALUES_WRITTEN = (
    r'{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
    r'"string":"€$\u000f\nA'
    "'"
    r'B\"\\\\\"/"}'
)
RFC_ORDER = rb'{"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7}'
RFC_ORDER_WRITTEN = '{"\\r":2,"1":4,"\u0080":6,"ö":7,"€":1,"😀":5,"\ufb33":3}'


@pytest.mark.parametrize(
    ("given", "canonical"),
    [
        (RFC_VALUES, RFC_VALUES_WRITTEN.encode()),
        (RFC_ORDER, RFC_ORDER_WRITTEN.encode()),
        (b" -0.0 ", b"0"),
        (b'"\xc3\xa9"\n', '"é"'.encode()),
    ],
)
def test_standard_input_comes_back_in_canonical_form(tmp_path: Path, given: bytes, canonical: bytes) -> None:
    done = run("canonical", program=PRODUCT, folder=tmp_path, given=given)

    assert (done.code, done.out, done.err) == (0, canonical, "")


def test_the_digest_is_that_of_the_canonical_bytes(tmp_path: Path) -> None:
    done = run("canonical", "--digest", program=PRODUCT, folder=tmp_path, given=b'{"b": 1, "a": 2}')

    assert done.text == hashlib.sha256(b'{"a":2,"b":1}').hexdigest() + "\n"


def test_for_programs_both_are_members_of_one_object(tmp_path: Path) -> None:
    plain = run("canonical", "--json", program=PRODUCT, folder=tmp_path, given=b"[1.0]")
    digest = run("canonical", "--json", "--digest", program=PRODUCT, folder=tmp_path, given=b"[1.0]")

    assert json.loads(plain.out) == {"canonical": "[1]"}
    assert json.loads(digest.out) == {"digest": hashlib.sha256(b"[1]").hexdigest()}


@pytest.mark.parametrize("given", [b'{"a": 1, "a": 1}', b"[1, 2", b"\xff", b"", b"9007199254740993"])
def test_what_has_no_canonical_form_is_refused(tmp_path: Path, given: bytes) -> None:
    done = run("canonical", program=PRODUCT, folder=tmp_path, given=given)

    assert (done.code, done.out) == (2, b"")
    assert done.err.startswith("error: `value`: ")


def test_it_needs_no_store_and_makes_none(tmp_path: Path) -> None:
    named = {"INTERLOCK_STORE": "/nowhere/at/all"}
    done = run("canonical", "[1]", program=PRODUCT, folder=tmp_path, environ=named)

    assert (done.code, done.out) == (0, b"[1]")
    assert list(tmp_path.iterdir()) == []


def test_on_a_terminal_the_line_is_ended(tmp_path: Path) -> None:
    assert run_on_terminal("canonical", "[1]", program=PRODUCT, folder=tmp_path) == (0, "[1]\r\n")
