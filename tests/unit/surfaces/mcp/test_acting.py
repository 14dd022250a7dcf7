"""For whom the tools of a session act, and what the one permission check makes of it."""

from __future__ import annotations

from typing import Literal

import pytest

from interlock.base.principal import PrincipalKind, local_principal
from interlock.parts import PARTS
from interlock.surfaces.mcp.serving import acting
from interlock.surfaces.mcp.tools import Toolbox, within
from interlock.testing.app import memory_app
from interlock.testing.loop import run

COMMANDS = [command for part in PARTS for command in part.commands]
ADA = local_principal("ada")
ADMINISTRATION = {"token_new", "token_revoke"}


@pytest.mark.parametrize("allowed", ["reads", "changes", "starts"])
def test_every_tool_of_a_session_may_be_called_but_those_that_say_what_others_may(
    allowed: Literal["reads", "changes", "starts"],
) -> None:
    async def main() -> set[str]:
        access, toolbox, principal = memory_app().access, Toolbox(COMMANDS, within(allowed)), acting(ADA, allowed)
        commands = {form.name: toolbox.command(form.name) for form in toolbox.offered()}
        return {name for name, each in commands.items() if not access.permits(principal, each.permission)}

    assert run(main()) == (ADMINISTRATION if allowed == "changes" else set())


def test_only_a_session_that_may_start_acts_for_the_user_of_the_machine() -> None:
    assert acting(ADA, "starts") is ADA
    assert [acting(ADA, allowed).kind for allowed in ("reads", "changes")] == [PrincipalKind.LOCAL_DECLARED] * 2
    assert acting(ADA, "reads").id == "local:ada"
