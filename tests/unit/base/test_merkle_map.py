"""The persistent map: format 1 to the byte, what it promises, and costs that follow the change."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from interlock.base.canonical import Json, canonical, digest
from interlock.base.errors import Invalid, NotFound
from interlock.base.merkle_map import EMPTY_NODE, ArtifactRef, MapConflict, MerkleMap, NodesMissing
from tests.unit.base.map_reference import Store, reference_nodes, sha, stored, writes

T = TypeVar("T")
HEBREW, EMOJI = "\ufb33", "\U0001f600"
ABSENT = "0" * 64


def numbered(count: int) -> dict[str, Json]:
    return {f"step{index:05}.result": {"n": index} for index in range(count)}


def made(content: dict[str, Json]) -> MerkleMap:
    return MerkleMap.empty().update(writes(content))[0]


def filled(size_bytes: int, key: str) -> dict[str, Json]:
    """One entry, at `key`, that makes a leaf of `size_bytes` on its own."""
    return {key: "x" * (size_bytes - len(canonical({key: ["v", ""]})))}


# Format 1, for ever


GOLDEN: dict[str, tuple[dict[str, Json], str]] = {
    "empty": ({}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    "one": ({"a": 1}, "fc5e869a579b22c30a52eecbbf8c63944952ab165043239d6dfc867487798afc"),
    "digits as keys": (
        {"0": ["n", "0" * 64], "a": ["v", 1], "f": {"n": "a"}},
        "6218b1739a153f84dad436d3966379fb24b322161b41eaeac1f1a709a17ebb3c",
    ),
    "utf-16 order": (
        {HEBREW: 1, EMOJI: 2, "é": 3, "z": [HEBREW, 1.5, 1e-7]},
        "b4de855d7dbcaf0746bb586dc7a6c0ddfea971ae9710060dad0032087fd4cada",
    ),
    "64 entries": (numbered(64), "228b2420c35c2a534afa435788d77a7ddaf43c43a96561637deae41dbf9b0a02"),
    "65 entries": (numbered(65), "41dfbd40a4b80f90a1a0ad2a36fdc4bc42858f5f107fd148575b22bb600545c6"),
    "5000 entries": (numbered(5_000), "1255c61f240ba20cdff5f0e72b00b919001012c111483d369d398c15de760e79"),
    "large value": (
        {"large": "x" * 4_095, "small": "x" * 4_094},
        "d500dbb127f51ba029b4d10e3a3a6196e10794ef877ef1f97625a254d2761aa5",
    ),
}


@pytest.mark.parametrize(("content", "root_id"), GOLDEN.values(), ids=GOLDEN.keys())
def test_the_root_of_a_content_never_changes(content: dict[str, Json], root_id: str) -> None:
    assert made(content).root_id == root_id
    assert reference_nodes(content)[0] == root_id


def test_the_bytes_of_nodes_never_change() -> None:
    _, blobs = MerkleMap.empty().update({"b": b"[1]", "a": b'"' + b"x" * 4_095 + b'"'})
    value, leaf = (content for _, content in blobs)

    assert value == b'"' + b"x" * 4_095 + b'"'
    assert leaf == b'{"a":["a","%b"],"b":["v",[1]]}' % sha(value).encode()
    assert EMPTY_NODE == b"{}"


def test_an_inner_node_names_its_children_by_hex_digit() -> None:
    root_id, nodes = reference_nodes(numbered(65))
    store = Store()

    assert store.put(numbered(65)) == root_id
    assert store.blobs == nodes
    assert nodes[root_id].startswith(b'{"0":["n","')


# The borders of the shape


def test_sixty_four_entries_are_one_node_and_the_next_one_divides_it() -> None:
    content = numbered(64)
    one = made(content)
    many, blobs = one.update({"another": b"1"})
    back, again = many.update({"another": None})

    assert len(reference_nodes(content)[1]) == 1
    assert len(blobs) > 10
    assert many.root_id == reference_nodes({**content, "another": 1})[0]
    assert back.root_id == one.root_id
    assert [blob_id for blob_id, _ in again] == [one.root_id]


def test_eight_kib_are_one_node_and_the_next_byte_divides_it() -> None:
    most = {**filled(3_000, "a"), **filled(3_000, "b")}
    fits = {**most, **filled(2_194, "c")}
    too_large = {**most, **filled(2_195, "c")}

    assert [len(node) for node in reference_nodes(fits)[1].values()] == [8_192]
    assert len(reference_nodes(too_large)[1]) > 1
    assert made(fits).root_id == reference_nodes(fits)[0]
    assert made(too_large).root_id == reference_nodes(too_large)[0]
    assert made(fits).update(writes(too_large))[0].root_id == made(too_large).root_id
    assert made(too_large).update(writes(fits))[0].root_id == made(fits).root_id
    larger = {**most, **filled(2_196, "c")}
    assert made(larger).update(writes(too_large))[0].root_id == made(too_large).root_id


def test_a_leaf_that_loses_an_entry_while_another_grows_is_taken_in_all_the_same() -> None:
    content = numbered(65)
    beside = [key for key in content if sha(key.encode())[0] == "0"][:2]
    changed, _ = made(content).update({beside[0]: None, beside[1]: canonical("x" * 100)})
    del content[beside[0]]

    assert changed.root_id == reference_nodes({**content, beside[1]: "x" * 100})[0]


def test_two_updates_of_one_map_do_not_meet() -> None:
    content = numbered(1_000)
    before = made(content)
    for key in list(content)[:40]:
        after, _ = before.update({key: b"1"})
        assert after.root_id == reference_nodes({**content, key: 1})[0]


@pytest.mark.parametrize("key", [EMOJI * 512, '"' * 512, "\\" * 512, "a"])
def test_the_largest_entry_fits_a_node(key: str) -> None:
    content: dict[str, Json] = {key: "x" * 4_094}
    _, blobs = MerkleMap.empty().update(writes(content))

    assert [len(blob) <= 8_192 for _, blob in blobs] == [True]
    assert Store().load(blobs[0][0]).root_id == reference_nodes(content)[0]


def test_a_value_of_more_than_four_kib_is_an_artifact_and_comes_back_as_a_reference() -> None:
    small, large = b'"' + b"x" * 4_094 + b'"', b'"' + b"x" * 4_095 + b'"'
    content, blobs = MerkleMap.empty().update({"small": small, "large": large})

    assert content.get_raw("small") == small
    assert content.get_raw("large") == ArtifactRef(sha(large))
    assert dict(blobs)[sha(large)] == large
    assert small not in dict(blobs).values()


def test_a_large_value_is_given_out_once() -> None:
    large = b'"' + b"x" * 5_000 + b'"'
    content, _ = MerkleMap.empty().update({"large": large})
    same, nothing = content.update({"large": large})
    _, blobs = content.update({"large": large, "b": b"1"})

    assert same is content
    assert nothing == []
    assert large not in dict(blobs).values()


def test_a_reference_from_one_map_can_be_written_to_another() -> None:
    content, _ = MerkleMap.empty().update({"large": b'"' + b"x" * 5_000 + b'"'})
    reference = content.get_raw("large")
    copied, blobs = MerkleMap.empty().update({"large": reference})

    assert copied.root_id == content.root_id
    assert [blob_id for blob_id, _ in blobs] == [content.root_id]


# Behaviour


def test_a_map_is_not_changed_by_an_update() -> None:
    before = made(numbered(200))
    after, _ = before.update({"step00007.result": b"7", "new": b"1", "step00008.result": None})

    assert dict(before.items()) == writes(numbered(200))
    assert (before.get_raw("new"), before.get_raw("step00008.result")) == (None, b'{"n":8}')
    assert (after.get_raw("new"), after.get_raw("step00008.result")) == (b"1", None)


def test_writing_what_is_there_or_deleting_what_is_not_changes_nothing() -> None:
    for content in (made({}), made(numbered(5)), made(numbered(500))):
        for change in ({}, {"absent": None}, dict(list(content.items())[:3])):
            assert content.update(change) == (content, [])


def test_the_last_entry_leaves_the_empty_map() -> None:
    for count in (1, 64, 65, 300):
        emptied, blobs = made(numbered(count)).update(dict.fromkeys(numbered(count)))

        assert emptied.root_id == MerkleMap.empty().root_id == digest(EMPTY_NODE)
        assert blobs == [(digest(EMPTY_NODE), EMPTY_NODE)]


@pytest.mark.parametrize("key", ["", "x" * 513, "a\n", "\ud800", "\x80"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    content = made({"a": 1})
    for attempt in (content.get_raw, content.needed, lambda key: content.update({key: b"1"})):
        with pytest.raises(Invalid) as refusal:
            attempt(key)
        assert refusal.value.code == "id_invalid"


def test_a_root_id_that_is_none_is_refused() -> None:
    with pytest.raises(Invalid):
        MerkleMap.load("../etc")


def test_a_merge_takes_what_one_side_changed_and_names_what_both_did() -> None:
    base = made({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1, "same": 1})
    ours, _ = base.update({"a": b"2", "c": b"2", "d": None, "same": b"9", "e": b"2"})
    theirs, _ = base.update({"b": b"3", "c": b"3", "d": b"3", "same": b"9", "e": None, "new": b"3"})
    merged = MerkleMap.merge(base, ours, theirs)

    assert dict(merged.content.items()) == {
        "a": b"2",
        "b": b"3",
        "c": b"2",
        "e": b"2",
        "same": b"9",
        "new": b"3",
    }
    assert merged.conflicts == (
        MapConflict("c", b"1", b"2", b"3"),
        MapConflict("d", b"1", None, b"3"),
        MapConflict("e", b"1", b"2", None),
    )
    assert [blob_id for blob_id, _ in merged.blobs] == [merged.content.root_id]


# Costs


def test_reading_and_changing_one_key_touches_only_its_path() -> None:
    store = Store()
    root_id = store.put(numbered(5_000))
    cold = store.load(root_id)
    assert store.fetched == []

    assert cold.get_raw("step04321.result") == b'{"n":4321}'
    assert len(store.fetched) <= 3
    assert cold.get_raw("step04321.result") is not None
    changed, blobs = cold.update({"step04321.result": b'{"n":-4321}'})
    assert len(store.fetched) <= 3
    assert len(blobs) <= 3

    assert changed.get_raw("step04321.result") == b'{"n":-4321}'
    assert len(store.fetched) == len(set(store.fetched)) <= 3


def test_the_difference_of_two_maps_reads_only_what_differs() -> None:
    store = Store()
    content = numbered(5_000)
    changes: dict[str, Json] = {f"step{index:05}.result": "changed" for index in range(0, 5_000, 500)}
    left, right = store.load(store.put(content)), store.load(store.put({**content, **changes}))
    same = store.load(left.root_id)

    assert list(left.diff(same)) == []
    assert store.fetched == []
    assert {key: value for key, _, value in left.diff(right)} == writes(changes)
    assert len(store.fetched) <= 2 * 3 * len(changes)


def test_a_merge_reads_only_what_either_side_changed() -> None:
    store = Store()
    content = numbered(5_000)
    base = store.load(store.put(content))
    ours = store.load(store.put({**content, "ours": 1}))
    theirs = store.load(store.put({**content, "theirs": 1}))
    merged = MerkleMap.merge(base, ours, theirs)

    assert merged.content.root_id == made({**content, "ours": 1, "theirs": 1}).root_id
    assert len(store.fetched) <= 20


def test_a_map_that_shrinks_across_the_border_reads_the_neighbours_that_it_takes_in() -> None:
    store = Store()
    content = numbered(65)
    cold = store.load(store.put(content))
    shrunk, blobs = cold.update({"step00000.result": None})
    del content["step00000.result"]

    assert [blob_id for blob_id, _ in blobs] == [reference_nodes(content)[0]]
    assert dict(shrunk.items()) == writes(content)


def test_deleting_from_a_large_map_reads_no_neighbour() -> None:
    store = Store()
    cold = store.load(store.put(numbered(5_000)))
    cold.update({"step00000.result": None})

    assert len(store.fetched) <= 3 + 15  # the path, and at most the leaves beside that of the key


# Nodes that only a caller can bring


class Brought:
    """Runs an operation as an asynchronous owner does: it brings what is asked for and begins again."""

    def __init__(self, blobs: dict[str, bytes], *root_ids: str) -> None:
        self.blobs = blobs
        self.maps = [MerkleMap.load(root_id) for root_id in root_ids]
        self.rounds = 0

    def run(self, operation: Callable[..., T]) -> T:
        while True:
            try:
                return operation(*self.maps)
            except NodesMissing as missing:
                self.rounds += 1
                brought = {node_id: self.blobs[node_id] for node_id in missing.ids}
                self.maps = [content.with_nodes(brought) for content in self.maps]


def test_every_operation_says_which_nodes_it_needs() -> None:
    store = Store()
    content = numbered(1_000)
    other = {**content, **{f"step{index:05}.result": index for index in range(0, 1_000, 7)}}
    left, right = store.put(content), store.put(other)

    read = Brought(store.blobs, left)
    assert read.run(lambda m: m.get_raw("step00500.result")) == b'{"n":500}'
    assert read.rounds <= 3
    listed = Brought(store.blobs, left)
    assert dict(listed.run(lambda m: list(m.items()))) == writes(content)
    compared = Brought(store.blobs, left, right)
    assert len(compared.run(lambda a, b: list(a.diff(b)))) == 143
    assert compared.rounds <= 4  # the two roots, and two levels of both
    written = Brought(store.blobs, left)
    after, _ = written.run(lambda m: m.update(dict.fromkeys(list(content)[:990])))
    assert dict(after.items()) == writes(dict(list(content.items())[990:]))


def test_what_is_missing_can_be_brought_beforehand() -> None:
    store = Store()
    content = numbered(1_000)
    root_id = store.put(content)
    for keys in (None, list(content)[:20], []):
        cold = MerkleMap.load(root_id)
        while absent := cold.missing(keys):
            assert len(set(absent)) == len(absent)
            cold = cold.with_nodes({node_id: store.blobs[node_id] for node_id in absent})
        found = {key: cold.get_raw(key) for key in (list(content) if keys is None else keys)}
        assert found == {key: stored(content[key]) for key in found}


def test_the_next_node_for_a_key_is_named_until_it_can_be_read() -> None:
    store = Store()
    cold = MerkleMap.load(store.put(numbered(1_000)))
    steps = 0
    while (node_id := cold.needed("step00500.result")) is not None:
        cold = cold.with_nodes({node_id: store.blobs[node_id]})
        steps += 1

    assert steps == 3
    assert cold.needed("step00500.result") is None
    assert cold.get_raw("step00500.result") == b'{"n":500}'
    assert made(numbered(1_000)).needed("step00500.result") is None


def test_what_a_fetch_raises_passes_through() -> None:
    with pytest.raises(NotFound):
        Store().load(ABSENT).get_raw("a")
