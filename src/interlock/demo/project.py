"""What the demonstration asks of a Python project, as a program: `project.py inventory|inspect|materials|test …`.

What it does: each subcommand looks at real files, prints one JSON value, and leaves it as evidence in a file. What it
does not do: it changes nothing in the project, it judges nothing, and it knows nothing of runs.

Rules: evidence is in its file whole or not at all; every beginning is noted. Both stand in the folder that the variable
DEMO_WORK names.
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
from xml.etree import ElementTree as ET

from interlock.demo.crash import crash_once

LOG = "began.log"
EVIDENCE = "evidence"
_EXITS_SOUND = (0, 5)
"""How pytest ends where all tests passed, and where there was none."""


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
    undeclared = set(names) - {line.partition(",")[0] for line in record}
    return {
        "path": str(wheel),
        "name": fields["Name"],
        "version": fields["Version"],
        "requires_python": fields.get("Requires-Python", ""),
        "license": fields.get("License-Expression") or fields.get("License") or "",
        "bytes": len(content),
        "digest": hashlib.sha256(content).hexdigest(),
        "members": len(names),
        "undeclared": len(undeclared),
        "undeclared_names": sorted(undeclared),
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


def test(wheel: str, project: str, tests: str) -> dict[str, object]:
    """Run the project's tests on the wheel that was built, unpacked, unless its pytest settings put sources first."""
    work = Path(os.environ["DEMO_WORK"])
    if not Path(project, tests).exists():
        return {"tests": tests, "passed": 0, "failed": 0, "skipped": 0}
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(work / "unpacked")
    # What Python compiles is kept in the work folder: whatever the tests do, we write nothing to the project.
    # A safe path leaves the project's folder out, which would come before the wheel.
    variables = {
        "PYTHONPATH": str(work / "unpacked"),
        "PYTHONPYCACHEPREFIX": str(work / "compiled"),
        "PYTHONSAFEPATH": "1",
    }
    results = work / "tests.xml"
    results.unlink(missing_ok=True)  # an attempt that was killed may have left its own
    ended = subprocess.run(  # noqa: S603 - the project's own tests, at the user's word
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={results}", tests],
        cwd=project,
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if not results.is_file():
        sys.exit(f"error: the tests did not run: {(ended.stderr or ended.stdout).strip()}")
    return {"tests": tests, **_counted(results, is_broken=ended.returncode not in _EXITS_SOUND)}


def _counted(results: Path, *, is_broken: bool) -> dict[str, object]:
    """How many tests passed, failed (with those that could not begin) and were skipped; a broken run has failed."""
    suites = [suite.attrib for suite in ET.parse(results).getroot().iter("testsuite")]  # noqa: S314 - written here
    ran, failures, errors, skipped = (
        sum(int(suite[name]) for suite in suites) for name in ("tests", "failures", "errors", "skipped")
    )
    return {
        "passed": ran - failures - errors - skipped,
        "failed": max(failures + errors, int(is_broken)),
        "skipped": skipped,
    }


_ASKED: dict[str, Callable[..., object]] = {
    "inventory": inventory,
    "inspect": inspect,
    "materials": materials,
    "test": test,
}


def main() -> None:
    """`project.py WHAT [ARGUMENT…]`."""
    what, *arguments = sys.argv[1:]
    with Path(os.environ["DEMO_WORK"], LOG).open("a", encoding="utf-8") as log:
        log.write(what + "\n")
    answer = json.dumps(_ASKED[what](*arguments))
    evidence = Path(os.environ["DEMO_WORK"], EVIDENCE, f"{what}.json")
    evidence.parent.mkdir(exist_ok=True)
    draft = evidence.with_suffix(".draft")
    draft.write_text(answer, encoding="utf-8")
    draft.replace(evidence)
    print(answer)  # noqa: T201 - the answer is what this program writes


if __name__ == "__main__":
    main()
