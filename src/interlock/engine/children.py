"""Child runs: started by a state of another run, each with a stream of its own.

What it does: gives a child its id, opens it with its parent's record of it, and drives it beside. What it does not do:
the end of a child reaches its parent's inbox in the append that ends the child (`session`), and the parent waits for it
as for any other fact (`waits`).

Rules: the id of a child is a function of parent, state and name, so starting it again finds it; the fact, the linkage
and the first events of the child are one append, so that no child is without a parent who knows it; nesting and number
are bounded and refused, not cut.
"""

from __future__ import annotations

from typing import Any, Protocol
from uuid import UUID, uuid5

import msgspec

from interlock.base.canonical import canonical, digest
from interlock.base.ids import fact_key
from interlock.base.secret_scan import refuse_secrets
from interlock.engine import events as e
from interlock.engine.attempt import Attempt
from interlock.engine.config import RunConfig, read_manifest
from interlock.engine.errors import CHILD_CONFLICT, CHILD_LIMIT
from interlock.engine.opening import Opening
from interlock.engine.owners.driving import Driver
from interlock.engine.sameness import differences_asked
from interlock.engine.spawning import SpawnedChild, child_key
from interlock.engine.waits import FACT_KIND
from interlock.journal.journal import Post
from interlock.journal.ports import Artifacts, Blob
from interlock.journal.streams import tenant_of


class Opener(Protocol):
    """Says how a child run would begin."""

    def child(
        self,
        plan: Any,
        input: Any,  # noqa: A002 - the contract's own word
        *,
        run_id: str,
        tenant: str,
        config: RunConfig | None,
        parent: e.ParentLinked,
        parent_source: str | None,
    ) -> Opening:
        """What the child is opened with. Raises: what starting a run raises."""
        ...

    async def post(self, opening: Opening) -> Post:
        """The first events of the run, for an append of its parent. Raises: `child_run_conflict` if it exists."""
        ...


def child_wait(name: str) -> str:
    """The name of the wait for a child's end."""
    return f"child:{name}"


class Children:
    """The `Spawner` of an application."""

    def __init__(self, opener: Opener, driver: Driver) -> None:
        self._opener = opener
        self._driver = driver

    async def spawn(
        self,
        attempt: Attempt,
        plan: Any,
        input: Any,  # noqa: A002 - the contract's own word
        name: str,
        config: RunConfig | None,
        *,
        detached: bool,
    ) -> str:
        """As the port says."""
        attempt.check_open()
        session, state_id = attempt.session, attempt.node.id
        key = fact_key(child_key(state_id, name))
        refuse_secrets(key.encode(), "name of a child run")
        async with session.turn_of(key):
            return await self._spawned(attempt, plan, input, name, key, config, detached=detached)

    async def _spawned(
        self,
        attempt: Attempt,
        plan: Any,
        input: Any,  # noqa: A002 - the contract's own word
        name: str,
        key: str,
        config: RunConfig | None,
        *,
        detached: bool,
    ) -> str:
        session, state_id = attempt.session, attempt.node.id
        known = session.state.facts.get(key)
        run_id = str(uuid5(UUID(session.run_id), key))
        depth = 1 if session.state.parent is None else session.state.parent.depth + 1
        link = e.ParentLinked(depth, child_wait(name), session.run_id, state_id)
        opening = self._opener.child(
            plan,
            input,
            run_id=run_id,
            tenant=tenant_of(session.state.stream),
            config=config,
            parent=link,
            parent_source=session.state.plan_source,
        )
        content = canonical(msgspec.to_builtins(SpawnedChild(opening.manifest_id, run_id)))
        blob = Blob(digest(content), FACT_KIND, content)
        if known is None:
            fact = e.FactRecorded(key, "json", blob.id, None)
            spawned = e.ChildRunSpawned(
                not detached, opening.manifest_id, run_id, child_wait(name), session.run_id, state_id
            )
            post = await self._opener.post(opening)
            await attempt.record([fact, spawned], [blob], [post], lambda: self._check_limits(attempt))
        elif known.payload_id != blob.id:
            await self._check_same(session.journal.store.artifacts, known.payload_id, opening)
        if session.state.children[run_id].status is None:
            self._driver.drive_beside(opening.stream, run_id)
        return run_id

    async def _check_same(self, artifacts: Artifacts, payload_id: str, opening: Opening) -> None:
        """Refuse to find a child that was asked for otherwise. Raises: `child_run_conflict`."""
        [content] = await artifacts.get([payload_id])
        started = msgspec.json.decode(content, type=SpawnedChild)
        [manifest] = await artifacts.get([started.child_manifest_id])
        what = differences_asked(read_manifest(started.child_manifest_id, manifest), opening.manifest)
        if what is not None:
            raise CHILD_CONFLICT.error(
                f"a child of that name was started otherwise; what differs: {what}", run_id=opening.run_id
            )

    def _check_limits(self, attempt: Attempt) -> None:
        attempt.session.check_budget()
        state, settings = attempt.session.state, attempt.session.settings
        depth = 0 if state.parent is None else state.parent.depth
        if depth >= settings.child_depth_max:
            raise CHILD_LIMIT.error(
                f"runs are nested {settings.child_depth_max} deep already", limit=settings.child_depth_max
            )
        if len(state.children) >= settings.children_max:
            raise CHILD_LIMIT.error(f"the run has {len(state.children)} children already", limit=settings.children_max)
