"""How a manifest differs from the one that a run id stands for already.

What it does: names what differs, so that a person can mend the line or choose another id. What it does not do: it
reads no store, and decides no conflict (`runs`).

Rule: names only: no value of an input or of the outside is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from interlock.base.canonical import digest
from interlock.base.ids import first_names, shown
from interlock.engine.config import RunManifest, read_manifest

_BUILD = {
    "git_commit": "the commit of the plan's repository",
    "rustc_version": "the interpreter",
    "target_triple": "the platform",
    "cargo_lock_hash": "the lock file",
    "flake_lock_hash": "the flake's lock file",
    "env_allowlist": "the environment",
}


def differences(recorded: RunManifest, content: bytes) -> str:
    """What differs between the manifest of a run and the bytes of another, in words."""
    names = list(_differences(recorded, read_manifest(digest(content), content))) or ["the form of the manifest"]
    return first_names(names)


def differences_asked(recorded: RunManifest, content: bytes) -> str | None:
    """What differs in what is asked for, in words; None where nothing does, whatever code it is done with.

    Code may change while a run waits: who finds a run of its own asks for the same work, and gets that run.
    """
    names = list(_differences_asked(recorded, read_manifest(digest(content), content)))
    return first_names(names) if names else None


def _differences(recorded: RunManifest, given: RunManifest) -> Iterator[str]:
    yield from _differences_asked(recorded, given)
    if recorded.op_id == given.op_id and recorded.op_version != given.op_version:
        yield "the version of the plan"
    for name in _differing(recorded.build, given.build):
        yield _BUILD.get(name, name)


def _differences_asked(recorded: RunManifest, given: RunManifest) -> Iterator[str]:
    if recorded.op_id != given.op_id:
        yield "the plan"
    yield from _members(recorded.input_params, given.input_params)
    for name in _differing(recorded.run_config, given.run_config):
        yield f"the configuration ({name})"


def _members(recorded: Any, given: Any) -> Iterator[str]:
    """The members of the input that differ; the input as a whole where it has none."""
    if not isinstance(recorded, Mapping) or not isinstance(given, Mapping):
        if recorded != given:
            yield "the input"
        return
    for name in sorted(recorded.keys() | given.keys()):
        if (name in recorded, recorded.get(name)) != (name in given, given.get(name)):
            yield f"the input's {shown(name)}"


def _differing(recorded: msgspec.Struct, given: msgspec.Struct) -> Iterator[str]:
    for name in recorded.__struct_fields__:
        if getattr(recorded, name) != getattr(given, name):
            yield name
