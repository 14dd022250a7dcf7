"""Telling owners that something came from outside while they drive.

What it does: one task looks at the inboxes of all runs that this process drives, and rouses the sessions whose inbox
has moved; a cancellation interrupts what is under way. What it does not do: it takes nothing out of an inbox; the
session's loop does, at its next decision.

Rule: one look costs one query, whatever the number of runs; who writes to an inbox in this process says so at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from interlock.base.errors import InterlockError
from interlock.engine.background import Background
from interlock.engine.control import inbox_events as i
from interlock.engine.errors import RUN_CANCELLED
from interlock.engine.session import Session
from interlock.journal.journal import Journal


class InboxWatcher:
    """Rouses sessions. Its task lives only while there are any."""

    def __init__(self, journal: Journal, poll_ms: int) -> None:
        self._journal = journal
        self._poll_ms = poll_ms
        self._sessions: dict[str, Session] = {}
        self._seen: dict[str, int] = {}
        self._task = Background(self._poll, "inbox watcher")

    @contextmanager
    def watch(self, session: Session) -> Iterator[None]:
        """Rouse `session` while the block runs."""
        stream = session.state.stream
        self._sessions[stream] = session
        self._task.start()
        try:
            yield
        finally:
            if self._sessions.get(stream) is session:
                del self._sessions[stream]
                self._seen.pop(stream, None)

    def session(self, stream: str) -> Session | None:
        """The session that drives a run in this process."""
        return self._sessions.get(stream)

    async def look(self, session: Session) -> None:
        """Rouse a session if its inbox holds what it has not taken."""
        stream = session.state.stream
        entries = await self._journal.tail(f"{stream}/inbox", session.state.inbox_seq)
        if not entries:
            return
        self._seen[stream] = entries[-1].envelope.seq
        session.inbox_moved = True
        session.news.set()
        if any(isinstance(entry.record, i.CancelRequested) for entry in entries):
            session.interrupt(RUN_CANCELLED)

    async def close(self) -> None:
        """Stop looking."""
        await self._task.close()

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(self._poll_ms / 1000)
            streams = list(self._sessions)
            if not streams:
                return
            with suppress(InterlockError):  # a store that fails tells the owner at its next append
                heads = await self._journal.store.events.heads([f"{stream}/inbox" for stream in streams])
                for stream, head in zip(streams, heads, strict=True):
                    session = self._sessions.get(stream)
                    if session is not None and head.seq > max(session.state.inbox_seq, self._seen.get(stream, 0)):
                        await self.look(session)
