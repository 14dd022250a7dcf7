"""Roles as they are declared: what they permit, what is refused, and that nobody gives more than they have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.access.roles import RoleBook
from interlock.access.settings import AccessSettings
from interlock.access.table import permission_table
from interlock.base.errors import InterlockError
from interlock.parts import PARTS
from tests.unit.access.people import SECTION, somebody

TABLE = permission_table(command for part in PARTS for command in part.commands)


def book_of(section: Mapping[str, Any] = SECTION) -> RoleBook:
    return RoleBook(msgspec.convert(section, AccessSettings), TABLE)


BOOK = book_of()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"roles": {"admin": {"permissions": ["*"]}}}, "[access.roles.admin] this role is built in"),
        ({"roles": {"r": {"permissions": ["run.raed"]}}}, "did you mean run.read?"),
        ({"roles": {"r": {"permissions": ["rnu.*"]}}}, "no command asks for the permission rnu.*"),
        ({"roles": {"r": {"permissions": ["machine"]}}}, "no command asks for the permission machine"),
        ({"groups": {"g": ["veiwer"]}}, "[access.groups.g] no role is called veiwer; did you mean viewer?"),
        ({"principals": {"p": {"roles": ["oprator"]}}}, "no role is called oprator; did you mean operator?"),
        ({"groups": {"build": []}, "principals": {"p": {"groups": ["biuld"]}}}, "no group is called biuld; did you"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_with_its_place(section: Mapping[str, Any], message: str) -> None:
    with pytest.raises(InterlockError) as fault:
        book_of(section)

    assert fault.value.code == "access_unsound"
    assert message in fault.value.message


@pytest.mark.parametrize(
    ("roles", "groups", "tenant", "permission", "namespace", "permitted"),
    [
        ((), (), "default", "run.read", None, False),
        (("viewer",), (), "default", "run.read", None, True),
        (("viewer",), (), "default", "run.start", None, False),
        ((), ("watchers",), "default", "run.read", None, True),
        (("gone",), ("gone",), "default", "run.read", None, False),
        (("gatekeeper",), (), "default", "scenario.run", 7, True),
        (("gatekeeper",), (), "default", "scenario.run", 1, False),
        (("gatekeeper",), (), "default", "scenario.run", None, False),
        (("gatekeeper", "viewer"), (), "default", "scenario.read", 1, True),
        (("stager",), (), "staging", "run.start", None, True),
        (("stager",), (), "default", "run.start", None, False),
        (("admin",), (), "default", "what.is.to.come", None, True),
    ],
)
def test_roles_permit_what_they_say_where_they_are_good(
    roles: tuple[str, ...],
    groups: tuple[str, ...],
    tenant: str,
    permission: str,
    namespace: int | None,
    permitted: bool,
) -> None:
    assert BOOK.permits(somebody(*roles, groups=groups, tenant=tenant), permission, namespace) is permitted


def test_names_of_a_token_are_proved_with_the_nearest_one() -> None:
    with pytest.raises(InterlockError, match=r"did you mean operator\? \[role_unknown\]"):
        BOOK.prove(["operater"], [])
    with pytest.raises(InterlockError, match=r"did you mean watchers\? \[group_unknown\]"):
        BOOK.prove(["viewer"], ["watcher"])


@pytest.mark.parametrize(
    ("held", "asked", "groups", "lacking"),
    [
        ("operator", "viewer", (), None),
        ("operator", "operator", (), None),
        ("operator", "admin", (), "*"),
        ("admin", "admin", (), None),
        ("viewer", "operator", (), "filter.save"),
        ("gatekeeper", "gatekeeper", (), None),
        ("viewer", "gatekeeper", (), "scenario.define"),
        ("gatekeeper", "viewer", (), "artifact.read"),
        ("viewer", "viewer", ("keepers",), "scenario.define"),
        ("viewer", "stager", (), None),
    ],
)
def test_what_a_giver_lacks_is_named(held: str, asked: str, groups: tuple[str, ...], lacking: str | None) -> None:
    assert BOOK.excess(somebody(held), [asked], groups) == lacking


NAMES = [*BOOK.roles]
ROLES = st.lists(st.sampled_from(NAMES), max_size=3)
GROUPS = st.lists(st.sampled_from([*BOOK.groups]), max_size=2)
NAMESPACES = st.sampled_from([None, 1, 7, 8, 9])


@st.composite
def declared(draw: st.DrawFn) -> RoleBook:
    """A book of three drawn roles beside the built-in ones."""
    role = st.fixed_dictionaries(
        {
            "permissions": st.lists(st.sampled_from([*TABLE.names, "run.*", "scenario.*", "token.*", "*"]), max_size=6),
            "tenants": st.lists(st.sampled_from(["default", "staging"]), max_size=2, unique=True),
            "namespaces": st.lists(st.sampled_from([1, 7, 8]), max_size=2, unique=True),
        }
    )
    return book_of({"roles": {name: draw(role) for name in ("a", "b", "c")}, "groups": {"g": ["a", "viewer"]}})


@given(declared(), st.data(), st.sampled_from(["default", "staging"]))
def test_whatever_is_given_is_never_more_than_the_giver_has(book: RoleBook, data: st.DataObject, tenant: str) -> None:
    names = st.lists(st.sampled_from([*book.roles]), max_size=3)
    groups = st.lists(st.just("g"), max_size=1)
    giver = somebody(*data.draw(names), groups=tuple(data.draw(groups)), tenant=tenant)
    roles, through = data.draw(names), data.draw(groups)
    made = somebody(*roles, groups=tuple(through), tenant=tenant)
    more = [
        (permission, namespace)
        for permission in (*TABLE.names, "what.is.to.come")
        for namespace in (None, 1, 7, 8, 9)
        if book.permits(made, permission, namespace) and not book.permits(giver, permission, namespace)
    ]

    if book.excess(giver, roles, through) is None:
        assert [each for each in more if each[0] in TABLE.names] == []
    else:
        assert more != [] or not {"*"}.isdisjoint(
            pattern for role in book.of(roles, through) for pattern in role.permissions.given
        )


@given(ROLES, ROLES, GROUPS, st.sampled_from(TABLE.names), NAMESPACES)
def test_more_roles_never_permit_less(
    some: list[str], more: list[str], groups: list[str], permission: str, namespace: int | None
) -> None:
    fewer = BOOK.permits(somebody(*some), permission, namespace)

    assert fewer <= BOOK.permits(somebody(*some, *more, groups=tuple(groups)), permission, namespace)
