"""Contracts of external providers, read from files with every limit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from interlock.base.errors import InterlockError
from interlock.gates.evidence.contract_files import CONTRACT_BYTES_MAX, is_short, read_contract
from interlock.gates.values import plain, wire
from tests.unit.gates.evidence.test_contracts import CHECK, CONTRACT


def written(folder: Path, content: bytes) -> str:
    path = folder / "contract.json"
    path.write_bytes(content)
    return str(path)


def code_of(name: str, path: str) -> str:
    with pytest.raises(InterlockError) as caught:
        read_contract(name, path)
    return caught.value.code


def test_a_contract_is_read_whatever_else_its_file_says(tmp_path: Path) -> None:
    content = wire({**plain(CONTRACT), "version": "9"})

    assert read_contract("scans", written(tmp_path, content)) == CONTRACT


def test_a_file_is_limited_to_the_byte(tmp_path: Path) -> None:
    content = wire(CONTRACT)
    padded = content + b" " * (CONTRACT_BYTES_MAX - len(content))

    assert read_contract("scans", written(tmp_path, padded)) == CONTRACT
    assert code_of("scans", written(tmp_path, padded + b" ")) == "contract_read_failed"


@pytest.mark.parametrize("path", ["", "a\0b", "x" * 256, "x/" * 2_048 + "y", "\ud800"])
def test_a_path_that_cannot_be_one_is_refused(path: str) -> None:
    assert code_of("scans", path) == "contract_path_invalid"


@pytest.mark.parametrize(("path", "short"), [("x" * 255, True), ("ä" * 128, False), ("a/" * 2_047 + "bc", True)])
def test_a_path_is_limited_to_the_byte(path: str, short: bool) -> None:
    assert is_short(path) is short


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    assert code_of("scans", str(tmp_path / "none.json")) == "contract_read_failed"
    assert code_of("scans", str(tmp_path)) == "contract_read_failed"


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b'{"a":1,"a":2}'])
def test_a_file_that_is_no_json_is_refused(tmp_path: Path, content: bytes) -> None:
    assert code_of("scans", written(tmp_path, content)) == "contract_parse_failed"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"provider_id": "other"}, "contract_invalid"),
        ({"transport": "builtin"}, "contract_invalid"),
        ({"transport": "http"}, "contract_invalid"),
        ({"checks": {}}, "contract_invalid"),
        ({"checks": []}, "contract_invalid"),
        ({"checks": [plain(replace(CHECK, params_schema={"type": "x"}))]}, "schema_compile_failed"),
        ({"checks": [plain(CHECK) | {"allowed_comparators": ["roughly"]}]}, "contract_invalid"),
    ],
)
def test_a_contract_that_is_not_of_an_external_provider_is_refused(
    tmp_path: Path, change: dict[str, Any], code: str
) -> None:
    assert code_of("scans", written(tmp_path, wire({**plain(CONTRACT), **change}))) == code
