"""The sources of evidence, as they are configured.

What it does: makes the providers, reads contracts and keys from their files, and puts them together with what is asked
of each. What it does not do: it asks nobody, connects to nobody and starts no program: the first query does.

Rules: what can be asked is `time`, and what the configuration lists; a name is there once, and the names of built-in
providers are theirs alone; a provider whose contract or key is not sound ends the start.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from pathlib import Path
from typing import Final

from interlock.base.ed25519 import is_weak
from interlock.base.ids import shown
from interlock.engine.io.transports.mcp_client import McpCaller, McpProgram, McpServer
from interlock.engine.io.transports.requests import local_secret
from interlock.engine.reports.reader import RunReader
from interlock.gates.errors import (
    CONTRACT_MISSING,
    DUPLICATE_PROVIDER,
    PROVIDER_CONFIG_INVALID,
    SIGNING_KEY_UNREADABLE,
)
from interlock.gates.evidence.builtin import BUILTIN
from interlock.gates.evidence.config import EvidenceSettings, ProviderSettings, RequireSignature, SignaturePolicy
from interlock.gates.evidence.contract_files import read_contract
from interlock.gates.evidence.contracts import Contracts, Registered
from interlock.gates.evidence.external import Channel, ExternalProvider, FramedChannel, McpChannel, PostChannel
from interlock.gates.evidence.port import EvidenceProvider
from interlock.gates.evidence.providers.answers import config_of
from interlock.gates.evidence.providers.env import EnvConfig, EnvProvider
from interlock.gates.evidence.providers.exec import ExecConfig, ExecProvider
from interlock.gates.evidence.providers.http import HttpConfig, HttpProvider
from interlock.gates.evidence.providers.json import JsonConfig, JsonProvider
from interlock.gates.evidence.providers.run import RunConfig, RunProvider
from interlock.gates.evidence.providers.time import TimeConfig, TimeProvider
from interlock.gates.evidence.query import Evidence, Source
from interlock.gates.evidence.trust import Compare, Requirements
from interlock.journal.ports import Artifacts

KEY_FILE_BYTES_MAX: Final = 8 * 1024
_KEY_BYTES: Final = 32
_TIME: Final = ProviderSettings(name="time", type="builtin")


def open_evidence(settings: EvidenceSettings, compare: Compare, reader: RunReader, artifacts: Artifacts) -> Evidence:
    """The evidence of an application.

    Raises: `duplicate_provider`, `provider_config_invalid`, `signing_key_unreadable`, the codes of contracts.
    """
    listed = settings.providers
    if all(each.name != "time" for each in listed):
        listed = (_TIME, *listed)
    contracts = Contracts()
    sources: dict[str, Source] = {}
    for each in listed:
        contracts.add(_contract(each))
        provider = _builtin(each, reader, artifacts) if each.type == "builtin" else _external(each)
        sources[each.name] = Source(provider, _requirements(each, settings), each.allow_raw)
    return Evidence(settings, sources, contracts, compare)


def _contract(provider: ProviderSettings) -> Registered:
    """The contract of a provider."""
    builtin = BUILTIN.get(provider.name)
    if provider.type == "builtin":
        if builtin is None:
            raise PROVIDER_CONFIG_INVALID.error(f"there is no built-in provider {shown(provider.name)}")
        return Registered(builtin, "builtin")
    if builtin is not None:
        raise DUPLICATE_PROVIDER.error(f"the provider {shown(provider.name)} is built in")
    if provider.capabilities_path is None:
        raise CONTRACT_MISSING.error(f"the provider {shown(provider.name)} has no contract")
    return Registered(read_contract(provider.name, provider.capabilities_path), "file")


def _requirements(provider: ProviderSettings, settings: EvidenceSettings) -> Requirements:
    policy = settings.trust.default_policy if provider.trust is None else provider.trust
    anchors = {each.provider_id: each for each in settings.anchors.providers}
    return Requirements(anchors.get(provider.name), _keys(policy))


def _keys(policy: SignaturePolicy) -> dict[str, bytes] | None:
    if not isinstance(policy, RequireSignature):
        return None
    return {path: public_key(path) for path in policy.require_signature.keys}


def public_key(path: str) -> bytes:
    """The public key in a file: 32 bytes, or base64 of them. Raises: `signing_key_unreadable`."""
    try:
        with Path(path).open("rb") as file:
            content = file.read(KEY_FILE_BYTES_MAX + 1)
        key = content if len(content) == _KEY_BYTES else base64.b64decode(content.strip(), validate=True)
    except (OSError, ValueError, binascii.Error):
        key = b""
    if len(key) != _KEY_BYTES or is_weak(key):
        raise SIGNING_KEY_UNREADABLE.error(f"{shown(path, 200)} holds no public key that evidence can be signed with")
    return key


def _builtin(provider: ProviderSettings, reader: RunReader, artifacts: Artifacts) -> EvidenceProvider:
    name, given = provider.name, provider.config

    def run() -> RunProvider:
        config_of(name, given, RunConfig)
        return RunProvider(reader, artifacts)

    make: dict[str, Callable[[], EvidenceProvider]] = {
        "time": lambda: TimeProvider(config_of(name, given, TimeConfig)),
        "env": lambda: EnvProvider(config_of(name, given, EnvConfig)),
        "json": lambda: JsonProvider(config_of(name, given, JsonConfig)),
        "http": lambda: HttpProvider(config_of(name, given, HttpConfig)),
        "exec": lambda: ExecProvider(config_of(name, given, ExecConfig)),
        "run": run,
    }
    return make[name]()


def _external(provider: ProviderSettings) -> ExternalProvider:
    if bool(provider.command) == (provider.url is not None):
        raise PROVIDER_CONFIG_INVALID.error(f"the provider {shown(provider.name)} has a command, or a url")
    if provider.url is not None and not provider.allow_insecure_http and not provider.url.startswith("https://"):
        raise PROVIDER_CONFIG_INVALID.error(f"the url of {shown(provider.name)} is no https one")
    times = provider.timeouts
    if times.request_timeout_ms < times.connect_timeout_ms:
        raise PROVIDER_CONFIG_INVALID.error(
            f"request_timeout_ms of {shown(provider.name)} is less than its connect_timeout_ms"
        )
    return ExternalProvider(provider.name, _channel(provider), times.request_timeout_ms)


def _channel(provider: ProviderSettings) -> Channel:
    """The way to an external provider."""
    if provider.protocol == "reference":
        return FramedChannel(provider.command) if provider.url is None else PostChannel(provider)
    if provider.url is None:
        return McpChannel(McpCaller(McpProgram(provider.command)))
    return McpChannel(
        McpCaller(
            McpServer(
                url=provider.url,
                allow_plain=provider.allow_insecure_http,
                connect_timeout_ms=provider.timeouts.connect_timeout_ms,
                request_timeout_ms=provider.timeouts.request_timeout_ms,
                token=None if provider.auth is None else local_secret(provider.auth.bearer_token),
            )
        )
    )
