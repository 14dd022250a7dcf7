"""Plan documents from the command line: checked, started, drawn, killed, and resumed by another process."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from textwrap import dedent

import pytest

from tests.surfaces.process import PRODUCT, Ended, run
from tests.surfaces.product import RUN

CAUGHT = """
    pipeline: release
    version: "1"
    input: {project: demo, fast: false}
    steps:
      - name: build
        handler: exec
        side_effects: apply_side_effect
        idempotency_key: "build-${{ input.project }}"
        with: {argv: [sh, -c, "echo built >> calls; echo ${{ input.project }}"]}
        outputs: {artifact: "${{ output.stdout.trim() }}"}
      - name: slow
        handler: exec
        side_effects: read_only_io
        needs: [build]
        skip_when: input.fast
        with: {argv: [sh, -c, "if [ -e well ]; then echo again; else touch well; sleep 60; fi"]}
      - name: publish
        handler: exec
        side_effects: apply_side_effect
        idempotency_key: "publish-${{ steps.build.output.artifact }}"
        needs: [slow]
        with: {argv: [sh, -c, "echo published >> calls; echo done"]}
"""


def cli(*line: str, folder: Path) -> Ended:
    return run(*line, program=PRODUCT, folder=folder)


def document(folder: Path, text: str = CAUGHT, name: str = "release.yaml") -> Path:
    path = folder / name
    path.write_text(dedent(text).lstrip())
    return path


def test_a_run_that_is_killed_goes_on_in_another_process_without_its_file(tmp_path: Path) -> None:
    path = document(tmp_path)
    line = [*PRODUCT, "run", "start", "release.yaml", "--run-id", RUN, "--input", "project=wheel"]
    process = subprocess.Popen(line, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not (tmp_path / "well").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    path.unlink()

    resumed = cli("run", "resume", RUN, "--json", folder=tmp_path)

    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.text)["phase"] == "completed"
    assert (tmp_path / "calls").read_text() == "built\npublished\n"
    values = json.loads(cli("run", "output", RUN, "--json", folder=tmp_path).text)["values"]
    assert values["build"] == {"artifact": "wheel"}
    assert values["slow"]["stdout"] == "again\n"
    replayed = cli("run", "replay", RUN, folder=tmp_path)
    assert replayed.code == 0, replayed.text
    assert replayed.text.startswith("identical")


def test_a_document_that_was_never_run_is_drawn(tmp_path: Path) -> None:
    document(tmp_path)

    tree = cli("run", "graph", "release.yaml", folder=tmp_path)
    mermaid = cli("run", "graph", "--plan", "release.yaml", "--format", "mermaid", folder=tmp_path)
    svg = cli("run", "graph", "release.yaml", "--format", "svg", folder=tmp_path)

    assert tree.text.startswith("release\n")
    assert "publish" in tree.text
    assert "flowchart" in mermaid.text
    assert svg.text.startswith("<svg")
    assert not (tmp_path / ".interlock").exists()


def test_a_broken_document_is_shown_line_by_line_and_not_started(tmp_path: Path) -> None:
    document(tmp_path, CAUGHT.replace("needs: [slow]", "need: [slow]").replace("exec", "exce", 1))

    checked = cli("run", "lint", "release.yaml", folder=tmp_path)
    started = cli("run", "start", "release.yaml", folder=tmp_path)

    assert checked.code == 1
    assert "release.yaml:6:14: error: there is no handler exce [handler_unknown]" in checked.text
    assert "Did you mean `needs`?" in checked.text
    assert checked.text.splitlines()[-1].startswith("1 document: ")
    assert started.code == 2
    assert "document_invalid" in started.err


def test_findings_are_json_and_sarif_for_programs(tmp_path: Path) -> None:
    document(tmp_path, CAUGHT.replace("needs: [slow]", "need: [slow]"))

    as_json = json.loads(cli("run", "lint", "release.yaml", "--json", folder=tmp_path).text)
    sarif = json.loads(cli("run", "lint", "release.yaml", "--format", "sarif", folder=tmp_path).text)

    [unknown] = [each for each in as_json["findings"] if each["rule"] == "member_unknown"]
    assert (unknown["file"], unknown["line"], unknown["column"]) == ("release.yaml", 21, 5)
    assert as_json["errors"] == len([each for each in as_json["findings"] if each["level"] == "error"])
    [done] = sarif["runs"]
    assert {each["ruleId"] for each in done["results"]} == {each["rule"] for each in as_json["findings"]}
    assert {each["id"] for each in done["tool"]["driver"]["rules"]} == {each["rule"] for each in as_json["findings"]}


def test_several_documents_are_checked_at_once(tmp_path: Path) -> None:
    document(tmp_path)
    document(tmp_path, "pipeline: x\n", "other.yaml")

    checked = cli("run", "lint", "release.yaml", "other.yaml", "none.yaml", folder=tmp_path)

    assert checked.code == 1
    assert "other.yaml:1:1: error" in checked.text
    assert "none.yaml:1:1: error: the file cannot be read" in checked.text
    assert cli("run", "lint", "release.yaml", folder=tmp_path).code == 0
    assert cli("run", "lint", folder=tmp_path).code == 2


def test_the_schema_for_editors_accepts_a_sound_document(tmp_path: Path) -> None:
    schema = json.loads(cli("run", "lint", "--format", "schema", folder=tmp_path).text)

    assert schema["$schema"].endswith("2020-12/schema")


@pytest.mark.parametrize(
    "line",
    [
        ("--input", "project=x", "--input", "fast=true"),
        ("--input", '{"project": "x", "fast": true}'),
        ("--input-file", "given.yaml"),
        ("--input-file", "given.json", "--input", "fast=true"),
    ],
)
def test_an_input_is_given_in_pieces_as_json_or_in_a_file(tmp_path: Path, line: tuple[str, ...]) -> None:
    document(tmp_path)
    (tmp_path / "given.yaml").write_text("project: x\nfast: true\n")
    (tmp_path / "given.json").write_text('{"project": "x"}')

    done = cli("run", "start", "release.yaml", "--run-id", RUN, *line, folder=tmp_path)

    assert done.code == 0, done.err
    values = json.loads(cli("run", "output", RUN, "--json", folder=tmp_path).text)["values"]
    assert (values["project"], values["fast"]) == ("x", True)
    assert "slow" not in values


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("--input", "projct=x"), "run_input_invalid"),
        (("--input", "fast=perhaps"), "run_input_invalid"),
        (("--input", "project=x", "--input", "project=y"), "usage_invalid"),
        (("--input", "project=x", "--input", "{}"), "usage_invalid"),
        (("--input-file", "none.yaml"), "run_input_invalid"),
        (("--input-file", "release.yaml"), "run_input_invalid"),
    ],
)
def test_an_input_that_makes_no_sense_is_refused(tmp_path: Path, line: tuple[str, ...], code: str) -> None:
    document(tmp_path)

    done = cli("run", "start", "release.yaml", *line, folder=tmp_path)

    assert done.code == 2
    assert code in done.err


def test_a_run_is_migrated_to_a_changed_document_by_its_file(tmp_path: Path) -> None:
    before = """
        pipeline: asking
        version: "1"
        steps:
          - {name: ask, handler: wait}
    """
    document(tmp_path, before, "ask.yaml")
    assert cli("run", "start", "ask.yaml", "--run-id", RUN, folder=tmp_path).code == 8
    more = """
          - name: say
            handler: exec
            side_effects: read_only_io
            needs: [ask]
            with: {argv: [echo, "${{ steps.ask.output }}"]}
    """
    document(tmp_path, dedent(before).replace('"1"', '"2"') + dedent(more).replace("\n", "\n  ")[1:], "ask.yaml")

    shown = json.loads(cli("run", "migrate", RUN, "--plan", "ask.yaml", "--json", folder=tmp_path).text)
    told = cli(
        *("run", "migrate", RUN, "--plan", "ask.yaml", "--apply", "--expect", shown["fingerprint"], "--reason", "more"),
        folder=tmp_path,
    )
    assert told.code == 0, told.err
    (tmp_path / "ask.yaml").unlink()
    assert cli("run", "signal", RUN, "ask", "answer", "--value", '"well"', folder=tmp_path).code == 0
    resumed = cli("run", "resume", RUN, folder=tmp_path)

    assert resumed.code == 0, resumed.err
    assert "well" in cli("run", "output", RUN, folder=tmp_path).text
