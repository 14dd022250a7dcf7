"""The published vectors of RFC 8785: its samples, its table of numbers, and its authors' generated doubles.

The files beside this one hold them. The hundred million doubles are not stored: their authors publish how to
generate them, and the SHA-256 of the lines `<bits>,<text>` of the first thousands.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from interlock.base.canonical import canonical, is_canonical, parse
from interlock.base.errors import Invalid

VECTORS = Path(__file__).parent / "rfc8785"
DOCUMENTS = sorted(path.name.removesuffix(".input.json") for path in VECTORS.glob("*.input.json"))
NUMBERS = [line.split() for line in (VECTORS / "appendix_b.txt").read_text("ascii").splitlines()]
PUBLISHED = {
    1_000: "be18b62b6f69cdab33a7e0dae0d9cfa869fda80ddc712221570f9f40a5878687",
    10_000: "b9f7a8e75ef22a835685a52ccba7f7d6bdc99e34b010992cbc5864cd12be6892",
    1_000_000: "49415fee2c56c77864931bd3624faad425c3c577d6d74e89a83bc725506dad16",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_a_published_document_gets_its_published_bytes(name: str) -> None:
    expected = (VECTORS / f"{name}.output.json").read_bytes()

    assert canonical(parse((VECTORS / f"{name}.input.json").read_bytes())) == expected
    assert is_canonical(expected)


def test_the_sample_of_the_rfc_has_the_bytes_that_the_rfc_prints_in_hexadecimal() -> None:
    printed = """
        7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62
        65 72 73 22 3a 5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 65 2b 33 30 2c 34 2e 35 2c 30
        2e 30 30 32 2c 31 65 2d 32 37 5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41
        27 42 5c 22 5c 5c 5c 5c 5c 22 2f 22 7d"""

    assert canonical(parse((VECTORS / "section_3_2_2.input.json").read_bytes())) == bytes.fromhex(printed)


@pytest.mark.parametrize(("bits", "text"), NUMBERS)
def test_a_number_of_appendix_b_gets_its_text(bits: str, text: str) -> None:
    assert canonical(double(bits)) == text.encode()


@pytest.mark.parametrize("bits", ["7fffffffffffffff", "7ff0000000000000", "fff0000000000000"])
def test_what_appendix_b_calls_an_error_is_refused(bits: str) -> None:
    with pytest.raises(Invalid) as refusal:
        canonical(double(bits))

    assert refusal.value.code == "json_non_finite"


@pytest.mark.parametrize("count", [1_000, 10_000, pytest.param(1_000_000, marks=pytest.mark.slow)], ids="{:,}".format)
def test_the_generated_doubles_have_the_published_digest(count: int) -> None:
    lines = hashlib.sha256()
    for number in islice(generated(), count):
        [bits] = struct.unpack("<Q", struct.pack("<d", number))
        lines.update(b"%x,%b\n" % (bits, canonical(number)))

    assert lines.hexdigest() == PUBLISHED[count]


def double(bits: str) -> float:
    [number] = struct.unpack(">d", bytes.fromhex(bits))
    assert isinstance(number, float)
    return number


def generated() -> Iterator[float]:
    """The authors' sequence: edges, two thousand neighbours, then what repeated hashing gives."""
    yield from map(double, (VECTORS / "edge_doubles.txt").read_text("ascii").split())
    yield from (double(f"{0x0010000000000000 + index:016x}") for index in range(2_000))
    block = bytes(32)
    while True:
        block = hashlib.sha256(block).digest()
        for number in struct.unpack("<4d", block):
            if number != 0 and math.isfinite(number):
                yield number
