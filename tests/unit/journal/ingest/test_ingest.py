"""Events from outside: each once, durable, from whom the settings list, and found again by their verbs."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from msgspec.structs import replace

from interlock.app import App
from interlock.base.canonical import canonical
from interlock.base.cloud_attributes import Incoming
from interlock.base.errors import InterlockError
from interlock.base.principal import Principal
from interlock.base.secrets import Secret, SecretRef
from interlock.journal.chain import read_envelope
from interlock.journal.ingest import EventSettings, Ingest, Signed, Taken
from interlock.journal.ingest.decide import SNAPSHOT_EVENTS
from interlock.journal.ingest.events import DATA_BYTES_MAX, inbox_stream
from interlock.journal.ingest.settings import EventSource
from interlock.journal.ingest.signature import signature
from interlock.journal.ports import Head
from interlock.stores.memory import MemoryStore
from interlock.testing.app import memory_app
from interlock.testing.loop import run
from tests.cloudevents import SOURCE
from tests.unit.journal.bank import damage

ADA = Principal(id="token:ada")
BEA = Principal(id="token:bea", tenant="other")
LISTED = {"events": {"sources": {"forge": {"source": "https://forge.example/*", "types": ["forge.*"]}}}}
PUSHED = Incoming(id="1", source=SOURCE, type="forge.pushed", data=b'{"ref":"main"}')


def opened(**members: Any) -> App:
    return memory_app(settings=LISTED, **members)


async def stored(app: App, tenant: str = "default") -> int:
    return await app.store.events.position(tenant)


def signed_ingest(app: App, secrets: dict[str, str]) -> Ingest:
    """The way in of an application whose entries have secrets, by the beginning of their sources."""

    def secret(ref: SecretRef) -> Secret:
        return Secret(ref.name * 3)

    sources = {
        name: EventSource(source=f"/{name}*", secret=SecretRef(f"env:{ref}") if ref else None)
        for name, ref in secrets.items()
    }
    return Ingest(app.journal, app.runner, EventSettings(sources=sources), secret)


async def code_of(ingest: Ingest, events: list[Incoming], signed: Signed | None = None) -> str:
    with pytest.raises(InterlockError) as caught:
        await ingest.receive(events, principal=ADA, signed=signed)
    return caught.value.code


def test_an_event_is_recorded_in_the_stream_of_its_source_with_who_sent_it() -> None:
    async def main() -> None:
        app = opened()

        assert await app.ingest.receive([PUSHED], principal=ADA) == Taken(new=1, repeated=0)

        [event] = await app.store.events.read(inbox_stream("default", SOURCE), 0, 10)
        envelope = read_envelope(event)
        assert (envelope.type, envelope.actor) == ("journal.event_received", "token:ada")
        assert event.salt
        assert json.loads(event.data or b"")["data"] == {"ref": "main"}

    run(main())


def test_a_repetition_is_answered_the_same_and_records_nothing_whatever_it_says() -> None:
    async def main() -> None:
        app = opened()
        await app.ingest.receive([PUSHED], principal=ADA)

        again = await app.ingest.receive([replace(PUSHED, type="forge.other", data=b"7")], principal=ADA)

        assert (again, await stored(app)) == (Taken(new=0, repeated=1), 1)

    run(main())


def test_the_same_id_of_another_source_or_tenant_is_another_event() -> None:
    async def main() -> None:
        app = opened()
        others = [PUSHED, replace(PUSHED, source=f"{SOURCE}/2"), PUSHED]

        assert await app.ingest.receive(others, principal=ADA) == Taken(new=2, repeated=1)
        assert await app.ingest.receive([PUSHED], principal=BEA) == Taken(new=1, repeated=0)

    run(main())


def test_of_twenty_who_send_one_event_at_once_one_is_new() -> None:
    async def main() -> None:
        app = opened()
        taken = await asyncio.gather(*(app.ingest.receive([PUSHED], principal=ADA) for _ in range(20)))

        assert (sum(each.new for each in taken), await stored(app)) == (1, 1)

    run(main())


def test_processes_that_take_one_event_at_once_record_it_once() -> None:
    async def main() -> None:
        store = MemoryStore()
        apps = [opened(store=store.reopen(), seed=number) for number in range(4)]
        taken = await asyncio.gather(*(app.ingest.receive([PUSHED], principal=ADA) for app in apps))

        assert (sum(each.new for each in taken), await stored(apps[0])) == (1, 1)

    run(main())


def test_what_came_together_is_recorded_together_or_not_at_all() -> None:
    async def main() -> None:
        app = opened()
        foreign = replace(PUSHED, source="https://elsewhere.example/")

        assert await code_of(app.ingest, [PUSHED, foreign]) == "event_source_refused"
        assert await stored(app) == 0
        assert await app.ingest.receive([], principal=ADA) == Taken(0, 0)

    run(main())


def test_an_unlisted_source_is_taken_only_where_the_settings_say_so() -> None:
    async def main() -> None:
        app = memory_app(settings={"events": {"allow_unlisted": True}})
        await app.ingest.receive([PUSHED], principal=ADA)

        found = await app.ingest.find(SOURCE, "1", principal=ADA)
        assert found.event is not None
        assert found.event.known is False
        assert await code_of(memory_app().ingest, [PUSHED]) == "event_source_refused"

    run(main())


def test_large_data_is_an_artifact_that_comes_back_whole() -> None:
    async def main() -> None:
        app = opened()
        text, raw = canonical("a" * DATA_BYTES_MAX), bytes(DATA_BYTES_MAX + 1)
        await app.ingest.receive([replace(PUSHED, data=text)], principal=ADA)
        await app.ingest.receive([replace(PUSHED, id="2", data=None, binary=raw)], principal=ADA)

        for identity, kept in (("1", text), ("2", canonical(base64.b64encode(raw).decode()))):
            found = await app.ingest.find(SOURCE, identity, principal=ADA)
            assert found.event is not None
            assert found.event.data_id is not None
            assert bytes(found.data) == kept

    run(main())


def test_a_request_is_signed_by_every_secret_that_its_events_ask_for() -> None:
    async def main() -> None:
        app = opened()
        ingest = signed_ingest(app, {"a": "A", "b": "B", "open": ""})
        a, b, free = (replace(PUSHED, source=source) for source in ("/a", "/b", "/open"))
        now_s = app.journal.clock.now_ms() // 1000
        by_a, by_b = (f",v1={signature(Secret(name * 3), now_s, b'body')}" for name in "AB")

        def header(*signatures: str, whole: bool = True) -> Signed:
            return Signed(f"t={now_s}" + "".join(signatures), b"body", whole)

        assert await code_of(ingest, [a]) == "event_signature_invalid"
        assert await code_of(ingest, [a], header(by_b)) == "event_signature_invalid"
        assert await code_of(ingest, [free, b, a], header(by_a)) == "event_signature_invalid"
        assert await code_of(ingest, [a], header(by_a, whole=False)) == "event_signature_invalid"
        assert await stored(app) == 0
        assert (await ingest.receive([free, b, a], principal=ADA, signed=header(by_a, by_b))).new == 3
        assert (await ingest.receive([replace(free, id="2")], principal=ADA)).new == 1

    run(main())


def test_a_secret_that_cannot_be_read_takes_no_event_and_is_not_told_to_the_sender(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def main() -> str:
        entry = {"source": "*", "secret": "env:FORGE_SECRET"}
        app = memory_app(settings={"events": {"sources": {"forge": entry}}})
        with pytest.raises(InterlockError) as caught:
            await app.ingest.receive([PUSHED], principal=ADA, signed=Signed("t=1", b"", whole=True))
        assert caught.value.retryable
        assert "FORGE_SECRET" not in str(caught.value)
        return caught.value.code

    assert run(main()) == "event_secret_unreadable"
    assert "the variable FORGE_SECRET is not set" in caplog.text


def test_a_long_inbox_is_not_folded_anew_by_a_process_that_begins() -> None:
    async def main() -> None:
        store = MemoryStore()
        app = opened(store=store)
        for number in range(2 * SNAPSHOT_EVENTS // 100 + 1):
            events = [replace(PUSHED, id=f"{number}-{each}") for each in range(100)]
            await app.ingest.receive(events, principal=ADA)

        later = opened(store=store.reopen(), seed=1)
        read: list[tuple[int, int]] = []
        log: Any = later.store.events
        events_of = log.read

        async def counted(stream: str, after: int, limit: int) -> Any:
            page = await events_of(stream, after, limit)
            read.append((after, len(page)))
            return page

        log.read = counted
        assert (await later.ingest.receive([PUSHED], principal=ADA)).new == 1
        assert sum(length for _, length in read) < SNAPSHOT_EVENTS

    run(main())


def test_events_are_listed_newest_first_and_those_of_unknown_types_by_themselves() -> None:
    async def main() -> None:
        app = opened()
        client = app.client(ADA)
        for identity, kind in (("1", "forge.pushed"), ("2", "strange"), ("3", "forge.pulled")):
            await asyncio.sleep(0.01)
            await app.ingest.receive([replace(PUSHED, id=identity, type=kind)], principal=ADA)

        async def ids(**given: Any) -> list[str]:
            page: Any = await client.call("event.list", given)
            return [row.id for row in page.items]

        assert await ids() == ["3", "2", "1"]
        assert await ids(unknown=True) == ["2"]
        assert await ids(type="forge.pushed") == ["1"]
        assert await ids(source="https://elsewhere.example") == []
        first: Any = await client.call("event.list", {"limit": 2})
        assert await ids(cursor=first.next) == ["1"]
        other: Any = await app.client(BEA).call("event.list", {})
        assert other.items == []

    run(main())


def test_an_event_is_shown_as_it_came() -> None:
    async def main() -> None:
        app = opened()
        sent = replace(PUSHED, subject="main", time="2026-01-01T00:00:00Z", extensions={"flag": True, "n": 7})
        await app.ingest.receive([sent], principal=ADA)
        await app.ingest.receive([replace(PUSHED, id="2", data=None, binary=b"\xff")], principal=ADA)

        shown: Any = await app.client(ADA).call("event.show", {"source": SOURCE, "id": "1"})
        raw: Any = await app.client(ADA).call("event.show", {"source": SOURCE, "id": "2"})

        assert (shown.type, shown.subject, shown.time, shown.known) == (sent.type, sent.subject, sent.time, True)
        assert (bytes(shown.data), bytes(shown.extensions)) == (b'{"ref":"main"}', b'{"flag":true,"n":7}')
        assert (bytes(raw.data), raw.binary) == (b'"/w=="', True)
        assert shown.received_by == "token:ada"
        for client, identity in ((app.client(ADA), "3"), (app.client(BEA), "1")):
            with pytest.raises(InterlockError) as caught:
                await client.call("event.show", {"source": SOURCE, "id": identity})
            assert caught.value.code == "event_not_found"

    run(main())


def test_an_event_whose_data_was_erased_keeps_its_name_and_does_not_come_in_again() -> None:
    async def main() -> None:
        store = MemoryStore()
        app = opened(store=store)
        await app.ingest.receive([PUSHED], principal=ADA)
        damage(store, inbox_stream("default", SOURCE), 1, data=None, salt=b"")

        shown: Any = await app.client(ADA).call("event.show", {"source": SOURCE, "id": "1"})
        again = await opened(store=store.reopen(), seed=1).ingest.receive([PUSHED], principal=ADA)

        assert (shown.erased, shown.id, shown.type, bytes(shown.data)) == (True, "1", None, b"null")
        assert again == Taken(new=0, repeated=1)

    run(main())


def test_a_subscription_gets_an_event_with_its_data_wherever_that_is_kept() -> None:
    async def main() -> None:
        app = opened()
        await app.ingest.receive([replace(PUSHED, data=canonical("a" * DATA_BYTES_MAX))], principal=ADA)
        [event] = await app.store.events.read(inbox_stream("default", SOURCE), 0, 1)

        telling = await app.subscriptions.tell(read_envelope(event), event)

        assert telling is not None
        assert json.loads(telling.data or b"")["data"] == "a" * DATA_BYTES_MAX
        [head] = await app.store.events.heads([event.stream])
        assert head == Head(1, event.digest)

    run(main())
