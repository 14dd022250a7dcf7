"""Agent tool call: a model picks a tool; one that can do harm waits for a person before it is used, and is used once.

    RUN=e7000000-0000-4000-8000-000000000007
    interlock run start examples/agent_tool_call.py:plan --input '{"task": "tidy up"}' --run-id $RUN
    interlock run why $RUN
    interlock run signal $RUN allow delete --value '{"allowed": true, "because": "they are copies"}'
    interlock run resume $RUN
    cat done.txt

What the model said is a fact: after a crash the run goes on with the call that the person saw, and never with another
one that the model may think of then. The model here is a program with one idea; put yours behind `io.call`.
"""

import sys
from pathlib import Path
from typing import Any

from msgspec import Struct

from interlock import Io, IoCall, Plan, Recorder

plan = Plan("agent", version="1")
OUTSIDE = Path(__file__).with_name("outside.py")
MODEL = "import json, sys; json.load(sys.stdin); print(json.dumps({'tool': 'delete', 'argument': 'copies/'}))"
HARMLESS = frozenset({"list", "read"})


class ToolCall(Struct):
    """What the model wants to do."""

    tool: str
    argument: str


class Permission(Struct):
    """What a person says about it."""

    allowed: bool
    because: str = ""


async def program(io: Io, key: str, *argv: str, **more: object) -> Any:
    """Run a Python program as a recorded call; its JSON answer."""
    request = {"kind": "run_program_v1", "program_path": sys.executable, "argv": list(argv), **more}
    return (await io.call(IoCall("exec", request, fact_key=key))).response["json"]


@plan.state(side_effects="read_only_io")
async def think(io: Io, task: str) -> ToolCall:
    """Ask the model for the next tool call."""
    said = await program(io, "agent:said", "-c", MODEL, stdin_json={"task": task})
    return ToolCall(said["tool"], said["argument"])


@plan.state
async def allow(io: Io, rec: Recorder, think: ToolCall) -> Permission:
    """Let a person decide, unless the tool can do no harm."""
    if think.tool in HARMLESS:
        return Permission(allowed=True, because="harmless")
    answer = await io.wait(think.tool, Permission)
    await rec.emit("tool_decided", {"tool": think.tool, "allowed": answer.allowed})
    return answer


@plan.state(side_effects="apply_side_effect", idempotency="agent:act")
async def act(io: Io, think: ToolCall, allow: Permission) -> str:
    """Use the tool, once."""
    if not allow.allowed:
        return f"refused: {allow.because}"
    done = await program(io, "agent:acted", str(OUTSIDE), "done.txt", f"{think.tool} {think.argument}")
    return f"done, line {done['line']}"
