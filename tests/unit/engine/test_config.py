"""The manifest and its policy in the contract's own wire shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from msgspec import structs

from interlock.base.canonical import canonical, digest
from interlock.base.errors import InterlockError
from interlock.engine.config import (
    Backoff,
    BuildProvenance,
    Custom,
    Duration,
    FanOutJoin,
    FanOutLimit,
    FixedBackoff,
    ManifestFrame,
    RetryPolicy,
    RunConfig,
    RunManifest,
    check_supported,
    manifest_bytes,
    read_manifest,
)

MANIFEST = RunManifest("demo", "1", {"name": "Ada"}, RunConfig(), BuildProvenance())
WIRE = {
    "op_id": "demo",
    "op_version": "1",
    "input_params": {"name": "Ada"},
    "run_config": {
        "io_mode": "Live",
        "retry_policy": {"max_attempts": 1, "backoff": {"Fixed": {"delay": {"secs": 0, "nanos": 0}}}},
        "event_profile": "Normal",
        "execution_mode": "Sequential",
        "context_checkpointing": "AfterEveryState",
        "replay_missing_fact_retryable": False,
        "skip_tags": [],
        "nix_flake_allowlist": ["github:willyrgf/mfm"],
    },
    "build": {
        "git_commit": None,
        "cargo_lock_hash": None,
        "flake_lock_hash": None,
        "rustc_version": None,
        "target_triple": None,
        "env_allowlist": [],
    },
}


def test_a_manifest_has_the_shape_of_the_contract() -> None:
    """Every member is present, absent ones as null; unit values are strings, others objects of one member."""
    assert manifest_bytes(MANIFEST) == canonical(WIRE)


@pytest.mark.parametrize(
    ("value", "wire"),
    [
        (RetryPolicy.fixed(3, 1_500), {"Fixed": {"delay": {"secs": 1, "nanos": 500_000_000}}}),
        (
            RetryPolicy.exponential(3, 100, 60_000),
            {
                "Exponential": {
                    "base_delay": {"secs": 0, "nanos": 100_000_000},
                    "max_delay": {"secs": 60, "nanos": 0},
                }
            },
        ),
    ],
)
def test_a_back_off_has_the_shape_of_the_contract(value: RetryPolicy, wire: dict[str, object]) -> None:
    assert msgspec.to_builtins(value) == {"max_attempts": 3, "backoff": wire}
    assert msgspec.convert({"max_attempts": 3, "backoff": wire}, RetryPolicy) == value


@pytest.mark.parametrize(
    ("member", "value", "wire"),
    [
        ("event_profile", Custom("quiet"), {"Custom": "quiet"}),
        ("execution_mode", FanOutJoin(FanOutLimit(4)), {"FanOutJoin": {"max_concurrency": 4}}),
        ("context_checkpointing", Custom("mine"), {"Custom": "mine"}),
    ],
)
def test_variants_with_data_have_the_shape_of_the_contract(member: str, value: object, wire: object) -> None:
    config = structs.replace(RunConfig(), **{member: value})

    assert msgspec.to_builtins(config)[member] == wire
    assert msgspec.convert({member: wire}, RunConfig) == config


def test_a_stored_manifest_is_read_back() -> None:
    content = manifest_bytes(MANIFEST)

    assert read_manifest(digest(content), content) == MANIFEST


def test_an_old_manifest_without_a_later_member_keeps_its_id_and_gets_the_default() -> None:
    """DR5: what is hashed is what was stored; nothing is encoded anew."""
    old = {**WIRE, "run_config": {k: v for k, v in WIRE["run_config"].items() if k != "nix_flake_allowlist"}}  # type: ignore[attr-defined]
    content = canonical(old)

    manifest = read_manifest(digest(content), content)

    assert manifest.run_config.nix_flake_allowlist == ("github:willyrgf/mfm",)
    assert manifest == MANIFEST
    assert digest(content) != digest(manifest_bytes(manifest))


def changed(*path: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(wire: dict[str, Any]) -> None:
        for step in path[:-1]:
            wire = wire[step]
        wire[path[-1]] = to

    return change


CHANGES = {
    "op_id": changed("op_id", to="other"),
    "op_version": changed("op_version", to="2"),
    "input": changed("input_params", "name", to="Bob"),
    "new input": changed("input_params", "more", to=1),
    "io_mode": changed("run_config", "io_mode", to="Replay"),
    "attempts": changed("run_config", "retry_policy", "max_attempts", to=2),
    "delay": changed("run_config", "retry_policy", "backoff", "Fixed", "delay", "nanos", to=1),
    "profile": changed("run_config", "event_profile", to="Minimal"),
    "mode": changed("run_config", "execution_mode", to={"FanOutJoin": {"max_concurrency": 1}}),
    "checkpointing": changed("run_config", "context_checkpointing", to={"Custom": "x"}),
    "missing fact": changed("run_config", "replay_missing_fact_retryable", to=True),
    "skip_tags": changed("run_config", "skip_tags", to=["impure"]),
    "allowlist": changed("run_config", "nix_flake_allowlist", to=[]),
    "commit": changed("build", "git_commit", to="0" * 40),
    "lock": changed("build", "cargo_lock_hash", to="0" * 64),
    "flake": changed("build", "flake_lock_hash", to="0" * 64),
    "interpreter": changed("build", "rustc_version", to="cpython 3.11"),
    "platform": changed("build", "target_triple", to="x86_64-linux"),
    "environment": changed("build", "env_allowlist", to=["LANG"]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_of_any_member_changes_the_id(change: Callable[[dict[str, Any]], None]) -> None:
    """P19."""
    wire = msgspec.json.decode(canonical(WIRE))
    change(wire)
    changed_manifest = msgspec.convert(wire, RunManifest)

    assert digest(manifest_bytes(changed_manifest)) != digest(manifest_bytes(MANIFEST))


def test_the_order_of_members_and_white_space_do_not_change_the_id() -> None:
    """P19."""
    reversed_members = dict(reversed(WIRE.items()))
    spaced = msgspec.json.format(msgspec.json.encode(reversed_members), indent=4)
    manifest = msgspec.convert(msgspec.json.decode(spaced), RunManifest)

    assert digest(manifest_bytes(manifest)) == digest(manifest_bytes(MANIFEST))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"\xff",
        manifest_bytes(MANIFEST)[:-1],
        msgspec.json.format(manifest_bytes(MANIFEST)),
        canonical({**WIRE, "op_id": "Not An Id"}),
        canonical({**WIRE, "run_config": {"io_mode": "live"}}),
        canonical({**WIRE, "run_config": {"retry_policy": {"max_attempts": 0}}}),
        canonical({**WIRE, "run_config": {"retry_policy": {"backoff": {}}}}),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(content: bytes) -> None:
    with pytest.raises(InterlockError, match="manifest_mismatch"):
        read_manifest(digest(content), content)


def test_a_manifest_under_another_id_is_refused() -> None:
    with pytest.raises(InterlockError, match="manifest_mismatch"):
        read_manifest(digest(b"other"), manifest_bytes(MANIFEST))


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(io_mode="Replay"),
        RunConfig(context_checkpointing=Custom("mine")),
        RunConfig(event_profile=Custom("mine")),
    ],
)
def test_what_this_version_cannot_honour_is_refused_before_a_run_starts(config: RunConfig) -> None:
    with pytest.raises(InterlockError, match="run_config_unsupported"):
        check_supported(config)


@pytest.mark.parametrize(
    "config",
    [
        RunConfig(event_profile="minimal"),  # type: ignore[arg-type]
        RunConfig(io_mode="live"),  # type: ignore[arg-type]
        RunConfig(retry_policy=RetryPolicy.fixed(0)),
        RunConfig(retry_policy=RetryPolicy(1, Backoff(Fixed=FixedBackoff(Duration(-1, 0))))),
        RunConfig(skip_tags=(1,)),  # type: ignore[arg-type]
    ],
    ids=["profile", "mode", "no attempts", "negative delay", "tag"],
)
def test_a_value_that_the_stored_manifest_could_not_be_read_back_with_is_refused(config: RunConfig) -> None:
    """M11: records made in a program are held to the same rules as those that are decoded."""
    with pytest.raises(InterlockError):
        check_supported(config)


def test_a_back_off_is_of_one_kind() -> None:
    with pytest.raises(msgspec.ValidationError, match="either Fixed or Exponential"):
        msgspec.convert({"Fixed": {}, "Exponential": {"base_delay": {}, "max_delay": {}}}, Backoff)


@pytest.mark.parametrize(
    "given", [{}, {"a": 1.5, "b": ["é", None]}, {"input_params": None}, {"x": '"input_params":null'}]
)
def test_a_manifest_made_around_its_input_is_the_one_spelled_whole(given: dict[str, object]) -> None:
    build = BuildProvenance(target_triple='"input_params":null', env_allowlist=('{"input_params":null}',))
    config = RunConfig(skip_tags=('"input_params":null',))
    whole = manifest_bytes(RunManifest("op", "1", given, config, build))
    assert ManifestFrame.of("op", "1", config, build).around(given) == whole
