"""Calls under a key: each takes effect once, and is answered the same however often it is sent.

What it does: has a call take its key before anything is done for it, and keeps its answer before anybody is given it;
whoever sends it again gets that answer, whatever has changed since, and also where nothing was changed. What it does
not do: it makes no key, and knows no command by name.

The procedure, for one call of a key at a time in a process:
 1. take the key, durably, for the command and the digest of its checked input; a key that is taken for something else
    is refused, and nothing is done
 2. where it had been taken for the same, and there is an answer, that is the answer
 3. run the handler; an error is not kept, so that the same call may be tried again
 4. keep the answer, durably; where another process was first, its answer is the answer
Whatever dies between 1 and 4 leaves a key without an answer: the same call runs the handler again, which knows the
command id and does at most what was not done yet. The same happens where two processes have the same call at once.
Of two different calls, never more than one comes further than 1, in whatever process, at whatever time.

Rule: an answer that holds a secret is not kept; the handler tells the repetition what may be told twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from interlock.base.part import Command
from interlock.base.principal import Principal
from interlock.journal.errors import EVENT_CORRUPT
from interlock.journal.journal import Journal
from interlock.journal.queues import StreamQueues
from interlock.journal.runner import Runner, RunnerSettings, command_digest
from interlock.surfaces.receipts.decide import DECIDER, Answer, Receipt, Take
from interlock.surfaces.receipts.events import KeyAnswered, receipt_stream


class Receipts:
    """The receipts of a journal."""

    def __init__(self, journal: Journal, runner: Runner, settings: RunnerSettings) -> None:
        self._journal = journal
        self._runner = runner
        self._calls = StreamQueues(
            per_stream_max=settings.queue_per_stream_max,
            total_max=settings.queue_total_max,
            wait_ms_max=settings.queue_wait_ms_max,
        )

    async def once(
        self,
        command: Command,
        given: Struct,
        run: Callable[[], Awaitable[Struct]],
        *,
        principal: Principal,
        command_id: str,
    ) -> Struct:
        """What `command` was answered under this id, of which `run` makes the first answer.

        Raises: `command_id_conflict` for an id that another call has; `queue_full` where the same call goes on for too
        long; what `run` raises; storage errors. Side effects: at most two appends, beside those of `run`.
        """
        stream = receipt_stream(principal.tenant, command_id)
        async with self._calls.hold([stream]):
            try:
                return await self._once(stream, command, given, run, principal)
            finally:
                # Keys are rarely used again: none of them pushes a state out that is.
                self._runner.hand_over(DECIDER, stream)

    async def _once(
        self, stream: str, command: Command, given: Struct, run: Callable[[], Awaitable[Struct]], principal: Principal
    ) -> Struct:
        take = Take(stream, command.name, command_digest(command.name, given))
        is_free = await self._runner.execute(DECIDER, take, principal)
        kept = None if is_free else await self._kept(stream, command)
        if kept is not None:
            return kept
        output = await run()
        if command.secret_output:
            return output
        is_first = await self._runner.execute(DECIDER, Answer(stream, msgspec.json.encode(output)), principal)
        return output if is_first else await self._kept(stream, command) or output

    async def _kept(self, stream: str, command: Command) -> Struct | None:
        """The answer of a key, if there is one. Raises: `event_corrupt`, storage errors."""
        answered = await self._runner.look(DECIDER, stream, _answered)
        if answered is None:
            return None
        content = (answered.answer or "").encode()
        if answered.answer_id is not None:
            [content] = await self._journal.store.artifacts.get([answered.answer_id])
        try:
            output: Struct = msgspec.json.decode(content, type=command.output)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise EVENT_CORRUPT.error(f"the answer kept of {command.name} is none of this version") from None
        return output


def _answered(receipt: Receipt) -> KeyAnswered | None:
    return receipt.answered
