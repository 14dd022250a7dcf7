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
from dataclasses import dataclass
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
CALLERS = Path(__file__).parent / "api" / "callers.py"
NOBODY = "nobody"

pytestmark = pytest.mark.timeout(SECONDS_MAX + 600)  # the first run installs from the registry


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    catalogue = load().catalogue()
    found: dict[str, Any] = json.loads(encoded(describe(Routes(catalogue), Examples(catalogue).of)))
    return found


@dataclass(frozen=True)
class Service:
    """A server that is asked, and what it stands on."""

    stocked: Stocked
    url: str


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One for all: what one has left behind, the next one finds, and the administrator goes last."""
    stocked = asyncio.run(stock(tmp_path_factory.mktemp("api")))
    shutil.copy(CONFIG, stocked.folder)
    (stocked.folder / "spare_token.txt").write_text(f'"{stocked.spare}"\n', encoding="utf-8")
    with served(stocked.folder) as url:
        yield Service(stocked, url)


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


def names(operation: dict[str, Any], place: str) -> set[str]:
    return {each["name"] for each in operation.get("parameters", []) if each["in"] == place}


def test_an_operation_has_the_statuses_that_it_can_answer_and_no_others(document: dict[str, Any]) -> None:
    seen = {name: {int(each) for each in operation["responses"]} for name, operation in operations(document)}

    assert seen["get /api/v1/leases/{lease}"] == {200, 304, 400, 401, 403, 404, 429, 500, 503}
    assert seen["get /api/v1/principals"] == {200, 304, 400, 401, 403, 429, 500, 503}
    assert seen["post /api/v1/subscriptions"] == {200, 201, 400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 503}
    assert seen["delete /api/v1/subscriptions/{name}"] == {200, 400, 401, 403, 404, 409, 412, 422, 429, 500, 503}
    assert seen["post /api/v1/packs/verify"] == {200, 400, 401, 403, 408, 413, 415, 429, 500, 503}
    assert seen["get /healthz"] == {200}
    assert seen["get /debug/mutation_stats"] == {200, 400, 401, 403, 429, 500, 503}
    for name, operation in operations(document):
        if name.endswith(" /mcp"):
            continue  # it answers as its protocol says, which is held to real answers elsewhere
        has_body, statuses = "requestBody" in operation, seen[name]
        assert statuses >= ({408, 413, 415} if has_body else set()), name
        assert not statuses & ({405} if has_body else {405, 408, 413, 415}), name
        assert ({401, 403} <= statuses) is (operation.get("security") != []), name
        assert (412 in statuses) is ("If-Match" in names(operation, "header")), name
        assert (304 in statuses) is ("If-None-Match" in names(operation, "header")), name


def test_what_expects_a_version_is_what_a_tag_may_be_sent_with(document: dict[str, Any]) -> None:
    expecting = {name for name, operation in operations(document) if "If-Match" in names(operation, "header")}

    place = "/api/v1/subscriptions/{name}"
    assert expecting == {f"delete {place}", *(f"post {place}/{verb}" for verb in ("pause", "resume", "redrive"))}


def test_headers_stand_with_every_answer_that_has_them(document: dict[str, Any]) -> None:
    def told(answer: dict[str, Any]) -> set[str]:
        if "$ref" in answer:
            answer = document["components"]["responses"][answer["$ref"].rpartition("/")[2]]
        return set(answer.get("headers", {}))

    for name, operation in operations(document):
        found = {status: told(answer) for status, answer in operation["responses"].items()}
        for status, wanted in (("401", "WWW-Authenticate"), ("429", "Retry-After"), ("304", "ETag")):
            assert wanted in found.get(status, {wanted}), (name, status)
        if name != "get /readyz":  # it says what is missing, and not when that is there
            assert "Retry-After" in found.get("503", {"Retry-After"}), name
        if "304" in found:
            assert "ETag" in found["200"], name
        if "/api/v1/" in name:
            assert all("X-Request-Id" in each for status, each in found.items() if status[0] != "2"), name


def test_a_start_is_described_as_what_goes_on_and_the_place_where_it_can_be_seen(document: dict[str, Any]) -> None:
    starts = {
        name: operation["responses"]["202"]
        for name, operation in operations(document)
        if "202" in operation["responses"] and "/runs" in name
    }

    assert len(starts) == 3
    assert {each["description"] for each in starts.values()} == {
        "Begun, and durable: it goes on behind this answer, and `Location` says where to look at it."
    }
    assert all("Location" in each["headers"] for each in starts.values())
    assert "Location" in document["paths"]["/api/v1/subscriptions"]["post"]["responses"]["201"]["headers"]


def test_what_only_a_command_line_takes_is_not_described(document: dict[str, Any]) -> None:
    body = document["paths"]["/api/v1/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]

    assert body["properties"]["input"]["description"] == "The run's input, a JSON object."
    assert "KEY=VALUE" in body["properties"]["attribute"]["description"]  # such texts are what it is given


def test_a_server_answers_everybody_as_its_description_says(service: Service) -> None:
    """As nobody, as a viewer and as an operator in turn."""
    tokens = {NOBODY: None, **{role: service.stocked.tokens[role] for role in ("viewer", "operator")}}
    # Who asks is chosen by the hooks, and not drawn; what that check looks for is looked for below.
    more = ["--exclude-checks", "ignored_auth", "--generation-with-security-parameters", "false"]
    hooks = {"SCHEMATHESIS_HOOKS": str(CALLERS), "INTERLOCK_FUZZ_CALLERS": json.dumps(tokens)}

    fuzz(service, more, hooks, examples=EXAMPLES or 3, phases="examples,fuzzing")

    asked = [json.loads(line) for line in (service.stocked.folder / "asked.jsonl").read_text("utf-8").splitlines()]
    found = {name: {each["status"] for each in asked if each["guarded"] and each["as"] == name} for name in tokens}
    assert {each["operation"] for each in asked if each["as"] == "viewer"} > {"GET /api/v1/runs", "POST /api/v1/runs"}
    assert 401 in found[NOBODY]
    assert all(status >= 400 for status in found[NOBODY]), found
    assert {200, 403} <= found["viewer"]
    assert {200, 403} <= found["operator"]
    assert 401 not in found["viewer"] | found["operator"]


def test_a_server_answers_an_administrator_as_its_description_says(service: Service) -> None:
    asking = ["--header", f"Authorization: Bearer {service.stocked.tokens['admin']}"]

    fuzz(service, asking, {}, examples=EXAMPLES or 5, phases="examples,coverage,fuzzing")


def fuzz(service: Service, more: list[str], hooks: dict[str, str], *, examples: int, phases: str) -> None:
    """Ask the server whatever Schemathesis thinks of, and hold what it answers against the description."""
    folder, url = service.stocked.folder, service.url
    line = [str(schemathesis()), "--config-file", CONFIG.name, "run", f"{url}/api/v1/openapi.json", "--no-color"]
    line += ["--max-examples", str(examples), "--phases", phases, *more]
    done = subprocess.run(
        line, cwd=folder, env=os.environ | hooks, check=False, capture_output=True, text=True, timeout=SECONDS_MAX
    )
    headers = {"Authorization": f"Bearer {service.stocked.tokens['admin']}"}
    assert httpx2.get(f"{url}/api/v1/runs", headers=headers, trust_env=False).status_code == 200
    assert httpx2.get(f"{url}/api/v1/runs", trust_env=False).status_code == 401
    assert httpx2.get(f"{url}/readyz", trust_env=False).status_code == 200
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]
    log = (folder / "serve.log").read_text(encoding="utf-8")
    assert "met a fault of the program" not in log, log[-5_000:]
    assert "Traceback" not in log, log[-5_000:]
