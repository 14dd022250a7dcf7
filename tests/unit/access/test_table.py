"""The table of permissions, and the built-in roles that follow from it."""

from __future__ import annotations

from dataclasses import replace

from interlock.access.table import ADMIN, OPERATOR, VIEWER, permission_table
from interlock.base.part import Command, Effect
from interlock.parts import PARTS

COMMANDS = [command for part in PARTS for command in part.commands]
ONE = next(command for command in COMMANDS if command.name == "run.list")


def command(verb: str, permission: str, effect: Effect, *, machine: bool = False) -> Command:
    return replace(ONE, noun="thing", verb=verb, permission=permission, effect=effect, machine=machine)


def test_each_permission_names_its_commands_and_what_they_do() -> None:
    table = permission_table([command("a", "thing.use", Effect.STARTS), command("b", "thing.use", Effect.READS)])

    [row] = table.rows.values()
    assert (row.permission, row.commands) == ("thing.use", ("thing.a", "thing.b"))
    assert row.effects == {Effect.READS, Effect.STARTS}


def test_who_may_only_look_gets_no_permission_that_also_changes_something() -> None:
    shared = [command("a", "thing.use", Effect.CHANGES), command("b", "thing.use", Effect.READS)]
    roles = permission_table([*shared, command("c", "thing.read", Effect.READS)]).built_in()

    assert roles[VIEWER].given == ("thing.read",)
    assert roles[OPERATOR].given == ("thing.read", "thing.use")


def test_verbs_about_the_machine_are_in_no_role() -> None:
    assert permission_table([command("a", "machine", Effect.READS, machine=True)]).names == ()
    assert "machine" not in permission_table(COMMANDS).names


def test_an_operator_may_do_all_but_decide_what_others_may() -> None:
    table = permission_table(COMMANDS)
    roles = table.built_in()

    assert set(table.names) - roles[OPERATOR].of(table.names) == {"token.new", "token.revoke"}
    assert roles[ADMIN].of(table.names) == set(table.names)


def test_the_built_in_roles_contain_one_another() -> None:
    table = permission_table(COMMANDS)
    roles = table.built_in()

    assert roles[VIEWER].of(table.names) < roles[OPERATOR].of(table.names) < roles[ADMIN].of(table.names)
