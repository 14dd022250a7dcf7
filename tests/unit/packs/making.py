"""Packs to test with: small runs, lived in memory, written to a file.

It fakes nothing: runs are driven by the product, and packs are written by its export.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from interlock import Io, Plan
from interlock.app import App
from interlock.base.canonical import canonical
from interlock.base.principal import local_principal
from interlock.journal.catalogue import EventCatalogue
from interlock.journal.chain import event_digest
from interlock.packs.container import END, MANIFEST, SEAL, header, order, padding
from interlock.packs.export import Made, export
from interlock.packs.manifest import seal_of
from interlock.packs.survey import Wanted
from interlock.packs.verify import Verdict, verify
from interlock.parts import PARTS
from interlock.testing.app import memory_app
from interlock.testing.loop import run

RUN_ID = "01890a5d-ac96-774b-bcce-b302099a8057"
CATALOGUE = EventCatalogue(kind for part in PARTS for kind in part.events)


def tiny() -> Plan:
    """One state."""
    plan = Plan("tiny")

    @plan.state
    async def say(name: str) -> str:
        return f"Hello {name}"

    return plan


def family() -> Plan:
    """A state that waits for nothing, one that starts a child, and one that asks a person."""
    inner = Plan("inner")

    @inner.state
    async def work(io: Io) -> str:
        return "x" * 5000 + str(await io.record_value("answer", 42))

    plan = Plan("outer")

    @plan.state
    async def begin(name: str) -> dict[str, str]:
        return {"name": name}

    @plan.state(after=[begin])
    async def delegate(io: Io) -> Any:
        return (await io.child(inner, {"given": 1}, name="help")).status

    @plan.state(after=[delegate])
    async def ask(io: Io) -> Any:
        return await io.wait("approval", str)

    return plan


async def lived(plan: Callable[[], Plan], given: Mapping[str, Any], app: App | None = None, *answers: str) -> App:
    """An application on which the run was driven until it ended or waits."""
    made = plan()
    app = app or memory_app()
    await app.runs.start(made, dict(given), run_id=RUN_ID)
    for answer in answers:
        await app.runs.control.signal(RUN_ID, "ask", "approval", answer, principal=local_principal("ada"))
        await app.runs.resume(RUN_ID, plan=made)
    return app


async def exported(app: App, out: Path, **options: Any) -> Made:
    """The run's pack."""
    return await export(app.journal, Wanted("default", RUN_ID, **options), out, force=True)


def tiny_pack(out: Path, **options: Any) -> Path:
    """The pack of a run of one state."""

    async def scenario() -> None:
        await exported(await lived(tiny, {"name": "Ada"}), out, **options)

    run(scenario())
    return out


def family_pack(out: Path, *answers: str, **options: Any) -> Path:
    """The pack of a run with an inbox and a child."""

    async def scenario() -> None:
        await exported(await lived(family, {"name": "Ada"}, None, *answers), out, **options)

    run(scenario())
    return out


def verdict(path: Path, **options: Any) -> Verdict:
    """What verification says."""
    return asyncio.run(verify(path, CATALOGUE, **options))


def codes(path: Path, **options: Any) -> set[str]:
    """The codes of the errors of a pack."""
    return {error.code for error in verdict(path, **options).errors}


def members(pack: Path) -> dict[str, bytes]:
    """The members of a pack, read by a foreign reader."""
    with tarfile.open(pack, "r:") as archive:
        found = {}
        for member in archive.getmembers():
            content = archive.extractfile(member)
            assert content is not None
            found[member.name] = content.read()
        return found


def written(content: Mapping[str, bytes], *, sealed: bool = True) -> bytes:
    """The container of these members, in the one order; `sealed` makes the seal fit the manifest."""
    given = dict(content)
    if sealed:
        given[SEAL] = seal_of(given[MANIFEST])
    return container((name, given[name]) for name in sorted(given, key=order))


def container(content: Iterator[tuple[str, bytes]]) -> bytes:
    """The container of these members in this order."""
    out = io.BytesIO()
    for name, each in content:
        out.write(header(name, len(each)) + each + padding(len(each)))
    return out.getvalue() + END


Change = Callable[[dict[str, bytes], dict[str, Any]], None]


def forged(pack: Path, out: Path, change: Change) -> Path:
    """A pack with other content whose digests all fit: what only the meaning of the content gives away.

    `change` is given the members without manifest and seal, and the manifest.
    """
    content = members(pack)
    del content[SEAL]
    manifest: dict[str, Any] = json.loads(content.pop(MANIFEST))
    named = [entry["name"] for entry in manifest["members"]]
    before = set(content)
    change(content, manifest)
    gone, came = before - set(content), {name for name in set(content) - before if not is_artifact(name)}
    names = sorted((set(named) - gone) | came)
    manifest["members"] = [
        {"bytes": len(content[name]), "digest": sha256(content[name]), "name": name} for name in names
    ]
    artifacts = {name.split("/")[1]: content[name] for name in sorted(content) if is_artifact(name)}
    listing = "".join(f"{name} {len(each)}\n" for name, each in artifacts.items())
    size = sum(map(len, artifacts.values()))
    manifest["artifacts"] = {"bytes": size, "count": len(artifacts), "listing": sha256(listing.encode())}
    out.write_bytes(written({**content, MANIFEST: canonical(manifest)}))
    return out


def is_artifact(name: str) -> bool:
    return name.startswith("artifacts/")


def unpacked(pack: Path, folder: Path) -> Path:
    """The folder that a pack was unpacked to by a foreign tool."""
    with tarfile.open(pack, "r:") as archive:
        archive.extractall(folder, filter="data")
    return folder


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def lines(content: bytes) -> list[list[bytes]]:
    return [line.split(b"\t") for line in content.splitlines()]


def joined(events: list[list[bytes]]) -> bytes:
    return b"".join(b"\t".join(event) + b"\n" for event in events)


def rechained(events: list[list[bytes]]) -> tuple[bytes, str]:
    """Lines whose envelopes follow each other again, and the digest of the last: what a careful forger writes."""
    prev = None
    for seq, event in enumerate(events, 1):
        envelope = json.loads(event[0])
        digest = sha256(bytes.fromhex(event[2].decode()) + event[1])
        envelope |= {"prev": prev, "seq": seq, "data_digest": digest}
        event[0] = canonical(envelope)
        prev = event_digest(event[0])
    assert prev is not None
    return joined(events), prev
