"""The plan of the demonstration: release a Python project from its real files.

What it does: takes an inventory of the tracked sources, builds the wheel, inspects it, lists what is installed, checks
thresholds, waits until a person lets it go on, and publishes into a local release channel. What it does not do: it
changes nothing in the project.

Rules: everything outside is reached through recorded calls; nothing is published before somebody said so; the
publication is an effect with a key of its content, so that a repetition is absorbed by the channel.
"""

from __future__ import annotations

import email
import hashlib
import re
import sys
import zipfile
from importlib import metadata
from pathlib import Path

from msgspec import Struct

from interlock import Io, IoCall, Plan, Recorder, StateFailure
from interlock.base.canonical import canonical
from interlock.demo.crash import crash_once

plan = Plan("release", version="1")

WHEEL_BYTES_MAX = 20 * 1024 * 1024
SOURCES_MIN = 1
COMPONENTS_MIN = 1
REASON_CHARACTERS_MAX = 300
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Inventory(Struct, frozen=True):
    """The tracked sources: how many, how large, and one digest over all of them."""

    files: int
    bytes: int
    digest: str
    artifact_id: str
    changed_at: int


class Wheel(Struct, frozen=True):
    """A built wheel."""

    path: str
    name: str
    bytes: int
    digest: str


class Inspection(Struct, frozen=True):
    """What stands in a wheel."""

    name: str
    version: str
    requires_python: str
    license: str
    members: int
    undeclared: list[str]


class Materials(Struct, frozen=True):
    """The bill of materials: CycloneDX JSON as an artifact, and how many components it has."""

    components: int
    artifact_id: str


class Check(Struct, frozen=True):
    """One threshold, and whether it holds."""

    name: str
    found: str
    holds: bool


class Approval(Struct, frozen=True):
    """What a person answers to the question whether to publish."""

    approved: bool
    reason: str = ""


async def _run(io: Io, name: str, program: str, argv: list[str], **more: object) -> dict[str, object]:
    """Run a program as a recorded call and give back its answer."""
    request = {"kind": "run_program_v1", "program_path": program, "argv": argv, **more}
    result = await io.call(IoCall("exec", request, fact_key=f"release:{name}"))
    answer: dict[str, object] = result.response
    return answer


@plan.state(side_effects="read_only_io", tags=["fetch_data"])
async def inventory(io: Io, rec: Recorder, project: str, git: str, work: str) -> Inventory:
    """List the tracked sources with their digests."""
    _log(work, "inventory")
    listed = await _run(io, "tracked", git, ["-C", project, "ls-files", "-z"], stdout="text")
    names = sorted(name for name in str(listed["stdout"]).split("\0") if name)
    sources = {}
    total = 0
    for name in names:
        path = Path(project, name)
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            sources[name] = hashlib.sha256(content).hexdigest()
            total += len(content)
    when = await _run(io, "changed_at", git, ["-C", project, "log", "-1", "--format=%ct"], stdout="text")
    lines = "".join(f"{digest}  {name}\n" for name, digest in sources.items()).encode()
    stored = await rec.artifact("Output", lines, {"name": "SHA256SUMS"})
    changed_at = int(str(when["stdout"]).strip() or 0)
    return Inventory(len(sources), total, hashlib.sha256(lines).hexdigest(), stored, changed_at)


@plan.state(side_effects="read_only_io", tags=["execute"], timeout_ms=120_000)
async def build(io: Io, project: str, work: str, inventory: Inventory) -> Wheel:
    """Build the wheel with this interpreter, reproducibly."""
    _log(work, "build")
    folder = Path(work, "dist")
    built = await _run(
        io,
        "build",
        sys.executable,
        ["-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), project],
        env={"SOURCE_DATE_EPOCH": str(inventory.changed_at), "PATH": "/usr/bin:/bin"},
        stdout="text",
        ok_codes=[0, 1, 2],
        timeout_ms=110_000,
    )
    if built["exit_code"] != 0:
        raise StateFailure("build_failed", _reason(f"{built['stdout']}\n{built['stderr']}"))
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise StateFailure("wheel_missing", f"the build left {len(wheels)} wheels")
    content = wheels[0].read_bytes()
    return Wheel(str(wheels[0]), wheels[0].name, len(content), hashlib.sha256(content).hexdigest())


@plan.state(tags=["compute"])
async def inspect(work: str, build: Wheel) -> Inspection:
    """Read contents and metadata of the wheel."""
    _log(work, "inspect")
    with zipfile.ZipFile(build.path) as archive:
        names = archive.namelist()
        head = next(name for name in names if name.endswith(".dist-info/METADATA"))
        fields = email.message_from_bytes(archive.read(head))
        record = archive.read(head.replace("METADATA", "RECORD")).decode().splitlines()
    declared = {line.partition(",")[0] for line in record}
    return Inspection(
        name=fields["Name"],
        version=fields["Version"],
        requires_python=fields.get("Requires-Python", ""),
        license=fields.get("License-Expression") or fields.get("License") or "",
        members=len(names),
        undeclared=sorted(set(names) - declared),
    )


@plan.state(after=[inspect], tags=["fetch_data"])
async def materials(rec: Recorder, io: Io, work: str) -> Materials:
    """List what is installed beside it, as a CycloneDX bill of materials. The first crash comes here."""
    _log(work, "materials")
    installed = sorted({(d.metadata["Name"], d.version) for d in metadata.distributions() if d.metadata["Name"]})
    await io.record_value("release:installed", [list(pair) for pair in installed])
    crash_once(work, "half-way")
    bill = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "components": [
            {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name.lower()}@{version}"}
            for name, version in installed
        ],
    }
    stored = await rec.artifact("Output", canonical(bill), {"name": "bom.cdx.json"})
    return Materials(len(installed), stored)


@plan.state(tags=["compute"])
async def checks(
    work: str, inventory: Inventory, build: Wheel, inspect: Inspection, materials: Materials
) -> list[Check]:
    """Hold the release against thresholds; one that fails stops it for good."""
    _log(work, "checks")
    found = [
        Check("sources are tracked", f"{inventory.files} files", inventory.files >= SOURCES_MIN),
        Check("the wheel is small enough", f"{build.bytes} bytes", build.bytes <= WHEEL_BYTES_MAX),
        Check("every member is declared", f"{len(inspect.undeclared)} undeclared", not inspect.undeclared),
        Check("a licence is stated", inspect.license or "none", bool(inspect.license)),
        Check("a Python version is required", inspect.requires_python or "none", bool(inspect.requires_python)),
        Check("materials are known", f"{materials.components} components", materials.components >= COMPONENTS_MIN),
    ]
    failing = [check.name for check in found if not check.holds]
    if failing:
        raise StateFailure("release_checks_failed", f"these do not hold: {', '.join(failing)}")
    return found


@plan.state(after=[checks])
async def approve(io: Io, work: str) -> Approval:
    """Wait for a person. Nothing runs meanwhile, and the answer may come from any process."""
    _log(work, "approve")
    answer = await io.wait("publish", Approval)
    if not answer.approved:
        raise StateFailure("release_refused", f"somebody decided against it: {answer.reason}")
    return answer


@plan.state(after=[approve], side_effects="apply_side_effect")
async def publish(io: Io, work: str, channel: str, build: Wheel, inspect: Inspection) -> dict[str, object]:
    """Publish into the release channel, once. The second crash comes after the channel took it."""
    _log(work, "publish")
    key = f"publish:{inspect.name}:{inspect.version}:{build.digest}"
    request = {
        "kind": "run_program_v1",
        "program_path": sys.executable,
        "argv": ["-m", "interlock.demo.channel", channel, build.path, inspect.name, inspect.version],
        "stdout": "json",
    }
    result = await io.call(IoCall("exec", request, fact_key="release:publish", idempotency_key=key))
    receipt: dict[str, object] = result.response["json"]
    return receipt


def _reason(output: str) -> str:
    """What a builder says last of why it gave up: its own line of an error if it has one."""
    lines = [line.strip() for line in _STYLE.sub("", output).splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error")]
    return (errors or lines or ["the builder says nothing"])[-1][:REASON_CHARACTERS_MAX]


def _log(work: str, state: str) -> None:
    """Note that a handler began: the demonstration counts these lines, the engine knows nothing of them."""
    with Path(work, "handlers.log").open("a", encoding="utf-8") as log:
        log.write(state + "\n")
