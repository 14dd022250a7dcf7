"""The contract of `Artifacts`: immutable bytes under the name that their SHA-256 gives them.

What it does: proves naming, exact bytes, and what an append does with the artifacts it names. What it does
not do: it damages nothing; that damage is found is proved where the adapter's files are known.

Rules: the kind is a hint and never a part of the name; whatever is named by an event is durable no later
than it.
"""

# ruff: noqa: S101, D102 - an assertion is what a test is for, and its name is its sentence

from __future__ import annotations

import asyncio
import random

from interlock.base.errors import Category
from interlock.journal.ports import EMPTY, Append, Blob, Store
from interlock.testing.contracts.harness import (
    Contract,
    append,
    blob,
    code_of,
    grow,
    is_empty,
    on_store,
    onto,
    refusal,
    stream,
)

A = stream("a")
MISSING = "0" * 64
LARGE = random.Random(5).randbytes(5 * 1024 * 1024)  # noqa: S311 - bytes that do not compress

CONTENTS = (b"", b"\0", b"text", b'{"u":"\\u0000"}', b"\xff\xfe\x80", bytes(range(256)) * 20)


class ArtifactsContract(Contract):
    """Proves `Artifacts`."""

    @on_store
    async def test_what_was_put_is_got_byte_for_byte(self, store: Store) -> None:
        blobs = [blob(each) for each in CONTENTS]

        ids = await store.artifacts.put(blobs)

        assert ids == [each.id for each in blobs]
        for opened in (store, await self.again(store)):
            assert await opened.artifacts.get(ids) == list(CONTENTS)
            assert await opened.artifacts.get(ids[::-1] + ids[:1]) == [*CONTENTS[::-1], CONTENTS[0]]

    @on_store
    async def test_five_mebibytes_are_kept_whole(self, store: Store) -> None:
        [large] = await store.artifacts.put([blob(LARGE)])

        assert await (await self.again(store)).artifacts.get([large]) == [LARGE]

    @on_store
    async def test_the_kind_is_no_part_of_the_name(self, store: Store) -> None:
        ids = await store.artifacts.put([blob(b"same", "context"), blob(b"same", "plan")])
        ids += await store.artifacts.put([blob(b"same", "report")])

        assert ids == [blob(b"same").id] * 3
        assert await store.artifacts.scan("", 10) == ids[:1]

    @on_store
    async def test_a_name_that_is_not_the_digest_is_refused_with_its_whole_batch(self, store: Store) -> None:
        good, wrong = blob(b"good"), Blob(blob(b"other").id, "file", b"wrong")

        fault = await refusal(store.artifacts.put([good, wrong]))

        assert fault.code == "artifact_id_mismatch"
        assert await store.artifacts.exists([good.id, wrong.id]) == [False, False]

    @on_store
    async def test_what_is_missing_is_said_to_be_missing(self, store: Store) -> None:
        [here] = await store.artifacts.put([blob(b"here")])

        assert await store.artifacts.exists([here, MISSING, here]) == [True, False, True]
        fault = await refusal(store.artifacts.get([here, MISSING]))
        assert (fault.code, fault.category, fault.details) == (
            "artifact_not_found",
            Category.CORRUPT,
            {"artifact": MISSING},
        )
        assert MISSING in fault.message

    @on_store
    async def test_nothing_asked_is_nothing_given(self, store: Store) -> None:
        assert await store.artifacts.put([]) == []
        assert await store.artifacts.get([]) == []
        assert await store.artifacts.exists([]) == []

    @on_store
    async def test_all_names_are_found_in_order_page_by_page(self, store: Store) -> None:
        ids = await store.artifacts.put([blob(b"%d" % n) for n in range(10)])

        pages, after = [], ""
        while page := await store.artifacts.scan(after, 4):
            pages.append(page)
            after = page[-1]

        assert [len(page) for page in pages] == [4, 4, 2]
        assert [each for page in pages for each in page] == sorted(ids)

    @on_store
    async def test_the_same_bytes_put_by_many_at_once_are_one_artifact(self, store: Store) -> None:
        other = await self.again(store)

        ids = await asyncio.gather(*((store, other)[n % 2].artifacts.put([blob(b"same")]) for n in range(8)))

        assert ids == [[blob(b"same").id]] * 8
        assert await store.artifacts.scan("", 10) == [blob(b"same").id]

    @on_store
    async def test_artifacts_of_an_append_are_there_with_it(self, store: Store) -> None:
        small, large = blob(b"small"), blob(LARGE)

        await append(store, onto(EMPTY, A), blobs=[small, large])

        other = await self.again(store)
        assert await other.artifacts.get([small.id, large.id]) == [b"small", LARGE]

    @on_store
    async def test_an_append_may_name_what_is_there_already(self, store: Store) -> None:
        await store.artifacts.put([blob(b"before")])

        await append(store, onto(EMPTY, A), blobs=[blob(b"before"), blob(b"before", "again")])

        assert await store.artifacts.get([blob(b"before").id]) == [b"before"]

    @on_store
    async def test_an_append_with_a_wrong_name_is_refused_whole(self, store: Store) -> None:
        good, wrong = blob(b"good"), Blob(blob(b"other").id, "file", b"wrong")

        [outcome] = await store.events.append([Append([onto(EMPTY, A)], (), [good, wrong])])

        assert code_of(outcome) == "artifact_id_mismatch"
        assert await is_empty(store, A)
        assert await store.artifacts.exists([wrong.id]) == [False]

    @on_store
    async def test_artifacts_of_a_refused_append_do_no_harm(self, store: Store) -> None:
        await grow(store, A)
        late = blob(b"late")

        [outcome] = await store.events.append([Append([onto(EMPTY, A)], (), [late])])

        assert code_of(outcome) == "head_moved"
        await store.artifacts.put([late])
        assert await store.artifacts.get([late.id]) == [b"late"]
