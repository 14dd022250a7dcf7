"""What the demonstration asks of a Python project, as a program: `project.py inventory|inspect|materials|checks …`.

What it does: each subcommand looks at real files and prints one JSON value. What it does not do: it changes nothing in
the project, and it knows nothing of runs.

Rules: a threshold that does not hold ends `checks` with exit code 1 and its name on standard error; every beginning is
noted in the folder that the variable DEMO_WORK names, for the demonstration to count.
"""

from __future__ import annotations

import email
import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from interlock.demo.crash import crash_once

WHEEL_BYTES_MAX = 20 * 1024 * 1024
SOURCES_MIN = 1
COMPONENTS_MIN = 1
LOG = "began.log"


def inventory(project: str, git: str) -> dict[str, object]:
    """The tracked sources: how many, how large, one digest over all of them, and when they last changed."""
    listed = _asked(git, "-C", project, "ls-files", "-z")
    lines, total = [], 0
    for name in sorted(name for name in listed.split("\0") if name):
        path = Path(project, name)
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            lines.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")
            total += len(content)
    changed_at = _asked(git, "-C", project, "log", "-1", "--format=%ct").strip()
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return {"files": len(lines), "bytes": total, "digest": digest, "changed_at": changed_at or "0"}


def _asked(program: str, *argv: str) -> str:
    return subprocess.run([program, *argv], check=True, capture_output=True, text=True).stdout  # noqa: S603 - named by the user


def inspect(folder: str) -> dict[str, object]:
    """Contents and metadata of the one wheel in a folder."""
    [wheel] = sorted(Path(folder).glob("*.whl"))
    content = wheel.read_bytes()
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        head = next(name for name in names if name.endswith(".dist-info/METADATA"))
        fields = email.message_from_bytes(archive.read(head))
        record = archive.read(head.replace("METADATA", "RECORD")).decode().splitlines()
    declared = {line.partition(",")[0] for line in record}
    return {
        "path": str(wheel),
        "name": fields["Name"],
        "version": fields["Version"],
        "requires_python": fields.get("Requires-Python", ""),
        "license": fields.get("License-Expression") or fields.get("License") or "",
        "bytes": len(content),
        "digest": hashlib.sha256(content).hexdigest(),
        "members": len(names),
        "undeclared": sorted(set(names) - declared),
    }


def materials() -> dict[str, object]:
    """What is installed beside the project, as a CycloneDX bill. The first crash comes here, to the caller."""
    crash_once(os.environ["DEMO_WORK"], "half-way", os.getppid())
    installed = sorted({(d.metadata["Name"], d.version) for d in metadata.distributions() if d.metadata["Name"]})
    bill = [
        {"type": "library", "name": name, "version": version, "purl": f"pkg:pypi/{name.lower()}@{version}"}
        for name, version in installed
    ]
    return {
        "components": len(bill),
        "bill": {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": bill},
    }


def checks() -> list[dict[str, object]]:
    """Hold what was found (JSON on standard input) against thresholds; one that fails ends the program."""
    given: dict[str, Any] = json.load(sys.stdin)
    wheel = given["wheel"]
    found = [
        ("sources are tracked", f"{given['files']} files", given["files"] >= SOURCES_MIN),
        ("the wheel is small enough", f"{wheel['bytes']} bytes", wheel["bytes"] <= WHEEL_BYTES_MAX),
        ("every member is declared", f"{len(wheel['undeclared'])} undeclared", not wheel["undeclared"]),
        ("a licence is stated", wheel["license"] or "none", bool(wheel["license"])),
        ("a Python version is required", wheel["requires_python"] or "none", bool(wheel["requires_python"])),
        ("materials are known", f"{given['components']} components", given["components"] >= COMPONENTS_MIN),
    ]
    failing = [name for name, _, holds in found if not holds]
    if failing:
        sys.exit(f"these do not hold: {', '.join(failing)}")
    return [{"name": name, "found": value, "holds": holds} for name, value, holds in found]


_ASKED: dict[str, Callable[..., object]] = {
    "inventory": inventory,
    "inspect": inspect,
    "materials": materials,
    "checks": checks,
}


def main() -> None:
    """`project.py WHAT [ARGUMENT…]`."""
    what, *arguments = sys.argv[1:]
    with Path(os.environ["DEMO_WORK"], LOG).open("a", encoding="utf-8") as log:
        log.write(what + "\n")
    print(json.dumps(_ASKED[what](*arguments)))  # noqa: T201 - the answer is what this program writes


if __name__ == "__main__":
    main()
