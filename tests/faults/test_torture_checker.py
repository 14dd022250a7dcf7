"""The checker of the torture sees what it claims to see: a sound journal is damaged in each way, and named for it."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.torture import doctored, evidence, prove, story, units
from tests.faults.torture.actors import answer_of
from tests.faults.torture.doctored import Doctored, data_of
from tests.faults.torture.evidence import Activation, Evidence, Timer
from tests.faults.torture.prove import proved
from tests.faults.torture.storm import torture

SEED = 4
RULES = {
    "artifacts", "chain", "ends", "facts", "feed", "inbox", "keyed", "leases", "left", "owners", "started", "states",
    "timers", "told", "units", "unkeyed",
}  # fmt: skip


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """What a torture without a strike leaves."""
    folder = tmp_path_factory.mktemp("sound")
    found, _ = torture(str(folder / "store.db"), folder, SEED, strikes=0, runs=18)
    assert proved(found, answer_of) == []
    return found


def rules_broken(sound: Evidence, damage: Callable[[Doctored], None], *, seal: bool = True) -> set[str]:
    """The rules that are named for a damage."""
    patient = Doctored(copy.deepcopy(sound))
    damage(patient)
    found = patient.sealed() if seal else patient.evidence
    return {rule for rule, _ in proved(found, answer_of)}


def test_sealing_a_journal_anew_damages_nothing(sound: Evidence) -> None:
    assert rules_broken(sound, lambda _patient: None) == set()


def flipped(content: bytes) -> bytes:
    return content[:-2] + bytes([content[-2] ^ 1]) + content[-1:]


def at(patient: Doctored, number: int, **changes: Any) -> None:
    entries = patient.evidence.entries
    entries[number] = entries[number].altered(**changes)


def lost_end(patient: Doctored) -> None:
    entries = patient.evidence.entries
    entries.remove(max((each for each in entries if "/run/" in each.stream), key=lambda each: each.position))
    patient.evidence.counters["default"] -= 1


def hole(patient: Doctored) -> None:
    patient.evidence.counters["default"] += 1


def twice(patient: Doctored) -> None:
    at(patient, 4, position=patient.evidence.entries[3].position)


def lost_stream(patient: Doctored) -> None:
    patient.evidence.heads.pop(patient.evidence.entries[-1].stream)


UNSEALED: list[tuple[str, Callable[[Doctored], None]]] = [
    ("chain", lambda p: at(p, 5, data=flipped(p.evidence.entries[5].data or b""))),
    ("chain", lambda p: at(p, 5, envelope=flipped(p.evidence.entries[5].envelope))),
    ("chain", lambda p: at(p, 5, digest="0" * 64)),
    ("chain", lambda p: at(p, 5, seq=7)),
    ("chain", lambda p: at(p, 5, salt=b"s")),
    ("chain", lost_stream),
    ("chain", lost_end),
    ("feed", hole),
    ("feed", twice),
]


@pytest.mark.parametrize("number", range(len(UNSEALED)))
def test_what_was_changed_behind_the_chain_is_named(sound: Evidence, number: int) -> None:
    rule, damage = UNSEALED[number]
    assert rule in rules_broken(sound, damage, seal=False)


def an_end(p: Doctored) -> Any:
    """The end of a run that completed."""
    return p.find("run_completed", lambda data: data["status"] == "completed")


def unended(p: Doctored) -> None:
    p.drop(an_end(p))


def parked_for_nothing(p: Doctored) -> None:
    end = an_end(p)
    state = data_of(p.find("state_completed", of=end.stream))["state_id"]
    p.add(end, "engine.run_parked", {"code": "because", "fact_key": None, "state_id": state}, before=True)
    p.drop(end)


def incomplete(p: Doctored) -> None:
    end = an_end(p)
    completed = p.all("state_completed", of=end.stream)[-1]
    info = {"error": {}, "failure_snapshot_id": None, "state_id": data_of(completed)["state_id"]}
    p.add(completed, "engine.state_failed", info)
    p.drop(completed)


def unentered(p: Doctored) -> None:
    first = p.find("state_entered")
    p.add(first, "engine.state_completed", {"context_snapshot_id": "", "state_id": "t0.other.main"})


def entered_twice(p: Doctored) -> None:
    p.again(p.find("state_entered"))


def second_owner(p: Doctored) -> None:
    claim = p.find("owner_claimed")
    p.again(claim, owner="vm-1-abc", claim=data_of(claim)["claim"] + 1)


def old_claim(p: Doctored) -> None:
    claim = p.find("owner_claimed")
    p.again(claim, epoch=data_of(claim)["epoch"] + 1)


def stranger(p: Doctored) -> None:
    p.edit(p.find("domain_emitted", lambda data: data["name"] == "wrote"), payload={"by": 1})


def unowned(p: Doctored) -> None:
    entered = p.find("state_entered")
    p.drop(p.find("owner_claimed", of=entered.stream))


def lost_answer(p: Doctored) -> None:
    p.drop([each for each in p.all("signal_sent") if answered(p, each)][-1])


def answered(p: Doctored, entry: Any) -> bool:
    """Whether an answer was acknowledged."""
    run_id = entry.stream.split("/")[2]
    return any(f"answer yes {run_id} {data_of(entry)['name']} " in line for line in p.evidence.told)


def untaken_answer(p: Doctored) -> None:
    p.drop(p.find("signal_received"))


def other_answer(p: Doctored) -> None:
    received = data_of(p.find("signal_received"))
    fact = p.find("fact_recorded", lambda d: d["key"] == f"wait:{received['state_id']}:{received['name']}")
    p.edit(fact, payload_id=next(each for each in p.evidence.artifacts if each != received["payload_id"]))


def lost_file(p: Doctored) -> None:
    p.drop(p.all("artifact_attached")[-1])


def untaken_file(p: Doctored) -> None:
    p.drop(p.find("artifact_written", lambda data: data["state_id"] is None))


def told_twice(p: Doctored) -> None:
    sent = p.find("signal_sent")
    p.again(sent)


def cancelled_not(p: Doctored) -> None:
    end = an_end(p)
    p.drop(end)
    p.evidence.told.append(f"cancel yes {end.stream.split('/')[2]} - -")


def undecided(p: Doctored) -> None:
    end = an_end(p)
    p.drop(end)
    p.evidence.told.append(f"resolve yes {end.stream.split('/')[2]} s0 -")


def keyed_line(p: Doctored) -> int:
    return next(at for at, line in enumerate(p.evidence.effects) if not line.endswith(" -"))


def unkeyed_line(p: Doctored) -> int:
    return next(at for at, line in enumerate(p.evidence.effects) if line.endswith(" -"))


def other_key(p: Doctored) -> None:
    p.evidence.effects.append(p.evidence.effects[keyed_line(p)] + "-other")


def no_key(p: Doctored) -> None:
    p.evidence.effects.append(p.evidence.effects[keyed_line(p)].rpartition(" ")[0] + " -")


def key_of_two(p: Doctored) -> None:
    lines = [line.split() for line in p.evidence.effects if not line.endswith(" -")]
    first, other = lines[0], next(each for each in lines if each[0] != lines[0][0])
    p.evidence.effects.append(f"{other[0]} {other[1]} {first[2]}")


def never_sent(p: Doctored, number: int) -> None:
    line = p.evidence.effects[number]
    p.evidence.effects = [each for each in p.evidence.effects if each != line]


def unmeant(p: Doctored) -> None:
    p.evidence.effects.append(p.evidence.effects[keyed_line(p)].split()[0] + " fact key")


def meant_otherwise(p: Doctored) -> None:
    p.again(p.find("effect_intended", lambda data: data["idempotency_key"] is not None), idempotency_key="other")


def meant_twice(p: Doctored) -> None:
    p.again(p.find("effect_intended", lambda data: data["idempotency_key"] is None))


def sent_twice(p: Doctored) -> None:
    p.evidence.effects.append(p.evidence.effects[unkeyed_line(p)])


def fired_early(p: Doctored) -> None:
    due = p.find("timer_due", lambda data: data["name"] is not None)
    timer = data_of(due)["timer_id"]
    asked = p.find("state_suspended", lambda data: any(each["token"] == timer for each in data["waits"]))
    p.move(asked, due)


def out_of_order(p: Doctored) -> None:
    first = p.find("timer_due", lambda data: str(data["name"]).startswith("b-"))
    second = p.find("timer_due", lambda data: str(data["name"]).startswith("c-"), of=first.stream)
    p.move(first, second)


def before_its_time(p: Doctored) -> None:
    released = p.find("lease_released", of="lease/")
    data = {"expires_ms": 2**52, "token": data_of(released)["token"], "units": 1}
    p.add(released, "journal.lease_expired", data)
    p.drop(released)


def held_twice(p: Doctored) -> None:
    grant = p.find("lease_granted")
    p.edit(grant, token=data_of(grant)["token"] + 1)


def stale_lease(p: Doctored) -> None:
    p.drop(p.all("lease_released")[-1])


def still_queued(p: Doctored) -> None:
    p.add(p.all("lease_released")[-1], "journal.lease_queued", {"request_id": "x"})


def longer(p: Doctored) -> None:
    ends = [at for at, line in enumerate(p.evidence.units) if line.startswith("end ")]
    last = p.evidence.units[ends[-1]].split()[1]
    for at_ in ends:
        what, _, *rest = p.evidence.units[at_].split()
        p.evidence.units[at_] = " ".join([what, last, *rest])


def without_unit(p: Doctored) -> None:
    begin, end = (next(line for line in p.evidence.units if line.startswith(word)) for word in ("begin", "end"))
    p.evidence.units += [begin.rpartition(" ")[0] + " s9", end.rpartition(" ")[0] + " s9"]


def unended_use(p: Doctored) -> None:
    p.evidence.units.remove(next(line for line in reversed(p.evidence.units) if line.startswith("end ")))


def held_by_the_dead(p: Doctored) -> None:
    p.evidence.activations.append(Activation(an_end(p).stream, None, "vm-1-abc"))


def due_after_the_end(p: Doctored) -> None:
    p.evidence.activations.append(Activation(an_end(p).stream, 1, None))


def stale_timer(p: Doctored) -> None:
    p.evidence.timers.append(Timer("t", an_end(p).stream, 1))


def backwards(p: Doctored) -> None:
    p.again(p.find("inbox_taken"))


def untaken(p: Doctored) -> None:
    """The inbox of a run that goes on holds what nobody took."""
    taken = p.find("inbox_taken")
    p.drop(p.find("run_completed", of=taken.stream))
    sent = [each for each in p.entries if each.stream == f"{taken.stream}/inbox"][-1]
    p.again(sent)
    for each in p.all("inbox_taken", of=taken.stream):
        p.drop(each)


def wrong_bytes(p: Doctored) -> None:
    p.evidence.artifacts[next(iter(p.evidence.artifacts))] = "0" * 64


def missing_bytes(p: Doctored) -> None:
    del p.evidence.artifacts[data_of(p.find("signal_sent"))["payload_id"]]


SEALED: list[tuple[str, Callable[[Doctored], None]]] = [
    ("artifacts", wrong_bytes),
    ("artifacts", missing_bytes),
    ("owners", second_owner),
    ("owners", old_claim),
    ("owners", stranger),
    ("owners", unowned),
    ("states", lambda p: p.again(p.find("state_completed"))),
    ("states", unentered),
    ("states", entered_twice),
    ("states", lambda p: p.again(p.find("run_started"))),
    ("states", lambda p: p.again(p.find("child_run_spawned"))),
    ("states", lambda p: p.again(p.find("child_run_completed"))),
    ("ends", unended),
    ("ends", parked_for_nothing),
    ("ends", incomplete),
    ("ends", lambda p: p.again(an_end(p))),
    ("ends", lambda p: p.edit(an_end(p), status="failed")),
    ("ends", lambda p: p.edit(an_end(p), status="cancelled")),
    ("facts", lambda p: p.again(p.find("fact_recorded"))),
    ("started", lambda p: p.evidence.told.append("start yes 00000000-0000-4000-8000-000000000000 -")),
    ("told", lambda p: p.evidence.told.append("answer yes 00000000-0000-4000-8000-000000000000 ask-0-0 -")),
    ("told", lost_answer),
    ("told", untaken_answer),
    ("told", other_answer),
    ("told", lost_file),
    ("told", untaken_file),
    ("told", lambda p: p.again(p.find("artifact_written", lambda data: data["state_id"] is None))),
    ("told", told_twice),
    ("told", cancelled_not),
    ("told", undecided),
    ("keyed", other_key),
    ("keyed", no_key),
    ("keyed", key_of_two),
    ("keyed", unmeant),
    ("keyed", lambda p: never_sent(p, keyed_line(p))),
    ("keyed", meant_otherwise),
    ("unkeyed", meant_twice),
    ("unkeyed", sent_twice),
    ("unkeyed", lambda p: never_sent(p, unkeyed_line(p))),
    ("timers", lambda p: p.again(p.find("timer_due"))),
    ("timers", fired_early),
    ("timers", out_of_order),
    ("leases", lambda p: p.edit(p.find("lease_granted"), units=100)),
    ("leases", lambda p: p.again(p.find("lease_released"))),
    ("leases", before_its_time),
    ("leases", held_twice),
    ("units", longer),
    ("units", without_unit),
    ("units", unended_use),
    ("left", held_by_the_dead),
    ("left", due_after_the_end),
    ("left", stale_timer),
    ("left", stale_lease),
    ("left", still_queued),
    ("inbox", backwards),
    ("inbox", untaken),
]


@pytest.mark.parametrize("number", range(len(SEALED)))
def test_what_no_engine_may_do_is_named_also_where_the_chain_is_sound(sound: Evidence, number: int) -> None:
    rule, damage = SEALED[number]
    broken = rules_broken(sound, damage)
    assert rule in broken
    assert not broken & {"chain", "feed"}


def test_every_rule_has_its_damage() -> None:
    assert {rule for rule, _ in [*UNSEALED, *SEALED]} == RULES
    assert all(f"`{rule}`" in (prove.__doc__ or "") for rule in RULES)


@pytest.mark.parametrize("module", [evidence, story, units, prove, doctored])
def test_the_checker_knows_no_line_of_the_product(module: Any) -> None:
    tree = ast.parse(Path(module.__file__).read_text("utf-8"))
    names = [each.name for node in ast.walk(tree) if isinstance(node, ast.Import) for each in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    own = {"evidence", "story", "units", "doctored", "prove"}
    assert not [each for each in names if each.startswith("interlock")]
    assert {each.rpartition(".")[2] for each in names if each.startswith("tests.")} <= own
