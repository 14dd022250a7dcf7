"""The persistent map against a dict: any history of one content gives the same nodes; diff and merge by key."""

from __future__ import annotations

from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from interlock.base.canonical import Json, canonical
from interlock.base.merkle_map import ArtifactRef, MapConflict, MerkleMap
from tests.unit.base.map_reference import Store, reference_nodes, reference_places, sha, stored, writes


def crowded(prefix: str, count: int) -> list[str]:
    """Keys whose paths begin alike, so that few of them reach deep nodes."""
    return list(
        islice((key for key in map("k{}".format, range(200_000)) if sha(key.encode()).startswith(prefix)), count)
    )


DEEP = [*crowded("000", 12), *crowded("00f", 4), *crowded("01", 4), *crowded("f", 8)]
NAMES = [
    "a",
    "0",
    "f",
    "n",
    "é",
    "\ue000",
    "\ufb33",
    "\U0001f600",
    "\U0001f600\ufb33",
    'quote"',
    "back\\slash",
    "x" * 512,
]
KEY = st.sampled_from([*DEEP, *NAMES])
# Sizes at which a value leaves its node (4096 bytes), and of which three or four fill one (8192 bytes).
SIZED = st.sampled_from([0, 100, 1_300, 2_000, 2_700, 4_050, 4_093, 4_094, 4_095, 4_096, 9_000]).map("x".__mul__)
ODD: list[Json] = [None, 1.5, {"\ufb33": 1, "\U0001f600": [2]}]
VALUE: st.SearchStrategy[Json] = st.integers(0, 9) | st.sampled_from(ODD) | SIZED
CONTENT = st.dictionaries(KEY, VALUE, max_size=30)
MANY: dict[str, Json] = {f"many{index}": index for index in range(150)}


class Histories(RuleBasedStateMachine):
    """Writes and deletes in any order, with the map reloaded from its blobs now and then."""

    @initialize(crowd=st.integers(0, 70))
    def begin(self, crowd: int) -> None:
        self.store = Store()
        self.model: dict[str, Json] = {}
        self.content = MerkleMap.empty()
        self.nodes = reference_nodes({})[1]
        self.earlier: list[tuple[MerkleMap, dict[str, Json], dict[str, bytes]]] = []
        self.write(dict(islice(MANY.items(), crowd)))

    @rule(changes=CONTENT)
    def write(self, changes: dict[str, Json]) -> None:
        self.change(changes, ())

    @rule(keys=st.sets(KEY))
    def delete(self, keys: set[str]) -> None:
        self.change({}, keys)

    @rule(changes=CONTENT, data=st.data())
    def write_and_delete(self, changes: dict[str, Json], data: st.DataObject) -> None:
        known = sorted(self.model.keys() - changes.keys())
        self.change(changes, data.draw(st.sets(st.sampled_from(known))) if known else ())

    @rule(first=st.integers(0, 149), count=st.integers(1, 150), present=st.booleans())
    def crowd(self, first: int, count: int, present: bool) -> None:
        some = dict(islice(MANY.items(), first, first + count))
        self.change(some if present else {}, () if present else some)

    @rule(data=st.data())
    def go_back(self, data: st.DataObject) -> None:
        self.content, model, self.nodes = data.draw(st.sampled_from(self.earlier))
        self.model = dict(model)

    @rule()
    def reload(self) -> None:
        self.content = self.store.load(self.content.root_id)

    @rule(keys=st.lists(KEY, max_size=5))
    def read(self, keys: list[str]) -> None:
        for key in keys:
            expected = stored(self.model[key]) if key in self.model else None
            assert self.content.get_raw(key) == expected

    def change(self, changes: dict[str, Json], deleted: object) -> None:
        before = dict(self.model)
        self.earlier.append((self.content, before, self.nodes))
        self.model.update(changes)
        for key in deleted:  # type: ignore[attr-defined]
            self.model.pop(key, None)
        old_nodes, old_map = self.nodes, self.content
        self.content, blobs = old_map.update({**writes(changes), **dict.fromkeys(deleted)})  # type: ignore[call-overload]
        root_id, self.nodes = reference_nodes(self.model)
        large = {sha(canonical(value)) for value in self.model.values() if isinstance(stored(value), ArtifactRef)}
        assert self.content.root_id == root_id
        assert self.nodes.keys() - old_nodes.keys() <= dict(blobs).keys() <= self.nodes.keys() | large
        assert len(dict(blobs)) == len(blobs)
        assert all(sha(content) == blob_id for blob_id, content in blobs)
        assert (blobs == []) == (before == self.model)
        self.store.blobs.update(blobs)

    @invariant()
    def everything_is_stored_and_read_back(self) -> None:
        if hasattr(self, "store"):
            assert self.nodes.items() <= {**self.store.blobs, **reference_nodes({})[1]}.items()
            assert dict(self.content.items()) == {key: stored(value) for key, value in self.model.items()}


TestHistories = Histories.TestCase
TestHistories.settings = settings(stateful_step_count=20)


@given(CONTENT, st.randoms(use_true_random=False))
def test_the_order_of_writes_is_forgotten(content: dict[str, Json], chance: object) -> None:
    keys = [*content, *list(MANY)[:60]]
    chance.shuffle(keys)  # type: ignore[attr-defined]
    whole = {**MANY, **content}
    one_by_one = MerkleMap.empty()
    for key in keys:
        one_by_one, _ = one_by_one.update({key: canonical(whole[key])})

    assert one_by_one.root_id == reference_nodes({key: whole[key] for key in keys})[0]


@given(CONTENT, CONTENT, st.booleans(), st.booleans())
def test_a_diff_is_that_of_two_dicts(
    one: dict[str, Json], two: dict[str, Json], crowded_left: bool, crowded_right: bool
) -> None:
    left, right = one | (MANY if crowded_left else {}), two | (MANY if crowded_right else {})
    store = Store()
    mine, theirs = store.load(store.put(left)), store.load(store.put(right))
    found = list(mine.diff(theirs))

    assert {key: (a, b) for key, a, b in found} == differences(left, right)
    assert len(found) == len(differences(left, right))
    assert [(key, b, a) for key, a, b in found] == list(theirs.diff(mine))


@given(CONTENT, st.dictionaries(KEY, VALUE, max_size=3), st.sets(KEY, max_size=2))
def test_a_diff_reads_only_the_paths_of_what_differs(
    content: dict[str, Json], changes: dict[str, Json], deleted: set[str]
) -> None:
    before = {**MANY, **content}
    after = {key: value for key, value in {**before, **changes}.items() if key not in deleted}
    store = Store()
    left, right = store.load(store.put(before)), store.load(store.put(after))
    found = list(left.diff(right))
    unequal = reference_places(before).items() ^ reference_places(after).items()

    assert {key: (a, b) for key, a, b in found} == differences(before, after)
    assert set(store.fetched) <= {sha(node) for _, node in unequal}
    assert len(store.fetched) <= len(unequal)


@given(CONTENT, CONTENT, CONTENT, st.data())
def test_a_merge_is_that_of_dicts_key_by_key(
    base: dict[str, Json], one: dict[str, Json], two: dict[str, Json], data: st.DataObject
) -> None:
    gone = data.draw(st.sets(st.sampled_from(sorted(base)))) if base else set()
    ours = {key: value for key, value in {**base, **one}.items() if key not in gone}
    theirs = {**base, **two}
    store = Store()
    maps = [store.load(store.put(content)) for content in (base, ours, theirs)]
    merged = MerkleMap.merge(*maps)
    expected, conflicts = merged_dicts(base, ours, theirs)
    store.blobs.update(merged.blobs)

    assert list(merged.conflicts) == conflicts
    assert merged.content.root_id == reference_nodes(expected)[0]
    assert dict(store.load(merged.content.root_id).items()) == {key: stored(value) for key, value in expected.items()}


def differences(left: dict[str, Json], right: dict[str, Json]) -> dict[str, tuple[object, object]]:
    pairs = {key: (at(left, key), at(right, key)) for key in left.keys() | right.keys()}
    return {key: (a, b) for key, (a, b) in pairs.items() if a != b}


def merged_dicts(
    base: dict[str, Json], ours: dict[str, Json], theirs: dict[str, Json]
) -> tuple[dict[str, Json], list[MapConflict]]:
    expected, conflicts = dict(ours), []
    for key in sorted(base.keys() | ours.keys() | theirs.keys()):
        before, mine, its = at(base, key), at(ours, key), at(theirs, key)
        if before == mine and its is None:
            expected.pop(key, None)
        elif before == mine:
            expected[key] = theirs[key]
        elif its not in (before, mine):
            conflicts.append(MapConflict(key, before, mine, its))
    return expected, conflicts


def at(content: dict[str, Json], key: str) -> bytes | ArtifactRef | None:
    return stored(content[key]) if key in content else None
