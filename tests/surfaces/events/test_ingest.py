"""CloudEvents over HTTP: a real server takes them once, durably, and refuses everything else clearly."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
from cloudevents.core.bindings.http import to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent as PeerEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.applications import Starlette

from interlock.app import App
from interlock.base.cloud_binding import EVENT_BYTES_MAX
from interlock.base.principal import Principal
from interlock.base.secrets import Secret
from interlock.journal.errors import DISK_FULL
from interlock.journal.ingest.signature import HEADER, signature
from interlock.stores.memory import MemoryStore
from tests.cloudevents import BATCH, SOURCE, STRUCTURED, document, event
from tests.surfaces.events.serving import Served, application, on_the_wire, routes_of, serving, streams_of, talking

PATH = "/api/events/"
BANK = "https://bank.example/payments"
KEY = "the key of the bank"
ADA = Principal(id="token:ada")


async def ids(app: App, **given: Any) -> list[str]:
    """The ids of the events that are listed, in order."""
    page: Any = await app.client(ADA).call("event.list", given)
    return sorted(row.id for row in page.items)


def problem_of(answer: httpx2.Response) -> tuple[int, str]:
    content = answer.json()
    assert content["status"] == answer.status_code
    return answer.status_code, content["code"]


def signed(body: bytes, *, at_s: int | None = None, key: str = KEY) -> dict[str, str]:
    at_s = int(time.time()) if at_s is None else at_s
    return {**STRUCTURED, HEADER: f"t={at_s},v1={signature(Secret(key), at_s, body)}"}


@on_the_wire
async def test_events_are_taken_in_every_mode_and_answered_without_a_body() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        binary = {"ce-specversion": "1.0", "ce-id": "b", "ce-source": SOURCE, "ce-type": "forge.pushed"}
        answers = [
            await client.post(PATH, content=document("s"), headers=STRUCTURED),
            await client.post(PATH, content=b"{}", headers={**binary, "content-type": "application/json"}),
            await client.post(PATH, content=json.dumps([event("x"), event("y")]).encode(), headers=BATCH),
            await client.post("/api/events", content=document("z"), headers=STRUCTURED),
        ]

        assert [(each.status_code, each.content) for each in answers] == [(202, b"")] * 4
        assert await ids(app) == ["b", "s", "x", "y", "z"]


@on_the_wire
async def test_twenty_posts_of_one_event_at_once_record_it_once() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        posts = (client.post(PATH, content=document(n=number), headers=STRUCTURED) for number in range(20))
        answers = await asyncio.gather(*posts)

        assert {each.status_code for each in answers} == {202}
        assert await app.store.events.position("default") == 1


@on_the_wire
async def test_an_independent_library_is_understood_in_both_modes() -> None:
    app = application()
    attributes = {"id": "1", "source": SOURCE, "type": "forge.pushed", "subject": 'Grüße "an" 100 %', "flag": "on"}
    peer = PeerEvent({**attributes, "datacontenttype": "application/json"}, {"ref": "main"})
    other = PeerEvent({**attributes, "id": "2", "datacontenttype": "text/plain"}, "hello 🦉")
    async with serving(app) as served, talking(served) as client:
        for one in (to_binary_event(peer), to_structured_event(other)):
            answer = await client.post(PATH, content=one.body, headers=one.headers)
            assert answer.status_code == 202, answer.text

        first: Any = await app.client(ADA).call("event.show", {"source": SOURCE, "id": "1"})
        second: Any = await app.client(ADA).call("event.show", {"source": SOURCE, "id": "2"})
        assert (first.subject, json.loads(bytes(first.data)), json.loads(bytes(first.extensions))) == (
            attributes["subject"],
            {"ref": "main"},
            {"flag": "on"},
        )
        assert json.loads(bytes(second.data)) == "hello 🦉"


@on_the_wire
async def test_an_event_of_a_type_that_nothing_knows_is_taken_and_listed_as_such() -> None:
    app = application()
    async with serving(app) as served, talking(served) as client:
        await client.post(PATH, content=document("1"), headers=STRUCTURED)
        answer = await client.post(PATH, content=document("2", type="strange"), headers=STRUCTURED)

        assert answer.status_code == 202
        assert await ids(app, unknown=True) == ["2"]


@on_the_wire
async def test_a_source_with_a_secret_is_believed_only_when_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANK_SECRET", KEY)
    app, body, now_s = application(), document("1", source=BANK), int(time.time())
    binary = {"ce-specversion": "1.0", "ce-id": "1", "ce-source": BANK, "ce-type": "paid"}
    refused: list[dict[str, str]] = [
        STRUCTURED,
        {**STRUCTURED, HEADER: "nonsense"},
        signed(body, key="another"),
        signed(body + b" "),
        signed(body, at_s=now_s - 400),
        signed(body, at_s=now_s + 400),
        {**binary, HEADER: signed(body)[HEADER]},
    ]
    async with serving(app) as served, talking(served) as client:
        for headers in refused:
            answer = await client.post(PATH, content=body, headers=headers)
            assert problem_of(answer) == (403, "event_signature_invalid"), headers
        assert await app.store.events.position("default") == 0

        answers = [await client.post(PATH, content=body, headers=signed(body)) for _ in range(2)]
        assert [each.status_code for each in answers] == [202, 202]
        assert await ids(app) == ["1"]


@on_the_wire
async def test_what_is_refused_has_its_status_and_code_and_records_nothing() -> None:
    app = application()
    cases: list[tuple[dict[str, str], bytes, int, str]] = [
        (STRUCTURED, b"{", 400, "cloud_event_malformed"),
        (STRUCTURED, document(source=None), 400, "cloud_event_malformed"),
        (BATCH, b"[" + document() + b",{}]", 400, "cloud_event_malformed"),
        ({"content-type": "application/json"}, document(), 415, "cloud_event_unsupported"),
        ({"content-type": "application/cloudevents+avro"}, b"", 415, "cloud_event_unsupported"),
        (STRUCTURED, document(data="a" * EVENT_BYTES_MAX), 413, "cloud_event_too_large"),
        (BATCH, json.dumps([event(str(n)) for n in range(101)]).encode(), 413, "cloud_event_too_large"),
        (STRUCTURED, document(source="https://elsewhere.example/"), 403, "event_source_refused"),
        ({**STRUCTURED, "x-tenant": "nobody"}, document(), 403, "toy_nobody"),
    ]
    async with serving(app) as served, talking(served) as client:
        for headers, body, status, code in cases:
            assert problem_of(await client.post(PATH, content=body, headers=headers)) == (status, code)
        assert (await client.get(PATH)).status_code == 405

    assert await app.store.events.position("default") == 0


@on_the_wire
async def test_a_body_that_does_not_end_is_read_up_to_its_limit_and_no_further() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536
            await asyncio.sleep(0.001)

    app = application()
    async with serving(app) as served, talking(served) as client:
        try:
            answer = await client.post(PATH, content=endless(), headers=STRUCTURED)
        except httpx2.TransportError:
            pass  # the server closed the connection while we were still sending
        else:
            assert problem_of(answer) == (413, "cloud_event_too_large")

    assert sent < 1_000


async def raw(served: Served, request: bytes) -> bytes:
    """What a server answers to the very bytes of a request that may never end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(request)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    return answer


@on_the_wire
async def test_a_size_that_is_stated_is_refused_before_a_byte_of_the_body() -> None:
    async with serving(application()) as served:
        head = b"POST /api/events/ HTTP/1.1\r\nhost: a\r\ncontent-type: application/cloudevents+json\r\n"
        answer = await raw(served, head + b"content-length: 99999999\r\n\r\n")

        assert answer.startswith(b"HTTP/1.1 413 ")


@on_the_wire
async def test_a_body_that_comes_too_slowly_is_refused_in_time() -> None:
    async with serving(application(events={"body_timeout_ms": 50})) as served:
        head = b"POST /api/events/ HTTP/1.1\r\nhost: a\r\ncontent-type: application/cloudevents+json\r\n"
        answer = await raw(served, head + b"content-length: 100\r\n\r\n{")

        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"event_body_slow" in answer


@on_the_wire
async def test_who_leaves_in_the_middle_of_a_body_leaves_nothing() -> None:
    app = application()
    async with serving(app) as served:
        _, writer = await asyncio.open_connection("127.0.0.1", served.port)
        head = b"POST /api/events/ HTTP/1.1\r\nhost: a\r\ncontent-type: application/cloudevents+json\r\n"
        writer.write(head + b"content-length: 500\r\n\r\n" + document())
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with talking(served) as client:
            assert (await client.post(PATH, content=document("2"), headers=STRUCTURED)).status_code == 202

    assert await ids(app) == ["2"]


@on_the_wire
async def test_what_could_not_be_recorded_is_not_acknowledged_and_may_be_sent_again() -> None:
    full = True

    def fault(point: str) -> None:
        if full and point == "append:before":
            raise DISK_FULL.error("no space is left")

    app = application(store=MemoryStore(faults=fault))
    async with serving(app) as served, talking(served) as client:
        answer = await client.post(PATH, content=document(), headers=STRUCTURED)
        assert problem_of(answer) == (500, "disk_full")
        full = False
        assert (await client.post(PATH, content=document(), headers=STRUCTURED)).status_code == 202

    assert await ids(app) == ["1"]


@on_the_wire
async def test_events_may_be_taken_at_any_address() -> None:
    app = application()
    async with serving(app, path="/hooks/forge") as served, talking(served) as client:
        assert (await client.post("/hooks/forge", content=document(), headers=STRUCTURED)).status_code == 202
        assert (await client.post(PATH, content=document(), headers=STRUCTURED)).status_code == 404

    assert await ids(app) == ["1"]


@on_the_wire
async def test_the_handshake_of_webhooks_is_granted_to_origins_of_the_settings_alone() -> None:
    events = {"webhook_origins": ["forge.example"], "webhook_rate_per_minute": 120}
    async with serving(application(events=events)) as served, talking(served) as client:

        async def granted(origin: str, rate: str | None = None) -> tuple[str | None, str | None]:
            asked = {"WebHook-Request-Origin": origin, **({} if rate is None else {"WebHook-Request-Rate": rate})}
            answer = await client.options(PATH, headers=asked)
            assert (answer.status_code, answer.headers["allow"]) == (200, "OPTIONS, POST")
            return answer.headers.get("webhook-allowed-origin"), answer.headers.get("webhook-allowed-rate")

        assert await granted("Forge.example") == ("forge.example", None)
        assert await granted("forge.example", "60") == ("forge.example", "60")
        assert await granted("forge.example", "1000") == ("forge.example", "120")
        assert await granted("forge.example", "*") == ("forge.example", "120")
        assert await granted("elsewhere.example", "60") == (None, None)
        assert (await client.options(PATH)).headers.get("webhook-allowed-origin") is None


@settings(max_examples=40)
@given(
    st.dictionaries(
        st.sampled_from(["content-type", "ce-specversion", "ce-id", "ce-source", "ce-type", "x-interlock-signature"]),
        st.one_of(
            st.sampled_from([*STRUCTURED.values(), *BATCH.values(), "1.0", "application/json", SOURCE, BANK]),
            st.binary(max_size=10).map(lambda raw: raw.translate(None, b"\r\n\0").decode("latin-1")),
        ),
    ),
    st.one_of(st.binary(max_size=50), st.sampled_from([document(), document(source=BANK), b"[" + document() + b"]"])),
)
def test_whatever_is_posted_is_never_a_fault_of_the_server(headers: dict[str, str], body: bytes) -> None:
    async def main() -> int:
        app = application()
        root = Starlette(routes=routes_of(app, streams_of(app)))
        transport = httpx2.ASGITransport(app=root)
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            given = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
            return (await client.post(PATH, content=body, headers=given)).status_code

    assert asyncio.run(main()) in {202, 400, 403, 413, 415, 503}
