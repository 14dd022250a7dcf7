"""Nodes of the persistent map: a stored one that breaks a rule of the format is refused as corrupt."""

from __future__ import annotations

import pytest

from interlock.base.canonical import canonical
from interlock.base.errors import Corruption
from interlock.base.merkle_map import MerkleMap
from tests.unit.base.map_reference import Store, sha

HEBREW, EMOJI = "\ufb33", "\U0001f600"
ABSENT = "0" * 64


def leaf(*keys: str) -> bytes:
    return canonical({key: ["v", 1] for key in keys})


def placed(digit: str, count: int) -> list[str]:
    """The first `count` of the keys `k0`, `k1`, … whose path begins with `digit`."""
    names = (f"k{index}" for index in range(100_000))
    found = (name for name in names if sha(name.encode()).startswith(digit))
    return [next(found) for _ in range(count)]


ZEROS, ONES = placed("0", 65), placed("1", 65)
FORGED_ROOTS = {
    "no JSON": b"{",
    "no object": b"[]",
    "not UTF-8": b'{"\xff":["v",1]}',
    "too deep": b'{"a":["v",' + b"[" * 4_000 + b"]" * 4_000 + b"]}",
    "too many entries": leaf(*(f"k{index}" for index in range(65))),
    "too many bytes": canonical({key: ["v", "x" * 4_000] for key in ("a", "b", "c")}),
    "a value too large": canonical({"a": ["v", "x" * 4_095]}),
    "a value not canonical": b'{"a":["v",1.0]}',
    "a value with its keys out of order": b'{"a":["v",{"b":1,"a":2}]}',
    "spaces": b'{"a": ["v",1]}',
    "keys out of order": b'{"b":["v",1],"a":["v",1]}',
    "keys ordered by code point": f'{{"{HEBREW}":["v",1],"{EMOJI}":["v",1]}}'.encode(),
    "a key twice": b'{"a":["v",1],"a":["v",1]}',
    "a key escaped": b'{"\\u0061":["v",1]}',
    "an empty key": leaf(""),
    "a key that is none": leaf("a\n"),
    "an unknown tag": b'{"a":["x",1]}',
    "no tag": b'{"a":1}',
    "a pair of three": b'{"a":["v",1,2]}',
    "leaf and inner node": canonical({"a": ["n", ABSENT], "b": ["v", 1]}),
    "an artifact id that is none": canonical({"a": ["a", "A" * 64]}),
    "an artifact that is a number": canonical({"a": ["a", 1]}),
    "a child id that is none": canonical({"a": ["n", "a"]}),
    "a place that is none": canonical({"g": ["n", ABSENT]}),
    "a place of two digits": canonical({"01": ["n", ABSENT]}),
    "an empty place": canonical({"": ["n", ABSENT]}),
    "places out of order": b'{"b":["n","%b"],"a":["n","%b"]}' % (b"0" * 64, b"1" * 64),
}


@pytest.mark.parametrize("root", FORGED_ROOTS.values(), ids=FORGED_ROOTS.keys())
def test_a_forged_root_is_corrupt(root: bytes) -> None:
    with pytest.raises(Corruption) as refusal:
        MerkleMap.load(sha(root), {sha(root): root}.__getitem__).get_raw("a")

    assert refusal.value.code == "map_node_corrupt"
    assert refusal.value.details == {"node": sha(root)}


def under(child: bytes, digit: str = "0") -> tuple[bytes, dict[str, bytes]]:
    root = canonical({digit: ["n", sha(child)], "1": ["n", sha(leaf(*ONES[:1]))]})
    return root, {sha(part): part for part in (root, child, leaf(*ONES[:1]))}


FORGED_CHILDREN = {
    "a key in the wrong place": leaf(*ZEROS[:63], ONES[0]),
    "an empty leaf": b"{}",
    "too many entries": leaf(*ZEROS),
    "the bytes of another node": b"",
}


@pytest.mark.parametrize("child", FORGED_CHILDREN.values(), ids=FORGED_CHILDREN.keys())
def test_a_forged_child_is_corrupt(child: bytes) -> None:
    root, nodes = under(child)
    if not child:
        nodes[sha(child)] = leaf(*ZEROS[:1])
    with pytest.raises(Corruption):
        MerkleMap.load(sha(root), nodes.__getitem__).get_raw(ZEROS[0])


def test_an_inner_node_that_should_be_a_leaf_is_corrupt() -> None:
    root, nodes = under(leaf(*ZEROS[:63]))
    fine, sound = under(leaf(*ZEROS[:64]))
    forged = MerkleMap.load(sha(root), nodes.__getitem__)

    assert len(list(MerkleMap.load(sha(fine), sound.__getitem__).items())) == 65
    with pytest.raises(Corruption):
        list(forged.items())


def test_a_chain_of_inner_nodes_that_never_ends_is_corrupt() -> None:
    path = sha(b"a")
    nodes: dict[str, bytes] = {}
    child = leaf("a")
    for depth in reversed(range(66)):
        nodes[sha(child)] = child
        child = canonical({path[depth % 64]: ["n", sha(child)]})
    nodes[sha(child)] = child
    with pytest.raises(Corruption):
        MerkleMap.load(sha(child), nodes.__getitem__).get_raw("a")


def test_another_spelling_of_a_node_under_its_id_is_corrupt() -> None:
    spaced = b'{"a": ["v",1]}'
    with pytest.raises(Corruption):
        MerkleMap.load(sha(leaf("a")), {sha(leaf("a")): spaced}.__getitem__).get_raw("a")


def test_a_damaged_byte_of_any_node_is_corrupt() -> None:
    store = Store()
    root_id = store.put({f"step{index}": {"n": index} for index in range(100)})
    for node_id, content in store.blobs.items():
        for place in range(0, len(content), max(1, len(content) // 20)):
            damaged = content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]
            with pytest.raises(Corruption):
                list(MerkleMap.load(root_id, {**store.blobs, node_id: damaged}.__getitem__).items())
