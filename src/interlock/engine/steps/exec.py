"""The step `exec`: runs one program.

What it does: asks the transport of the namespace `exec` for a program, keeps its streams as artifacts, and gives
`{exit_code, stdout, stderr, json}`. What it does not do: it gives no shell.

Rules: a name without a slash is looked for on the path of whoever drives the run, a relative path belongs to the folder
of the document, and so does the working directory; an exit code that is not listed fails the step, and its streams are
kept all the same; an exit, the sizes and the real path of the program are recorded; streams that hold what looks like a
secret are not kept.
"""

from __future__ import annotations

import os.path
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from interlock.base.canonical import Json
from interlock.base.errors import InterlockError
from interlock.base.ids import shown
from interlock.base.part import StepHandler
from interlock.base.secret_scan import scan_bytes
from interlock.engine.io.surface import IoCall
from interlock.engine.io.transports.exec import PROGRAM_SHOWN_MAX, streams_of
from interlock.engine.io.transports.requests import SecretText
from interlock.engine.steps.call import StepCall
from interlock.engine.steps.streams import STDERR_KIND, STDOUT_KIND, WITHHELD

STREAM_BYTES_MAX: Final = 1024 * 1024
"""Bytes of a stream that are kept as an artifact; the setting `exec.stream_bytes_max` bounds them before."""


class ExecStep(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an `exec` step is given."""

    argv: Annotated[
        tuple[Annotated[str, Meta(max_length=131_072)], ...],
        Meta(min_length=1, max_length=10_000, description="The program, and its arguments one by one."),
    ]
    stdin_json: Annotated[object, Meta(description="A JSON value for the program's standard input.")] | UnsetType = (
        UNSET
    )
    env: Annotated[
        dict[str, str | SecretText],
        Meta(max_length=1000, description="Variables; a secret is named as {secret: env:NAME}."),
    ] = {}
    cwd: Annotated[
        str, Meta(min_length=1, max_length=4096, description="The working directory, seen from the document's folder.")
    ] = "."
    stdout: Annotated[
        Literal["auto", "json", "text", "none"],
        Meta(description="`json` must be JSON, `auto` may be, `text` is not read as JSON, `none` is not kept."),
    ] = "auto"
    ok_codes: Annotated[
        tuple[Annotated[int, Meta(ge=0, le=255)], ...],
        Meta(min_length=1, max_length=256, description="Exit codes that are no failure."),
    ] = (0,)


async def run(call: StepCall, given: ExecStep) -> Json:
    """Run the program. Raises: the `exec_…` codes."""
    program, *arguments = given.argv
    if "/" in program:
        program = below(call.folder, program)
    request: dict[str, Any] = {
        "kind": "run_program_v1" if "/" in program else "run_named_program_v1",
        "program_path": program,
        "argv": arguments,
        "env": msgspec.to_builtins(given.env),
        "cwd": below(call.folder, given.cwd),
        "stdout": given.stdout,
        "keep_text": True,
        "ok_codes": list(given.ok_codes),
    }
    if given.stdin_json is not UNSET:
        request["stdin_json"] = given.stdin_json
    if call.timeout_ms is not None:
        request["timeout_ms"] = min(call.timeout_ms, 86_400_000)
    try:
        answer = await call.io.call(
            IoCall("exec", request, fact_key=call.fact_key("exec"), idempotency_key=call.idempotency_key)
        )
    except InterlockError as fault:
        streams = streams_of(fault)
        if streams is not None:
            await _keep(call, *streams)
        raise _as_written(fault, program, given.argv[0]) from fault
    found = answer.response
    await _keep(call, found["stdout"] or "", found["stderr"])
    await call.rec.emit(
        "exec_ended", {key: found[key] for key in ("program", "exit_code", "stdout_bytes", "stderr_bytes")}
    )
    return {key: found[key] for key in ("exit_code", "stdout", "stderr", "json")}


def _as_written(fault: InterlockError, program: str, written: str) -> InterlockError:
    """The fault, said of the program as the document names it; its whole path stays in the details."""
    named, meant = shown(program, PROGRAM_SHOWN_MAX), shown(written, PROGRAM_SHOWN_MAX)
    if named == meant or named not in fault.message:
        return fault
    return fault.kind.error(fault.message.replace(named, meant, 1), **fault.details)


def below(folder: str, path: str) -> str:
    """A path seen from a folder; nothing is looked at."""
    return os.path.normpath(os.path.join(folder, path))  # noqa: PTH118 - no symbolic link is followed


async def _keep(call: StepCall, stdout: str, stderr: str) -> None:
    """Keep what a program wrote as artifacts, unless it looks like a secret."""
    for kind, text in ((STDOUT_KIND, stdout), (STDERR_KIND, stderr)):
        content = text.encode("utf-8", "backslashreplace")
        if not content:
            continue
        if scan_bytes(content) is not None:
            await call.rec.emit(WITHHELD, {"stream": kind, "bytes": len(content)})
            continue
        await call.rec.artifact(kind, content[:STREAM_BYTES_MAX], {"step": call.step, "bytes": len(content)})


HANDLER = StepHandler(
    name="exec",
    parameters=ExecStep,
    run=run,
    summary="Runs a program.",
    example="{argv: [git, rev-parse, HEAD], stdout: text}",
    declares=lambda _given: True,
    output=("exit_code", "stdout", "stderr", "json"),
)
