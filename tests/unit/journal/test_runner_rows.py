"""What a decision may rest on and name beside its streams: rows of the index, and artifacts."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import pytest

from interlock.base.canonical import digest
from interlock.base.errors import InterlockError
from interlock.base.part import Artifact, DecideContext, Decided, Decider, Decision, Refusal
from interlock.journal.journal import Journal
from interlock.journal.ports import Append, Appended
from interlock.stores.memory import MemoryStore
from interlock.testing.loop import run
from tests.unit.journal.bank import (
    ADA,
    DEPOSIT,
    RENAME,
    SHORT,
    Deposit,
    Filed,
    Named,
    Rename,
    account,
    open_journal,
    open_runner,
    write,
)

A = account("a")


async def refusal(work: Any) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        await work
    return caught.value


def claiming(journal: Journal, seen: list[bytes | None]) -> Decider:
    """A decider that gives a name to an account, unless the index says that somebody has it."""

    def decide(_states: Mapping[str, Any], command: Rename, ctx: DecideContext) -> Decision:
        seen.append(ctx.rows["name", command.name])
        if seen[-1] is not None:
            return Refusal(SHORT.error("taken"))
        return {command.account: (Named(command.name),)}

    return dataclasses.replace(RENAME, decide=decide, rows=lambda command: [("name", command.name)])


def test_a_decision_may_rest_on_rows_of_the_index_as_they_are_at_its_heads() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        runner, seen = open_runner(journal), list[bytes | None]()
        decider = claiming(journal, seen)
        await runner.execute(decider, Rename(A, "ada"), ADA)
        assert (await refusal(runner.execute(decider, Rename(A, "ada"), ADA))).kind is SHORT
        assert seen == [None, A.encode()]

    run(main())


def test_the_rows_are_read_anew_with_the_heads_that_another_writer_moved() -> None:
    async def main() -> None:
        journal = open_journal(MemoryStore())
        runner, seen = open_runner(journal), list[bytes | None]()
        decider = claiming(journal, seen)
        log, append = journal.store.events, journal.store.events.append

        async def late(appends: list[Append]) -> list[Appended | InterlockError]:
            log.append = append  # type: ignore[method-assign]
            await write(open_journal(journal.store), A, Named("ada"))
            return await append(appends)

        log.append = late  # type: ignore[method-assign,assignment]
        assert (await refusal(runner.execute(decider, Rename(A, "ada"), ADA))).kind is SHORT
        assert seen == [None, A.encode()]

    run(main())


def test_what_a_decision_names_is_stored_with_it() -> None:
    content = b"the terms"

    def decide(_states: Mapping[str, Any], command: Deposit, _ctx: DecideContext) -> Decision:
        record = Filed(digest(content), (), None)
        return Decided({command.account: (record,)}, [Artifact("Terms", content)])

    async def main() -> None:
        journal = open_journal(MemoryStore())
        await open_runner(journal).execute(dataclasses.replace(DEPOSIT, decide=decide), Deposit(A, 1), ADA)
        assert await journal.store.artifacts.get([digest(content)]) == [content]

    run(main())
