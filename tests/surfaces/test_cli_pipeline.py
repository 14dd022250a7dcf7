"""A pipeline from the command line: its process is killed within the second step, and another one goes on."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.surfaces.process import PRODUCT, Ended, run
from tests.surfaces.product import RUN

FLOW = """
import os
import signal
from pathlib import Path
from typing import Any

from interlock import OpGraph, OpIo, OpRegistry, Pipeline, PipelineStep, Plan, plan_pipeline


class Words:
    op_id, op_version = "words", "1"

    def io(self, config: Any) -> OpIo:
        return OpIo(exports=("words",))

    def expand(self, op_path: str, config: Any, run_config: Any) -> OpGraph:
        plan = Plan("words")

        @plan.state
        async def words(input: dict[str, str]) -> list[str]:
            with Path("calls").open("a") as calls:
                calls.write("words\\n")
            return input["text"].split(config["separator"])

        return OpGraph.of_plan(op_path, plan)


class Count:
    op_id, op_version = "count", "1"

    def io(self, config: Any) -> OpIo:
        return OpIo(imports=("words",))

    def expand(self, op_path: str, config: Any, run_config: Any) -> OpGraph:
        plan = Plan("count")

        @plan.state
        async def count(words: list[str]) -> int:
            if not Path("well").exists():
                Path("well").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return len(words)

        return OpGraph.of_plan(op_path, plan)


SEPARATOR = " "
STEPS = (PipelineStep("split", "words", "1", {"separator": SEPARATOR}), PipelineStep("count", "count", "1"))
plan = plan_pipeline(Pipeline("counting", "1", STEPS), OpRegistry([Words(), Count()]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "flow.py").write_text(FLOW)
    return tmp_path


def interlock(folder: Path, *line: str) -> Ended:
    return run(*line, program=PRODUCT, folder=folder)


def started(folder: Path, *options: str) -> Ended:
    given = json.dumps({"text": "to be or not"})
    return interlock(folder, "run", "start", "flow.py:plan", "--input", given, "--run-id", RUN, *options)


def answer(ended: Ended) -> Any:
    return json.loads(ended.out)


def boundaries(folder: Path) -> list[str]:
    events = answer(interlock(folder, "run", "events", RUN, "--json"))["items"]
    found = [each["data"]["payload"] for each in events if each["data"].get("name") == "op_boundary"]
    return [f"{each['op_path']} {each['phase']}" for each in found]


def test_a_killed_pipeline_goes_on_in_another_process_that_finds_it_by_its_source(folder: Path) -> None:
    assert started(folder).code == -signal.SIGKILL
    assert boundaries(folder) == ["counting.split started", "counting.split completed", "counting.count started"]

    resumed = interlock(folder, "run", "resume", RUN, "--json")

    assert resumed.code == 0, resumed.err
    assert answer(resumed)["phase"] == "completed"
    values = answer(interlock(folder, "run", "output", RUN, "--json"))["values"]
    assert values["counting.count.count"] == 4
    assert (folder / "calls").read_text() == "words\n"
    assert boundaries(folder) == [
        "counting.split started",
        "counting.split completed",
        "counting.count started",
        "counting.count completed",
    ]


def test_a_pipeline_whose_configuration_has_changed_is_not_gone_on_with(folder: Path) -> None:
    assert started(folder).code == -signal.SIGKILL
    (folder / "flow.py").write_text(FLOW.replace('SEPARATOR = " "', 'SEPARATOR = "-"'))

    resumed = interlock(folder, "run", "resume", RUN, "--json")

    assert resumed.code == 4
    assert answer(resumed)["error"]["code"] == "plan_drifted"


def test_the_steps_of_a_pipeline_are_shown_by_step_and_state(folder: Path) -> None:
    (folder / "well").touch()
    assert started(folder).code == 0

    status = answer(interlock(folder, "run", "status", RUN, "--json"))

    assert [step["name"] for step in status["steps"]] == ["split.words", "count.count"]
    assert status["input"]["input"] == {"text": "to be or not"}
    assert "split.words" in interlock(folder, "run", "status", RUN).text


def test_a_pipeline_that_cannot_be_planned_names_the_reason_and_starts_nothing(folder: Path) -> None:
    (folder / "flow.py").write_text(FLOW.replace('imports=("words",)', 'imports=("other",)'))

    refused = started(folder, "--json")

    assert refused.code == 2
    assert answer(refused)["error"]["details"] == {
        "reason": "unsatisfied_import",
        "op_path": "counting.count",
        "key": "other",
    }
