"""Hello: two states. The result of the first is the parameter of the second, and the second asks the outside.

    RUN=e1000000-0000-4000-8000-000000000001
    interlock run start examples/hello.py:plan --input '{"name": "Ada"}' --run-id $RUN
    interlock run output $RUN measure

The id and the input name the run: the first line again attaches to it, and nothing runs twice.
"""

from interlock import Io, IoCall, Plan

plan = Plan("hello", version="1")


@plan.state
async def greet(name: str) -> str:
    """Greet somebody."""
    return f"Hello, {name}"


@plan.state(side_effects="read_only_io")
async def measure(io: Io, greet: str) -> int:
    """Let a program count the bytes; its answer is a fact, so it is asked once."""
    request = {"kind": "run_program_v1", "program_path": "/usr/bin/wc", "argv": ["-c"], "stdin_json": greet}
    answer = await io.call(IoCall("exec", request, fact_key="hello:measure"))
    return int(answer.response["json"])
