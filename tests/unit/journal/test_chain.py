"""Envelopes and the chain: the bytes of format 1 for ever, and what a reader refuses."""

from __future__ import annotations

import hashlib
import hmac

import msgspec
import pytest
from msgspec import Struct

from interlock.base.bounds import EVENT_DATA_BYTES_MAX
from interlock.base.errors import Corruption, InterlockError, Invalid
from interlock.base.events import EventType, IndexRow, Place
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import Authorship, ChainReader, event_digest, read_envelope, read_record, seal
from interlock.journal.ports import EMPTY, Head, StoredEvent
from tests.unit.journal.bank import (
    CATALOGUE,
    NOW_MS,
    Deposited,
    Named,
    Noted,
    Withdrawn,
    account,
    flipped,
)

ADA = account("ada")
SALT_KEY = bytes(range(32))
AUTHOR = Authorship(
    actor="local:ada",
    correlation="order 5",
    causation="default/account/bob#7",
    command_id="pay-1",
    command_digest="2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881",
    salt_key=SALT_KEY,
)

# Made by hand from decision 0001, not by the code under test. Format 1 is for ever: never change a byte here.
ENVELOPES = (
    (
        b'{"actor":"local:ada","at_ms":1767225600123,"causation":"default/account/bob#7","command_digest":'
        b'"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","command_id":"pay-1",'
        b'"correlation":"order 5",'
        b'"data_digest":"4d4bbe59c6aad22442cde199a6a8a5f034405fcd78fb5a81c24ef249de1c45f1",'
        b'"format":1,"prev":null,"seq":1,"stream":"default/account/ada","type":"bank.deposited","version":1}'
    ),
    (
        b'{"actor":"local:ada","at_ms":1767225600123,"causation":"default/account/bob#7","command_digest":'
        b'"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","command_id":"pay-1",'
        b'"correlation":"order 5",'
        b'"data_digest":"320665e5d2f1905a183878a3dc1524045a40caf4c803de7a6f27690438ef81e6","format":1,'
        b'"prev":"5a195d263882b1adfa964d82e06844c1751bba20c9cf8112da50fce181d6860a","seq":2,"stream":'
        b'"default/account/ada","type":"bank.noted","version":1}'
    ),
    (
        b'{"actor":"local:ada","at_ms":1767225600123,"causation":"default/account/bob#7","command_digest":'
        b'"2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881","command_id":"pay-1",'
        b'"correlation":"order 5",'
        b'"data_digest":"600cde165157e13927b1aa87081359b8842e61946d2fc5e97eb712c7c227fffd","format":1,'
        b'"prev":"9f7c9ed3714055305b4c21b73e75afdfaedec752389e4bdd5caeb0bcbf4e0551","seq":3,"stream":'
        b'"default/account/ada","type":"bank.withdrawn","version":1}'
    ),
)
DATA = (b'{"amount":100}', b'{"text":"f\xc3\xbcr Ada\\n\\u001f"}', b'{"amount":9007199254740991}')
SALTS = (b"", bytes.fromhex("acfd482e0521462a28e891170ee6b1ba"), b"")
DIGESTS = (
    "5a195d263882b1adfa964d82e06844c1751bba20c9cf8112da50fce181d6860a",
    "9f7c9ed3714055305b4c21b73e75afdfaedec752389e4bdd5caeb0bcbf4e0551",
    "ba2b6d4bf8a1554dc0c6c2ee21af3bfd2cdb9806965cd5cf735c0722e5f73975",
)
RECORDS = (Deposited(100), Noted("für Ada\n\x1f"), Withdrawn(2**53 - 1))
GOLDEN = tuple(
    StoredEvent(ADA, seq, digest, envelope, data, salt)
    for seq, (digest, envelope, data, salt) in enumerate(zip(DIGESTS, ENVELOPES, DATA, SALTS, strict=True), 1)
)


def sealed(*records: Struct, head: Head = EMPTY, at_ms: int = NOW_MS, author: Authorship = AUTHOR) -> list[StoredEvent]:
    return list(seal(CATALOGUE, ADA, head, records, at_ms, author).append.events)


def refusal(*events: StoredEvent, head: Head = EMPTY, catalogue: EventCatalogue = CATALOGUE) -> InterlockError:
    with pytest.raises(Corruption) as caught:
        ChainReader(catalogue, ADA, head).take(events)
    return caught.value


# The bytes


def test_sealing_gives_the_bytes_of_format_1() -> None:
    assert sealed(*RECORDS, at_ms=NOW_MS + 123) == list(GOLDEN)


def test_the_bytes_of_format_1_are_believed_and_give_their_records() -> None:
    read = ChainReader(CATALOGUE, ADA).take(GOLDEN)

    assert [event.record for event in read] == list(RECORDS)
    assert [event.digest for event in read] == list(DIGESTS)
    assert read[2].place == Place(ADA, 3, NOW_MS + 123, "local:ada", "order 5", len(GOLDEN[2].data or b""))


def test_the_vectors_agree_with_each_other() -> None:
    for envelope, data, salt, digest in zip(ENVELOPES, DATA, SALTS, DIGESTS, strict=True):
        assert hashlib.sha256(b"interlock/event/1\n" + envelope).hexdigest() == digest
        assert hashlib.sha256(salt + data).hexdigest().encode() in envelope


def test_what_is_absent_is_null() -> None:
    [event] = sealed(Deposited(1), author=Authorship("system:engine"))

    assert event.envelope.startswith(
        b'{"actor":"system:engine","at_ms":1767225600000,"causation":null,"command_digest":null,'
        b'"command_id":null,"correlation":null,"data_digest":"'
    )
    assert b'"format":1,"prev":null,"seq":1,' in event.envelope


def test_sealing_chains_onto_the_head_and_names_the_new_one() -> None:
    first = seal(CATALOGUE, ADA, EMPTY, RECORDS[:2], NOW_MS, AUTHOR).append
    second = seal(CATALOGUE, ADA, first.head, RECORDS[2:], NOW_MS, AUTHOR).append

    assert (first.expected, first.head) == (EMPTY, Head(2, first.events[-1].digest))
    assert (second.expected, second.head) == (first.head, Head(3, second.events[-1].digest))
    assert [*first.events, *second.events] == sealed(*RECORDS)
    assert first.partition == "default"


def test_sealing_nothing_leaves_the_head_where_it_is() -> None:
    head = Head(3, DIGESTS[2])

    assert seal(CATALOGUE, ADA, head, (), NOW_MS, AUTHOR).append.head == head


def test_index_rows_come_with_the_event_that_makes_them() -> None:
    rows = seal(CATALOGUE, ADA, EMPTY, (Deposited(1), Named("savings")), NOW_MS, AUTHOR).rows

    assert rows == [IndexRow("name", "savings", ADA.encode(), fresh=True)]


def test_data_may_be_as_large_as_the_bound_and_no_larger() -> None:
    frame = len(b'{"text":""}')
    sealed(Noted("x" * (EVENT_DATA_BYTES_MAX - frame)))

    with pytest.raises(Invalid) as caught:
        sealed(Noted("x" * (EVENT_DATA_BYTES_MAX - frame + 1)))
    assert caught.value.code == "event_too_large"
    assert "x" * 10 not in str(caught.value)


@pytest.mark.parametrize("author", [Authorship("local:\ud800"), Authorship("local:ada", correlation="\udfff")])
def test_an_envelope_with_half_a_character_is_refused(author: Authorship) -> None:
    with pytest.raises(Invalid) as caught:
        sealed(Deposited(1), author=author)
    assert caught.value.code == "json_surrogate"


# Salts and erased data


def test_the_salt_of_erasable_data_is_a_keyed_digest_of_its_place() -> None:
    one, two = sealed(Noted("same"), Noted("same"))

    assert one.salt == hmac.digest(SALT_KEY, b"default/account/ada#1", "sha256")[:16]
    assert two.salt == hmac.digest(SALT_KEY, b"default/account/ada#2", "sha256")[:16]


def test_equal_erasable_data_cannot_be_recognised_by_its_digest() -> None:
    key = bytes(32)
    first, again = sealed(Noted("same")), sealed(Noted("same"), author=Authorship("local:ada", salt_key=key))

    digests = {read_envelope(event).data_digest for event in (*first, *again)}

    assert len(digests) == 2
    assert hashlib.sha256(b'{"text":"same"}').hexdigest() not in digests


def test_data_that_is_not_erasable_has_no_salt() -> None:
    assert sealed(Deposited(1))[0].salt == b""


def test_a_chain_with_erased_data_still_verifies_and_says_what_is_gone() -> None:
    erased = msgspec.structs.replace(GOLDEN[1], data=None, salt=b"")

    read = ChainReader(CATALOGUE, ADA).take((GOLDEN[0], erased, GOLDEN[2]))

    assert [event.record for event in read] == [RECORDS[0], None, RECORDS[2]]
    assert read[1].envelope.type == "bank.noted"


def test_other_data_in_the_place_of_erased_data_is_refused() -> None:
    other = msgspec.structs.replace(GOLDEN[1], data=b'{"text":"I owe nothing"}', salt=b"")

    assert refusal(GOLDEN[0], other).details["seq"] == 2


# Damage


@pytest.mark.parametrize("member", ["envelope", "data", "salt"])
def test_p20_every_flipped_bit_of_an_event_is_refused_at_its_place(member: str) -> None:
    flips = 0
    for index, event in enumerate(GOLDEN):
        content: bytes = getattr(event, member)
        for place in range(len(content)):
            for bit in range(8):
                damaged = msgspec.structs.replace(event, **{member: flipped(content, place, bit)})
                fault = refusal(*GOLDEN[:index], damaged, *GOLDEN[index + 1 :])
                assert (fault.code, fault.details["seq"]) == ("event_corrupt", event.seq)
                flips += 1
    assert flips == 8 * sum(len(getattr(event, member)) for event in GOLDEN)


def test_p20_a_flipped_bit_is_seen_even_in_the_last_event_and_read_alone() -> None:
    last = GOLDEN[2]
    for place in range(len(last.envelope)):
        damaged = msgspec.structs.replace(last, envelope=flipped(last.envelope, place))
        with pytest.raises(Corruption):
            read_envelope(damaged)


def test_p20_a_forged_digest_beside_a_forged_envelope_breaks_the_link_to_the_next_event() -> None:
    envelope = GOLDEN[0].envelope.replace(b"local:ada", b"local:eve")
    forged = msgspec.structs.replace(GOLDEN[0], envelope=envelope, digest=event_digest(envelope))

    assert ChainReader(CATALOGUE, ADA).take((forged,))
    assert refusal(forged, GOLDEN[1]).details["seq"] == 2


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_cut_envelope_is_refused(cut: int) -> None:
    assert refusal(msgspec.structs.replace(GOLDEN[0], envelope=ENVELOPES[0][:cut])).code == "event_corrupt"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": 2}, "wrong place"),
        ({"seq": 2}, "wrong place"),
        ({"stream": account("eve")}, "wrong place"),
        ({"prev": DIGESTS[0]}, "does not follow"),
        ({"seq": "1"}, "cannot be read"),
        ({"more": 1}, "cannot be read"),
        ({"actor": None}, "cannot be read"),
    ],
)
def test_a_whole_envelope_that_does_not_belong_here_is_refused(changes: dict[str, object], why: str) -> None:
    members = msgspec.json.decode(ENVELOPES[0], type=dict[str, object])
    envelope = msgspec.json.encode({**members, **changes}, order="sorted")
    fault = refusal(msgspec.structs.replace(GOLDEN[0], envelope=envelope, digest=event_digest(envelope)))

    assert fault.code == "event_corrupt"
    assert why in fault.message


def test_an_envelope_that_is_not_utf_8_is_refused() -> None:
    envelope = ENVELOPES[0].replace(b"local:ada", b"local:\xff")

    fault = refusal(msgspec.structs.replace(GOLDEN[0], envelope=envelope, digest=event_digest(envelope)))

    assert "cannot be read" in fault.message


def test_s3_a_gap_a_doubled_event_and_a_foreign_one_are_refused() -> None:
    bob = account("bob")
    [foreign] = seal(CATALOGUE, bob, EMPTY, RECORDS[:1], NOW_MS, AUTHOR).append.events

    assert refusal(GOLDEN[0], GOLDEN[2]).details["seq"] == 3
    assert refusal(GOLDEN[0], GOLDEN[0]).details["seq"] == 1
    assert refusal(GOLDEN[1]).details["seq"] == 2
    assert refusal(foreign).details["stream"] == bob


def test_s3_an_event_of_an_unknown_type_or_version_stops_the_reader() -> None:
    older = EventCatalogue([EventType("bank.deposited", 1, Deposited)])
    newer = EventCatalogue([EventType("bank.deposited", 2, Deposited)])

    fault = refusal(*GOLDEN, catalogue=older)
    assert (fault.code, fault.details) == ("event_type_unknown", {"type": "bank.noted", "version": 1})
    assert refusal(*GOLDEN, catalogue=newer).details["version"] == 1


def test_data_of_the_right_digest_that_is_no_record_is_refused() -> None:
    data = b'{"amount":"much"}'
    envelope = ENVELOPES[0].replace(
        hashlib.sha256(DATA[0]).hexdigest().encode(), hashlib.sha256(data).hexdigest().encode()
    )
    written = msgspec.structs.replace(GOLDEN[0], envelope=envelope, digest=event_digest(envelope), data=data)

    assert refusal(written).code == "event_corrupt"


def test_time_never_runs_backwards_within_a_stream() -> None:
    [first] = sealed(Deposited(1), at_ms=NOW_MS)
    [same] = sealed(Deposited(2), head=Head(1, first.digest), at_ms=NOW_MS)
    [earlier] = sealed(Deposited(2), head=Head(1, first.digest), at_ms=NOW_MS - 1)

    assert len(ChainReader(CATALOGUE, ADA).take((first, same))) == 2
    assert "time" in refusal(first, earlier).message


def test_nothing_after_a_fault_is_given_out_and_the_reader_stays_where_it_was() -> None:
    reader = ChainReader(CATALOGUE, ADA)
    reader.take(GOLDEN[:1])
    with pytest.raises(Corruption):
        reader.take((msgspec.structs.replace(GOLDEN[1], data=b"{}"), GOLDEN[2]))

    assert reader.head == Head(1, DIGESTS[0])
    assert [event.record for event in reader.take(GOLDEN[1:])] == list(RECORDS[1:])


def test_a_reader_goes_on_from_the_middle_and_only_from_the_right_event() -> None:
    assert ChainReader(CATALOGUE, ADA, Head(2, DIGESTS[1])).take(GOLDEN[2:])[0].record == RECORDS[2]
    assert refusal(GOLDEN[2], head=Head(2, DIGESTS[0])).details["seq"] == 3
    assert refusal(GOLDEN[2], head=Head(1, DIGESTS[1])).details["seq"] == 3


def test_one_event_can_be_read_without_its_neighbours() -> None:
    envelope = read_envelope(GOLDEN[2])

    assert (envelope.seq, envelope.command_id) == (3, "pay-1")
    assert read_record(CATALOGUE, envelope, GOLDEN[2]) == RECORDS[2]
