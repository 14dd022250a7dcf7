"""Runpacks to test with: of runs that were really lived, written to a folder, and forged with care."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import rfc8785

from interlock.gates.values import Logical
from interlock.packs.runpack.build import Built, Wish, built
from interlock.packs.runpack.folder import RunpackFolder
from interlock.packs.runpack.verify import RunpackVerdict, verify_runpack
from interlock.testing.loop import run
from tests.unit.gates.redecide.lives import Life, long_life

SEVEN = ("scenario_spec", "triggers", "gate_evals", "decisions", "packets", "submissions", "tool_calls")
KINDS = (
    "scenario_spec",
    "trigger_log",
    "gate_eval_log",
    "decision_log",
    "packet_log",
    "submission_log",
    "tool_transcript",
)


def sha256(content: bytes) -> dict[str, str]:
    import hashlib

    return {"algorithm": "sha256", "value": hashlib.sha256(content).hexdigest()}


def made(life: Callable[[], Any] = long_life, **wish: Any) -> Built:
    """The runpack of a life."""

    async def main() -> Built:
        found: Life = await life()
        return built(found.document, await found.state(), Wish(**{"generated_at": Logical(77), **wish}))

    return run(main())


def on_disk(folder: Path, files: dict[str, bytes]) -> Path:
    """These files in a folder, without a word of ours."""
    for name, content in files.items():
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def verdict(folder: Path, **options: Any) -> RunpackVerdict:
    with RunpackFolder(folder) as opened:
        return verify_runpack(opened, **options)


def codes(folder: Path, **options: Any) -> set[str]:
    return {each.code for each in verdict(folder, **options).errors}


def sealed(files: dict[str, bytes], manifest: dict[str, Any]) -> dict[str, bytes]:
    """These files with a manifest whose digests fit: what a careful forger writes."""
    hashes: Any = [{"hash": sha256(content), "path": path} for path, content in files.items()]
    known = {each["path"]: each for each in manifest["artifacts"]}
    artifacts = [{**known[each["path"]], "hash": each["hash"]} for each in hashes]
    integrity = {"file_hashes": hashes, "root_hash": sha256(rfc8785.dumps(hashes))}
    spec_hash = sha256(files["artifacts/scenario_spec.json"])
    whole = {**manifest, "artifacts": artifacts, "integrity": integrity, "spec_hash": spec_hash}
    return {**files, "manifest.json": rfc8785.dumps(whole)}


def forged(pack: Built, **changes: Callable[[Any], Any]) -> dict[str, bytes]:
    """The files of a pack whose logs were changed, with all digests of files made anew."""
    files = {path: content for path, content in pack.files.items() if path.startswith("artifacts/")}
    for name, change in changes.items():
        value = json.loads(files[f"artifacts/{name}.json"])
        value = change(value) or value
        files[f"artifacts/{name}.json"] = rfc8785.dumps(value)
    return sealed(files, json.loads(pack.files["manifest.json"]))
