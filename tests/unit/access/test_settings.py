"""The section `access` as it is read from a file: names, bounds, and what it is taken for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from interlock import settings
from interlock.access.settings import AccessSettings, PrincipalSettings, RoleSettings
from interlock.base.errors import InterlockError
from interlock.parts import PARTS, sections_of

FILE = """
[access.principals.ada]
roles = ["operator"]
groups = ["release"]
tenant = "staging"

[access.roles.releaser]
permissions = ["run.*"]
namespaces = [7]

[access.groups]
release = ["releaser"]
"""


def loaded(section: Mapping[str, Any] | None = None, **given: Any) -> AccessSettings:
    usual: dict[str, Any] = {"environ": {}, "folder": Path("/nonexistent"), **given}
    arguments = {} if section is None else {"access": section}
    return settings.load(sections_of(PARTS), arguments=arguments, **usual).get(AccessSettings)


def test_tables_of_a_file_are_read_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "interlock.toml").write_text(FILE, "utf-8")

    found = loaded(folder=tmp_path)

    ada = PrincipalSettings(roles=("operator",), groups=("release",), tenant="staging")
    assert found.principals == {"ada": ada}
    assert found.roles == {"releaser": RoleSettings(permissions=("run.*",), namespaces=(7,))}
    assert found.groups == {"release": ("releaser",)}


def test_a_variable_gives_a_table_as_json() -> None:
    found = loaded(environ={"INTERLOCK_ACCESS__GROUPS": '{"release": ["viewer"]}'})

    assert found.groups == {"release": ("viewer",)}


@pytest.mark.parametrize(
    "section",
    [
        {"principals": {"Ada": {}}},
        {"principals": {"a" * 64: {}}},
        {"principals": {"ada": {"tenant": "a/b"}}},
        {"principals": {"ada": {"role": ["viewer"]}}},
        {"principals": {"ada": {"roles": ["viewer"] * 65}}},
        {"roles": {"r": {"permissions": ["run.r*"]}}},
        {"roles": {"r": {"namespaces": [0]}}},
        {"groups": {"g": "viewer"}},
        {"groups": {f"g{number}": [] for number in range(1_001)}},
        {"people": {}},
    ],
)
def test_what_has_not_the_form_is_refused(section: Mapping[str, Any]) -> None:
    with pytest.raises(InterlockError) as fault:
        loaded(section)

    assert fault.value.code in {"setting_invalid", "setting_unknown"}
