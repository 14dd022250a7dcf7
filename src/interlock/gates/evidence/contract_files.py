"""Reads the contracts of external providers from their files.

What it does: reads a file within its limits and holds it against what a contract of an external provider must be. What
it does not do: it registers nothing.

Rules (seed 000): a file has at most 1 MiB, its path 4096 bytes and 255 in each part; the id is the provider's name, the
transport is `mcp`; every schema compiles.
"""

from __future__ import annotations

from pathlib import Path, PurePath
from typing import Final

from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.gates.errors import (
    CONTRACT_INVALID,
    CONTRACT_PARSE_FAILED,
    CONTRACT_PATH_INVALID,
    CONTRACT_READ_FAILED,
    GATE_INPUT_INVALID,
)
from interlock.gates.evidence.contracts import ProviderContract, check_contract
from interlock.gates.values import read

CONTRACT_BYTES_MAX: Final = 1024 * 1024
PATH_BYTES_MAX: Final = 4096
PART_BYTES_MAX: Final = 255


def is_short(path: str) -> bool:
    """Whether a path, and each part of it, is within its limit, and can be one."""
    try:
        parts = [part.encode() for part in PurePath(path).parts]
        return 0 < len(path.encode()) <= PATH_BYTES_MAX and max(map(len, parts), default=0) <= PART_BYTES_MAX
    except UnicodeEncodeError:
        return False


def read_contract(name: str, path: str) -> ProviderContract:
    """The contract of the provider `name`.

    Raises: `contract_path_invalid`, `contract_read_failed`, `contract_parse_failed`, `contract_invalid`,
    `schema_compile_failed`.
    """
    if not is_short(path) or "\0" in path:
        raise CONTRACT_PATH_INVALID.error(f"the path of the contract of {shown(name)} cannot be one")
    contract = _parsed(name, _content(name, path))
    if contract.provider_id != name:
        raise CONTRACT_INVALID.error(f"the contract of {shown(name)} is of another provider")
    if contract.transport != "mcp":
        raise CONTRACT_INVALID.error(f"the contract of {shown(name)} is not of the transport mcp")
    check_contract(contract)
    return contract


def _content(name: str, path: str) -> bytes:
    try:
        with Path(path).open("rb") as file:
            content = file.read(CONTRACT_BYTES_MAX + 1)
    except OSError as fault:
        raise CONTRACT_READ_FAILED.error(f"the contract of {shown(name)} cannot be read: {fault.strerror}") from None
    if len(content) > CONTRACT_BYTES_MAX:
        raise CONTRACT_READ_FAILED.error(f"the contract of {shown(name)} has more than {CONTRACT_BYTES_MAX} bytes")
    return content


def _parsed(name: str, content: bytes) -> ProviderContract:
    try:
        return read(content, ProviderContract, bytes_max=CONTRACT_BYTES_MAX)
    except InterlockError as fault:
        kind = CONTRACT_INVALID if fault.kind is GATE_INPUT_INVALID else CONTRACT_PARSE_FAILED
        raise kind.error(f"the contract of {shown(name)}: {fault.message}") from None
