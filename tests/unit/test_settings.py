"""Settings: which source wins, what is refused and how it is said, and what the digest covers."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import pytest
from msgspec import Meta, Struct

from interlock.base.canonical import canonical
from interlock.base.errors import InterlockError, Invalid
from interlock.base.part import SettingsSection
from interlock.base.secrets import SecretRef
from interlock.settings import FILE_BYTES_MAX, Settings, load


class Journal(Struct, frozen=True):
    """How the journal writes."""

    queue_capacity: Annotated[int, Meta(ge=1, le=1000, description="Entries that wait.")] = 64
    sync: bool = True
    mode: Literal["wal", "delete"] = "wal"
    label: Annotated[str, Meta(max_length=10)] = "main"
    hosts: tuple[str, ...] = ()
    key: SecretRef | None = None


class Engine(Struct, frozen=True):
    crash_budget: int = 5


class Fraction(Struct, frozen=True):
    ratio: float = 0.5


class Needy(Struct, frozen=True):
    needed: int


SECTIONS = (SettingsSection("journal", Journal), SettingsSection("engine", Engine))


def loaded(
    tmp_path: Path,
    toml: str | None = None,
    environ: Mapping[str, str] | None = None,
    arguments: Mapping[str, Mapping[str, object]] | None = None,
) -> Settings:
    if toml is not None:
        (tmp_path / "interlock.toml").write_text(toml, encoding="utf-8")
    return load(SECTIONS, environ=environ or {}, arguments=arguments or {}, folder=tmp_path)


def refusal(
    tmp_path: Path,
    toml: str | None = None,
    environ: Mapping[str, str] | None = None,
    arguments: Mapping[str, Mapping[str, object]] | None = None,
) -> Invalid:
    with pytest.raises(Invalid) as refused:
        loaded(tmp_path, toml, environ, arguments)
    return refused.value


def test_without_any_source_the_defaults_hold(tmp_path: Path) -> None:
    assert loaded(tmp_path).get(Journal) == Journal()


def test_the_later_source_wins_member_by_member(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        '[journal]\nqueue_capacity = 1\nlabel = "file"\nmode = "delete"\n',
        {"INTERLOCK_JOURNAL__QUEUE_CAPACITY": "2", "INTERLOCK_JOURNAL__LABEL": "env"},
        {"journal": {"queue_capacity": 3}},
    ).get(Journal)

    assert (found.queue_capacity, found.label, found.mode, found.sync) == (3, "env", "delete", True)


def test_texts_of_the_environment_become_the_type_of_the_setting(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        environ={
            "INTERLOCK_JOURNAL__SYNC": "false",
            "INTERLOCK_JOURNAL__HOSTS": '["a", "b"]',
            "INTERLOCK_JOURNAL__KEY": "env:SIGNING_KEY",
        },
    ).get(Journal)

    assert (found.sync, found.hosts, found.key) == (False, ("a", "b"), SecretRef("env:SIGNING_KEY"))


def test_variables_of_other_programs_and_of_the_command_line_are_not_settings(tmp_path: Path) -> None:
    environ = {"INTERLOCK_STORE": "x.db", "HOME": "/home", "OTHER_JOURNAL__SYNC": "no"}

    assert loaded(tmp_path, environ=environ).get(Journal) == Journal()


def test_the_file_can_be_named_by_argument_and_by_variable(tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text("[engine]\ncrash_budget = 1\n")
    (tmp_path / "two.toml").write_text("[engine]\ncrash_budget = 2\n")
    environ = {"INTERLOCK_CONFIG": str(tmp_path / "two.toml")}

    by_variable = load(SECTIONS, environ=environ, folder=tmp_path)
    by_argument = load(SECTIONS, config=tmp_path / "one.toml", environ=environ, folder=tmp_path)

    assert by_variable.get(Engine).crash_budget == 2
    assert by_argument.get(Engine).crash_budget == 1


@pytest.mark.parametrize(
    ("toml", "environ", "words"),
    [
        ("[jurnal]\nsync = true\n", {}, "interlock.toml: no section is called jurnal; did you mean journal?"),
        ("[journal]\nsnyc = true\n", {}, "no setting is called snyc; did you mean sync?"),
        ("sync = true\n", {}, "sync stands outside of a section"),
        (None, {"INTERLOCK_JURNAL__SYNC": "1"}, "INTERLOCK_JURNAL__SYNC: no section is called jurnal"),
        (None, {"INTERLOCK_JOURNAL__SNYC": "1"}, "did you mean sync?"),
        (None, {"INTERLOCK_JOURNAL__QUEUE__CAPACITY": "1"}, "no setting is called queue__capacity"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(
    tmp_path: Path, toml: str | None, environ: dict[str, str], words: str
) -> None:
    refused = refusal(tmp_path, toml, environ)

    assert refused.code == "setting_unknown"
    assert words in refused.message


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        (
            "[journal]\nqueue_capacity = 0\n",
            "[journal] queue_capacity: it is out of bounds; expected: 1 to 1000",
        ),
        ('[journal]\nqueue_capacity = "many"\n', "[journal] queue_capacity: expected `int`, got `str`"),
        ("[journal]\nqueue_capacity = 1.5\n", "[journal] queue_capacity: expected `int`, got `float`"),
        ('[journal]\nmode = "hunter2"\n', "[journal] mode: it is none of the allowed values: delete, wal"),
        (
            '[journal]\nlabel = "hunter2 hunter2"\n',
            "[journal] label: it is out of bounds; expected: at most 10",
        ),
        ('[journal]\nkey = "hunter2"\n', "[journal] key: not a reference to a secret"),
        ('[journal]\nhosts = ["a", 2]\n', "[journal] hosts[1]: expected `str`"),
        ("[journal]\nsync = 2026-01-01\n", "[journal] sync: expected `bool`"),
    ],
)
def test_a_bad_value_is_named_by_section_key_and_bound_but_never_shown(tmp_path: Path, toml: str, words: str) -> None:
    refused = refusal(tmp_path, toml)

    assert refused.code == "setting_invalid"
    assert words in refused.message
    assert "hunter2" not in refused.message + str(refused.details)


def test_a_list_in_a_variable_must_be_json(tmp_path: Path) -> None:
    refused = refusal(tmp_path, environ={"INTERLOCK_JOURNAL__HOSTS": "a,b"})

    assert refused.code == "setting_invalid"
    assert "[journal] hosts: JSON is expected" in refused.message


def test_an_unknown_argument_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path, arguments={"engine": {"crash_bugdet": 1}}).code == "setting_unknown"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"[journal]\nsync = \n", 2),
        (b"[journal]\n\nsync = true\nsync = false\n", None),
        (b"[journal]\n# \xff\n", 2),
        (b"[journal]\nhosts = " + b"[" * 5000, None),
    ],
)
def test_a_file_that_is_not_toml_is_refused_with_its_line(tmp_path: Path, content: bytes, line: int | None) -> None:
    (tmp_path / "interlock.toml").write_bytes(content)
    refused = refusal(tmp_path)

    assert refused.code == "settings_not_toml"
    assert line is None or refused.details["line"] == line


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path) -> None:
    refused = refusal(tmp_path, "#" * (FILE_BYTES_MAX + 1))

    assert refused.code == "settings_too_large"
    assert refused.details["limit_bytes"] == FILE_BYTES_MAX


@pytest.mark.parametrize("name", ["missing.toml", ".", "nul\x00byte"])
def test_a_named_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(Invalid) as refused:
        load(SECTIONS, config=tmp_path / name, environ={}, folder=tmp_path)

    assert refused.value.code == "settings_unreadable"


def test_the_digest_is_that_of_the_canonical_json_of_all_values(tmp_path: Path) -> None:
    found = loaded(tmp_path, '[journal]\nkey = "env:SIGNING_KEY"\n')
    values = {
        "engine": {"crash_budget": 5},
        "journal": {
            "queue_capacity": 64,
            "sync": True,
            "mode": "wal",
            "label": "main",
            "hosts": [],
            "key": "env:SIGNING_KEY",
        },
    }

    assert found.digest == hashlib.sha256(canonical(values)).hexdigest()


def test_the_digest_changes_with_any_value_and_with_nothing_else(tmp_path: Path) -> None:
    plain = loaded(tmp_path)
    spelled = load(SECTIONS, environ={"INTERLOCK_ENGINE__CRASH_BUDGET": "5"}, folder=tmp_path)
    other = load(SECTIONS, environ={"INTERLOCK_ENGINE__CRASH_BUDGET": "6"}, folder=tmp_path)

    assert plain.digest == spelled.digest
    assert plain.digest != other.digest


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ((SettingsSection("a", Engine), SettingsSection("a", Journal)), "[a] is declared twice"),
        ((SettingsSection("a", Fraction),), "[a] ratio is a float"),
        ((SettingsSection("a", Needy),), "[a] needed has no default"),
    ],
)
def test_a_section_that_cannot_be_is_refused(tmp_path: Path, sections: tuple[SettingsSection, ...], words: str) -> None:
    with pytest.raises(InterlockError) as refused:
        load(sections, environ={}, folder=tmp_path)

    assert refused.value.code == "setting_unsound"
    assert words in refused.value.message


def test_a_section_that_no_part_declares_is_a_fault_of_the_program(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        loaded(tmp_path).get(Needy)
