"""The description of the API holds: it is OpenAPI, its examples fit it, and the server answers as it says.

Schemathesis draws the requests, from a fixed seed; `fuzz.toml` says which of its checks cannot hold here, and why.
`INTERLOCK_FUZZ_EXAMPLES=200` draws as many requests for each operation, and takes as long as it takes.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import jsonschema_rs
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from interlock.surfaces.application import load
from interlock.surfaces.http.examples import Examples
from interlock.surfaces.http.openapi import describe, encoded
from interlock.surfaces.http.routes import Routes
from tests.conformance.api.stocked import Stocked, served, stock
from tests.conformance.api.tool import schemathesis

EXAMPLES = int(os.environ.get("INTERLOCK_FUZZ_EXAMPLES", "0"))
"""Requests for each operation in a long run; the default suite draws as many as half a minute bears."""

SECONDS_MAX = 7_200 if EXAMPLES else 400
"""What a hang is; the work is bounded by the number of requests."""

CONFIG = Path(__file__).parent / "api" / "fuzz.toml"

pytestmark = pytest.mark.timeout(SECONDS_MAX + 600)  # the first run installs from the registry


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    catalogue = load().catalogue()
    found: dict[str, Any] = json.loads(encoded(describe(Routes(catalogue), Examples(catalogue).of)))
    return found


@pytest.fixture
def stocked(tmp_path: Path) -> Stocked:
    return asyncio.run(stock(tmp_path))


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def examples(operation: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Each example of an operation with its schema."""
    for parameter in operation.get("parameters", []):
        if "example" in parameter:
            yield parameter["schema"], parameter["example"]
    for content in operation.get("requestBody", {}).get("content", {}).values():
        if "example" in content:
            yield content["schema"], content["example"]


def test_the_document_is_openapi(document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_no_two_operations_have_one_id(document: dict[str, Any]) -> None:
    ids = [operation["operationId"] for _, operation in operations(document)]

    assert len(ids) == len(set(ids)) > 60


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        for schema, example in examples(operation):
            whole = {"components": document["components"], "allOf": [schema]}
            found = jsonschema_rs.Draft202012Validator(whole).iter_errors(example)
            assert [error.message for error in found] == [], (name, example)


def test_a_server_answers_nobody_as_its_description_says(stocked: Stocked) -> None:
    fuzz(stocked, None, examples=EXAMPLES or 2, phases="examples,fuzzing")


def test_a_server_answers_an_administrator_as_its_description_says(stocked: Stocked) -> None:
    fuzz(stocked, stocked.token, examples=EXAMPLES or 5, phases="examples,coverage,fuzzing")


def fuzz(stocked: Stocked, token: str | None, *, examples: int, phases: str) -> None:
    """Ask the server whatever Schemathesis thinks of, and hold what it answers against the description."""
    shutil.copy(CONFIG, stocked.folder)
    (stocked.folder / "spare_token.txt").write_text(f'"{stocked.spare}"\n', encoding="utf-8")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    with served(stocked.folder) as url:
        line = [str(schemathesis()), "--config-file", CONFIG.name, "run", f"{url}/api/v1/openapi.json", "--no-color"]
        line += ["--max-examples", str(examples), "--phases", phases]
        line += [word for name, value in headers.items() for word in ("--header", f"{name}: {value}")]
        done = subprocess.run(
            line, cwd=stocked.folder, check=False, capture_output=True, text=True, timeout=SECONDS_MAX
        )
        expected = 401 if token is None else 200
        assert httpx2.get(f"{url}/api/v1/runs", headers=headers, trust_env=False).status_code == expected
        assert httpx2.get(f"{url}/readyz", trust_env=False).status_code == 200
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    log = (stocked.folder / "serve.log").read_text(encoding="utf-8")
    assert "met a fault of the program" not in log, log[-5_000:]
    assert "Traceback" not in log, log[-5_000:]
