"""Acting as a declared principal, as a person types it: where the option may stand, and what refuses it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import answer

SETTINGS = """
[access.principals.bob]
roles = ["viewer"]

[access.principals.eve]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose settings declare two principals, with a store."""
    (tmp_path / "interlock.toml").write_text(SETTINGS, "utf-8")
    answer(tmp_path, "token", "new", "ci", "--role", "operator")
    return tmp_path


def test_the_option_may_stand_before_the_noun_behind_the_verb_or_in_a_variable(folder: Path) -> None:
    lines = (("--as", "bob", "principal", "show"), ("principal", "show", "--as=bob"), ("--as=bob", "principal", "show"))
    for line in lines:
        assert answer(folder, *line)["id"] == "local_declared:bob"
    done = run("--json", "principal", "show", program=PRODUCT, folder=folder, environ={"INTERLOCK_AS": "bob"})
    assert '"id":"local_declared:bob"' in done.text


def test_what_its_roles_do_not_permit_is_refused_with_five(folder: Path) -> None:
    assert answer(folder, "token", "list", "--as", "bob")["items"][0]["name"] == "ci"
    refused = answer(folder, "token", "new", "x", "--role", "viewer", "--as", "bob", code=5)
    assert refused["error"]["code"] == "permission_denied"
    assert answer(folder, "run", "list", "--as", "eve", code=5)["error"]["details"] == {"permission": "run.read"}


def test_whoever_is_not_declared_is_refused_with_the_nearest_name(folder: Path) -> None:
    refused = answer(folder, "run", "list", "--as", "bobb", code=5)

    assert refused["error"]["code"] == "principal_unknown"
    assert refused["error"]["message"] == "no principal bobb is declared; did you mean bob?"


@pytest.mark.parametrize("line", [("doctor", "--as", "bob"), ("--as", "bob", "doctor")])
def test_a_verb_about_the_machine_takes_no_other_principal(folder: Path, line: tuple[str, ...]) -> None:
    refused = answer(folder, *line, code=2)

    assert refused["error"]["code"] == "usage_invalid"
    assert "takes no --as" in refused["error"]["message"]


def test_a_verb_about_the_machine_is_not_done_for_somebody_else_by_a_variable(folder: Path) -> None:
    done = run("doctor", program=PRODUCT, folder=folder, environ={"INTERLOCK_AS": "bob"})

    assert done.code == 2
    assert "unset INTERLOCK_AS" in done.err


def test_a_shell_completes_the_principals_that_are_declared(folder: Path) -> None:
    done = run("__complete", "run", "list", "--as", "", program=PRODUCT, folder=folder)

    assert [line.split("\t")[0] for line in done.text.splitlines()[2:]] == ["bob", "eve"]


def test_settings_that_lead_nowhere_end_every_call(folder: Path) -> None:
    (folder / "interlock.toml").write_text('[access.groups]\ng = ["veiwer"]\n', "utf-8")

    for line in (("config", "check"), ("run", "list")):
        refused = answer(folder, *line, code=2)
        assert refused["error"]["code"] == "access_unsound"
        assert "did you mean viewer?" in refused["error"]["message"]


def test_a_token_can_be_the_first_thing_in_a_store(tmp_path: Path) -> None:
    made = answer(tmp_path, "token", "new", "ci", "--role", "viewer", "--expires", "30d")

    assert made["token"].startswith("ilk_default.")
    assert answer(tmp_path, "doctor")["healthy"]
