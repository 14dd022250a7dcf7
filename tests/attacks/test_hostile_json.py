"""Hostile JSON at the doors of the program (T1): it is refused by name, at once, and no run comes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import answer, prepare

DEEP = 100_000
ATTACKS = {
    "a key twice": b'{"name": "ada", "name": "eve"}',
    "a key twice, spelled otherwise": b'{"name": "ada", "n\\u0061me": "eve"}',
    "a bomb of brackets": b'{"name": ' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a bomb that never closes": b"[" * DEEP,
    "a number without end": b'{"name": 1' + b"0" * 400 + b"}",
    "an exponent beyond all numbers": b'{"name": 1e999999}',
    "a number beyond 53 bits": b'{"name": 9007199254740993}',
    "no number": b'{"name": NaN}',
    "half of a pair": b'{"name": "\\ud800"}',
    "half of a pair as a key": b'{"\\udfff": 1, "name": "ada"}',
    "bytes that are no text": b'{"name": "\xff\xfe"}',
    "text behind the end": b'{"name": "ada"} {"name": "eve"}',
    "a list in the place of members": b'["name"]',
    "a control character": b'{"name": "a\x00b"}',
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_hostile_input_of_a_run_is_refused_and_leaves_no_run(tmp_path: Path, attack: str) -> None:
    folder = prepare(tmp_path)
    line = ("run", "start", "hello:plan", "--input", "@-", "--store", "s.db")

    done = run(*line, program=PRODUCT, folder=folder, given=ATTACKS[attack])

    assert done.code == 2, (done.text, done.err)
    assert "Traceback" not in done.err
    assert len(done.err) < 1000, "what was sent is not sent back"
    listed = run("run", "list", "--store", "s.db", "--json", program=PRODUCT, folder=folder)
    assert listed.code == 3 or b'"items":[]' in listed.out


def test_hostile_adopted_results_are_refused_before_they_reach_the_inbox(tmp_path: Path) -> None:
    folder = prepare(tmp_path)
    answer(folder, "run", "start", "hello:plan", "--input", '{"name": "ada"}', "--run-id", RUN, "--store", "s.db")

    for attack in ("a key twice", "an exponent beyond all numbers", "half of a pair"):
        line = ("run", "resolve", RUN, "greet", "--adopt", "@-", "--reason", "r", "--store", "s.db")
        done = run(*line, program=PRODUCT, folder=folder, given=ATTACKS[attack])
        assert done.code == 2, (attack, done.text, done.err)


RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
