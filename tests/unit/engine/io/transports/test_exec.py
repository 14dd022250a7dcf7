"""Programs as a way out: what runs, with what, and what becomes of its outputs. Limits: test_exec_limits."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
from pathlib import Path

import pytest

from interlock.base.canonical import Json
from interlock.base.errors import Category, InterlockError
from interlock.base.secrets import Secret, SecretRef
from interlock.engine.io.transports.exec import BASE_ENVIRONMENT, ExecSettings, ExecTransport
from interlock.engine.io.transports.port import TransportContext

RUN_ID = "00000000-0000-4000-8000-000000000000"
LOCAL = TransportContext(RUN_ID, "m.s.l", 0, local_plan=True)
FOREIGN = TransportContext(RUN_ID, "m.s.l", 0)
CANARY = "canary-value-0123456789"

ECHO = """
import json, os, sys
json.dump({"argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd()}, sys.stdout)
"""


def secret(_: SecretRef) -> Secret:
    return Secret(CANARY)


def call(context: TransportContext = LOCAL, settings: ExecSettings | None = None, /, **request: Json) -> Json:
    async def main() -> Json:
        transport = ExecTransport(settings or ExecSettings(), secret)
        try:
            return await transport.call({"kind": "run_program_v1", **request}, context)
        finally:
            await transport.close()

    return asyncio.run(main())


def python(program: str, *argv: str, **request: Json) -> dict[str, Json]:
    answer = call(program_path=sys.executable, argv=["-c", program, *argv], **request)
    assert isinstance(answer, dict)
    return answer


def shell(script: str, context: TransportContext = LOCAL, /, **request: Json) -> dict[str, Json]:
    answer = call(context, program_path="/bin/sh", argv=["-c", script], **request)
    assert isinstance(answer, dict)
    return answer


def refused(
    context: TransportContext = LOCAL, settings: ExecSettings | None = None, /, **request: Json
) -> InterlockError:
    with pytest.raises(InterlockError) as caught:
        call(context, settings, **request)
    return caught.value


def test_the_answer_says_what_ran_and_how_it_ended() -> None:
    answer = shell("echo '{\"a\": 1}'; echo warning >&2")

    assert answer == {
        "program": os.path.realpath("/bin/sh"),
        "exit_code": 0,
        "stdout": None,
        "json": {"a": 1},
        "stderr": "warning\n",
        "stdout_bytes": 9,
        "stderr_bytes": 8,
    }


def test_input_is_canonical_json_and_empty_when_none_is_given() -> None:
    assert shell("cat", stdin_json={"b": 1, "a": [None]}, stdout="text")["stdout"] == '{"a":[null],"b":1}'
    assert shell("cat", stdin_json=None, stdout="text")["stdout"] == "null"
    assert shell("cat", stdout="text")["stdout"] == ""


def test_a_program_inherits_nothing_but_the_stated_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", CANARY)
    seen = python(ECHO, env={"NAMED": "ä b", "PATH": "/nowhere"})["json"]

    assert isinstance(seen, dict)
    environment = dict(BASE_ENVIRONMENT) | {"NAMED": "ä b", "PATH": "/nowhere"}
    assert {k: v for k, v in seen["env"].items() if k != "LC_CTYPE"} == environment  # type: ignore[union-attr]


def test_arguments_arrive_as_they_are() -> None:
    argv = ["", "a b", "$HOME", "'", '"', "\n", "ä", "--x=*"]
    seen = python(ECHO, *argv)["json"]

    assert isinstance(seen, dict)
    assert seen["argv"] == ["-c", *argv]


def test_the_program_starts_in_the_folder_that_is_named(tmp_path: Path) -> None:
    assert shell("pwd", cwd=str(tmp_path), stdout="text")["stdout"] == f"{tmp_path}\n"


def test_the_idempotency_key_of_an_effect_reaches_the_program() -> None:
    context = TransportContext(RUN_ID, "m.s.l", 0, "release-1", local_plan=True)

    answer = shell(
        "printf %s $INTERLOCK_IDEMPOTENCY_KEY", context, stdout="text", env={"INTERLOCK_IDEMPOTENCY_KEY": "x"}
    )

    assert answer["stdout"] == "release-1"
    assert shell("printf %s $INTERLOCK_IDEMPOTENCY_KEY", stdout="text")["stdout"] == ""


@pytest.mark.parametrize(
    ("mode", "printed", "value", "text"),
    [
        ("auto", "[1]\n", [1], None),
        ("auto", "not json", None, "not json"),
        ("auto", '{"a":1,"a":2}', None, '{"a":1,"a":2}'),
        ("json", " 7 ", 7, None),
        ("text", "[1]", None, "[1]"),
        ("none", "[1]", None, None),
    ],
)
def test_the_mode_says_what_becomes_of_output(mode: str, printed: str, value: Json, text: str | None) -> None:
    answer = python("import sys; sys.stdout.write(sys.argv[1])", printed, stdout=mode)

    assert (answer["json"], answer["stdout"], answer["stdout_bytes"]) == (value, text, len(printed))


def test_bytes_that_are_no_text_are_shown_escaped() -> None:
    answer = python("import sys; sys.stdout.buffer.write(b'a\\xffb')", stdout="text")

    assert answer["stdout"] == "a\\xffb"


@pytest.mark.parametrize("printed", ["", "nope", "NaN", "1 2", '{"a":1,"a":2}'])
def test_output_that_must_be_json_and_is_not_is_an_error_without_the_output(printed: str) -> None:
    program = "import sys; sys.stdout.write(sys.argv[1])"
    fault = refused(program_path=sys.executable, argv=["-c", program, printed], stdout="json")

    assert fault.code == "exec_stdout_invalid_json"
    assert fault.details["stdout_bytes"] == len(printed)
    assert not printed or printed not in f"{fault} {fault.details}"


def test_a_failing_program_is_an_error_that_shows_its_code_and_sizes_and_none_of_its_output() -> None:
    fault = refused(program_path="/bin/sh", argv=["-c", f"echo {CANARY}; echo {CANARY} >&2; exit 3"])

    assert (fault.code, fault.category, fault.retryable) == ("exec_failed", Category.FAILED, False)
    assert fault.details == {
        "path": os.path.realpath("/bin/sh"),
        "exit_code": 3,
        "signal": None,
        "stdout_bytes": len(CANARY) + 1,
        "stderr_bytes": len(CANARY) + 1,
    }
    assert CANARY not in str(fault)


def test_a_program_that_is_killed_is_an_error_that_names_the_signal() -> None:
    fault = refused(program_path="/bin/sh", argv=["-c", "kill -TERM $$"], ok_codes=[0, 15, 143])

    assert (fault.code, fault.details["exit_code"], fault.details["signal"]) == (
        "exec_killed",
        None,
        "SIGTERM",
    )


def test_an_exit_code_that_the_request_lists_is_an_answer() -> None:
    assert shell("echo found; exit 1", ok_codes=[0, 1])["exit_code"] == 1
    assert refused(program_path="/bin/true", ok_codes=[1]).code == "exec_failed"


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"program_path": "sh"},
        {"program_path": 7},
        {"program_path": "/bin/sh\x00x"},
        {"program_path": "/bin/\ud800"},
        {"program_path": "/bin/sh", "argv": ["a", 1]},
        {"program_path": "/bin/sh", "argv": [None]},
        {"program_path": "/bin/sh", "argv": "abc"},
        {"program_path": "/bin/sh", "argv": ["a\x00b"]},
        {"program_path": "/bin/sh", "argv": ["\ud800"]},
        {"program_path": "/bin/sh", "env": {"A": 1}},
        {"program_path": "/bin/sh", "env": {"A=B": "x"}},
        {"program_path": "/bin/sh", "env": {"": "x"}},
        {"program_path": "/bin/sh", "env": {"A": "x\x00"}},
        {"program_path": "/bin/sh", "timeout_ms": 0},
        {"program_path": "/bin/sh", "timeout_ms": True},
        {"program_path": "/bin/sh", "timeout_ms": 86_400_001},
        {"program_path": "/bin/sh", "ok_codes": []},
        {"program_path": "/bin/sh", "ok_codes": [256]},
        {"program_path": "/bin/sh", "stdout": "binary"},
        {"program_path": "/bin/sh", "cwd": "/does/not/exist"},
        {"program_path": "/bin/sh", "cwd": "relative"},
        {"program_path": "/bin/sh", "shell": True},
        {"program_path": "/bin/sh", "kind": "run_program_v2"},
    ],
    ids=repr,
)
def test_a_malformed_request_is_refused_and_nothing_runs(request_: dict[str, Json]) -> None:
    assert refused(**request_).code == "exec_request_invalid"


def test_a_refusal_of_the_form_names_the_place_and_not_the_value() -> None:
    fault = refused(program_path="/bin/sh", argv=["a", CANARY, 7])
    assert fault.details["place"] == "$.argv[2]"

    requests: list[dict[str, Json]] = [{"stdout": CANARY}, {CANARY: 1}, {"env": {CANARY: 1}}]
    for request in requests:
        assert CANARY not in str(refused(program_path="/bin/sh", **request))


def test_a_plan_from_elsewhere_runs_nothing_unless_a_path_is_allowed() -> None:
    fault = refused(FOREIGN, program_path="/bin/sh")
    assert fault.details == {"path": "/bin/sh"}
    assert refused(FOREIGN, program_path="/does/not/exist").code == fault.code, "it tells nothing of what exists"

    assert (fault.code, fault.category) == ("exec_program_not_allowed", Category.REFUSED)


def test_a_path_is_allowed_by_whole_components_of_the_real_path(tmp_path: Path) -> None:
    allowed, evil = tmp_path / "tools", tmp_path / "tools-evil"
    for folder in (allowed, evil):
        folder.mkdir()
        script(folder / "run", "echo ran")
    (allowed / "link").symlink_to(evil / "run")
    (tmp_path / "alias").symlink_to(allowed)
    settings = ExecSettings(allowed_paths=(str(allowed),))

    assert call(FOREIGN, settings, program_path=str(allowed / "run"))
    assert call(FOREIGN, settings, program_path=str(tmp_path / "alias" / "run"))
    assert call(FOREIGN, ExecSettings(allowed_paths=(str(allowed / "run"),)), program_path=str(allowed / "run"))
    assert call(FOREIGN, ExecSettings(allowed_paths=(str(tmp_path / "alias"),)), program_path=str(allowed / "run"))
    for path in (
        evil / "run",
        allowed / "link",
        allowed / ".." / "tools-evil" / "run",
        allowed / ".." / "none",
    ):
        assert refused(FOREIGN, settings, program_path=str(path)).code == "exec_program_not_allowed"


def test_what_runs_is_the_real_path_under_the_name_of_the_request(tmp_path: Path) -> None:
    link = tmp_path / "applet"
    link.symlink_to("/bin/sh")

    answer = call(program_path=str(link), argv=["-c", "echo $0"], stdout="text")

    assert isinstance(answer, dict)
    assert (answer["program"], answer["stdout"]) == (os.path.realpath("/bin/sh"), f"{link}\n")

    # A script learns from the kernel which file was started: not the link, which may have changed since.
    target = script(tmp_path / "target", "echo $0")
    alias = tmp_path / "alias"
    alias.symlink_to(target)
    answer = call(program_path=str(alias), stdout="text")
    assert isinstance(answer, dict)
    assert answer["stdout"] == f"{target}\n"


def test_a_program_that_is_missing_or_no_program_is_named(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("echo ran")
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    broken = script(tmp_path / "broken", "", interpreter="/does/not/exist")
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"\x7fELF garbage")
    garbage.chmod(0o755)

    for path, code in (
        (tmp_path / "none", "exec_program_missing"),
        (plain, "exec_program_not_executable"),
        (tmp_path, "exec_program_not_executable"),
        (broken, "exec_spawn_failed"),
        (garbage, "exec_spawn_failed"),
    ):
        assert refused(program_path=str(path)).code == code, path
    assert refused(program_path=str(loop)).code == "exec_program_missing"


def test_arguments_that_are_too_long_for_the_system_are_a_failure_to_start() -> None:
    fault = refused(program_path="/bin/true", argv=["x" * 200_000])

    assert (fault.code, fault.details["reason"]) == ("exec_spawn_failed", "E2BIG")


def test_a_secret_named_in_the_environment_reaches_the_program_of_a_local_plan_alone() -> None:
    named: Json = {"TOKEN": {"secret": "env:TOKEN", "prefix": "token="}}

    answer = shell('test "$TOKEN" = "token=$EXPECTED" && echo yes', env={**named, "EXPECTED": CANARY})  # type: ignore[dict-item]
    assert answer["stdout"] == "yes\n"

    settings = ExecSettings(allowed_paths=("/",))
    assert refused(FOREIGN, settings, program_path="/bin/true", env=named).code == "secret_not_allowed"


def test_an_answer_that_repeats_a_secret_is_refused() -> None:
    for stream in ("", " >&2"):
        fault = refused(
            program_path="/bin/sh",
            argv=["-c", f"echo is $TOKEN{stream}"],
            env={"TOKEN": {"secret": "env:TOKEN"}},
        )
        assert fault.code == "secret_echoed"
        assert CANARY not in str(fault)


def test_every_program_counts_as_an_effect() -> None:
    assert ExecTransport(ExecSettings(), secret).effectful({"kind": "run_program_v1"})


def test_answers_are_json() -> None:
    assert json.loads(json.dumps(shell("echo hello"))) == shell("echo hello")


def script(path: Path, body: str, interpreter: str = "/bin/sh") -> Path:
    path.write_text(f"#!{interpreter}\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path
