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


def test_a_shell_completes_roles_and_profiles(folder: Path) -> None:
    (folder / "interlock.toml").write_text(f'{SETTINGS}\n[access.roles.vigil]\npermissions = ["run.read"]\n', "utf-8")
    (folder / "interlock").mkdir()
    (folder / "interlock" / "profiles.toml").write_text('[profiles.work]\nserver = "https://interlock.example"\n')
    environ = {"XDG_CONFIG_HOME": str(folder)}

    def completed(*words: str) -> list[str]:
        done = run("__complete", *words, program=PRODUCT, folder=folder, environ=environ)
        return [line.split("\t")[0] for line in done.text.splitlines()[2:]]

    assert completed("token", "new", "x", "--role", "vi") == ["viewer", "vigil"]
    assert completed("run", "list", "--profile", "") == ["work"]
    (folder / "interlock" / "profiles.toml").write_text("no TOML")
    (folder / "interlock.toml").write_text("no TOML")
    assert completed("run", "list", "--profile", "") == completed("token", "new", "x", "--role", "vi") == []


def test_what_a_token_lacks_is_named(folder: Path) -> None:
    for words, said in (
        (("x",), "give it a role (`--role`) or a group"),
        (("X_", "--role", "viewer"), "expected: A name that begins with a-z 0-9 and goes on with"),
    ):
        refused = answer(folder, "token", "new", *words, code=2)
        assert said in refused["error"]["message"]


def test_whoever_asks_to_see_another_principal_learns_how(folder: Path) -> None:
    refused = answer(folder, "principal", "show", "bob", code=2)

    assert "`--as NAME` asks as a principal that the settings declare" in refused["error"]["message"]


def test_an_offered_plan_that_was_mistyped_is_answered_with_the_one_that_was_meant(folder: Path) -> None:
    (folder / "interlock.toml").write_text('[plans.offered]\ngreeting = "hello.py:plan"\n', "utf-8")
    refused = answer(folder, "run", "start", "greetin", code=5)
    assert (refused["error"]["code"], "did you mean greeting?" in refused["error"]["message"]) == (
        "plan_not_offered",
        True,
    )
    assert answer(folder, "run", "start", "elsewhere", code=3)["error"]["code"] == "plan_not_found"
    assert answer(folder, "run", "start", "greetin.py:plan", code=3)["error"]["code"] == "plan_not_found"


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
