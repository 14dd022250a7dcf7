"""Help and completion: every verb shows what it takes with an example, and shells accept the scripts."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.base.part import Command
from interlock.surfaces.application import load
from interlock.surfaces.cli.main import main
from interlock.surfaces.part import PART as SURFACES
from tests.surfaces.process import PRODUCT, run
from tests.surfaces.product import prepare, start_hello
from tests.surfaces.toy import APPLICATION, TOY

Captured = pytest.CaptureFixture[str]
VERBS = [*TOY.commands, *SURFACES.commands]


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("command", VERBS, ids=lambda command: command.name)
def test_the_help_of_every_verb_ends_with_its_example(capsys: Captured, command: Command) -> None:
    assert main([*command.name.split("."), "--help"], APPLICATION) == 0

    shown = capsys.readouterr().out
    assert command.summary in shown
    assert shown.rstrip().endswith(f"Example: {command.example}")
    assert "--json" in shown
    uses_store = not command.machine or "store" in command.input.__struct_encode_fields__
    assert ("INTERLOCK_STORE" in shown) is uses_store


@pytest.mark.parametrize(
    ("words", "options"),
    [
        (["help"], ["--help"]),
        (["help", "counter"], ["counter", "--help"]),
        (["help", "counter", "add"], ["counter", "add", "--help"]),
        (["version"], ["--version"]),
    ],
)
def test_help_and_version_may_be_asked_for_in_words(capsys: Captured, words: list[str], options: list[str]) -> None:
    assert main(options, APPLICATION) == 0
    expected = capsys.readouterr().out

    assert main(words, APPLICATION) == 0
    assert capsys.readouterr().out == expected != ""


def test_help_shows_bounds_choices_defaults_and_descriptions(capsys: Captured) -> None:
    assert main(["counter", "add", "-h"], APPLICATION) == 0

    shown = capsys.readouterr().out
    for words in (
        "How many to add. (1 to 100) [default: 1]",
        "[choices: fast, safe]",
        "JSON|@FILE|-",
        "The name of a counter. [required]",
    ):
        assert words in shown


def test_help_lists_nouns_with_their_verbs_and_the_verbs_of_the_machine(capsys: Captured) -> None:
    assert main(["--help"], APPLICATION) == 0

    shown = capsys.readouterr().out
    assert "add, list, fail, touch, end, sleep, whoami" in shown
    assert "canonical" in shown


def test_the_help_of_a_noun_groups_its_verbs_and_names_each_once(tmp_path: Path) -> None:
    shown = run("run", "--help", program=PRODUCT, folder=tmp_path).text

    places = [shown.index(words) for words in ("Start and drive", "Look", "Tell and change")]
    assert places == sorted(places)
    assert shown.index("status") > places[1]
    assert len(re.findall(r"\bresolve ", shown)) == 1


def test_usage_names_what_is_needed_and_in_brackets_what_is_not(tmp_path: Path) -> None:
    assert (
        "Usage: interlock run signal RUN [STEP] [NAME] [OPTIONS]"
        in run("run", "signal", "-h", program=PRODUCT, folder=tmp_path).text
    )
    fork = run("run", "fork", "-h", program=PRODUCT, folder=tmp_path).text
    assert "--from STEP" in fork
    assert "--absorb KEY" in fork


@pytest.mark.parametrize("line", [[], ["counter"]])
def test_a_line_without_a_verb_is_wrong_usage_and_shows_help(capsys: Captured, line: list[str]) -> None:
    assert main(line, APPLICATION) == 2
    assert "Usage: interlock" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys: Captured) -> None:
    import interlock

    assert main(["--version"], APPLICATION) == 0
    assert capsys.readouterr().out.strip() == interlock.__version__


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_every_noun_verb_and_option(tmp_path: Path, shell: str) -> None:
    script = run("completion", shell, folder=tmp_path).text

    for word in ("counter", "whoami", "canonical", "dry-run", "store", "safe"):
        assert word in script


def test_bash_reads_the_completion_script(tmp_path: Path) -> None:
    script = run("completion", "bash", folder=tmp_path).text
    asked = f"""{script}
COMP_WORDS=(interlock counter a); COMP_CWORD=2; COMP_LINE='interlock counter a'; COMP_POINT=19
_interlock >/dev/null 2>&1; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run([shutil.which("bash") or "bash"], input=asked, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["add"]


def completed(folder: Path, *words: str) -> list[str]:
    """What bash offers for the last word of a line."""
    script = run("completion", "bash", program=PRODUCT, folder=folder).text
    quoted = " ".join(map(shlex.quote, words))
    asked = f"""{script}
COMP_WORDS=({shlex.quote(str(program(folder)))} {quoted}); COMP_CWORD={len(words)}
_interlock 2>/dev/null; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    # From a file, as a shell reads it: the script is longer than an argument of a program may be.
    script_file = folder / ".completion"
    script_file.write_text(asked)
    line = [shutil.which("bash") or "bash", str(script_file)]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=True)
    return [each for each in done.stdout.split("\n") if each]


def program(folder: Path) -> Path:
    """The product as a program that a script can call."""
    path = folder / ".program"
    path.write_text(f'#!/bin/sh\nexec {shlex.join(PRODUCT)} "$@"\n')
    path.chmod(0o700)
    return path


@pytest.mark.parametrize(
    "line",
    [
        ("run", "start", "a"),
        ("run", "start", "x.py:plan", "--input-file", "a"),
        ("run", "lint", "one.yaml", "a"),
        ("run", "list", "--store", "a"),
        ("run", "list", "--config", "a"),
        ("pack", "verify", "a"),
        ("pack", "verify", "x.pack", "--trust", "a"),
        ("pack", "sign", "x.pack", "--key", "a"),
        ("pack", "export", "--out", "a"),
        ("key", "new", "--out", "a"),
    ],
)
def test_bash_completes_files_where_an_argument_names_one(tmp_path: Path, line: tuple[str, ...]) -> None:
    (tmp_path / "a plan.yaml").touch()
    (tmp_path / "another").mkdir()
    (tmp_path / "other").touch()

    assert sorted(completed(tmp_path, *line)) == ["a plan.yaml", "another"]


def test_bash_completes_runs_of_the_store_that_the_line_means(tmp_path: Path) -> None:
    started = start_hello(prepare(tmp_path))["run_id"]

    for line in (("run", "status"), ("run", "diff"), ("pack", "export", "--run"), ("run", "list", "--parent")):
        assert completed(tmp_path, *line, "") == [started], line
    assert completed(tmp_path, "run", "status", started[:8]) == [started]
    assert completed(tmp_path, "run", "status", "zz") == []
    there = str(tmp_path / ".interlock" / "store.db")
    (tmp_path / "else").mkdir()
    assert completed(tmp_path / "else", "run", "status", "--store", there, "") == [started]


def test_a_store_that_is_missing_or_broken_completes_nothing_and_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.db").write_text("no store")

    for store in ("nowhere.db", "broken.db", "postgresql://nobody@127.0.0.1:1/x"):
        done = run("__complete", "run", "status", "--store", store, "", program=PRODUCT, folder=tmp_path)
        assert (done.code, done.text.split("begin")[1].strip(), done.err) == (0, "", "")
    assert [path.name for path in tmp_path.iterdir()] == ["broken.db"]


@pytest.mark.parametrize(("shell", "files"), [("zsh", "_files"), ("fish", "-F")])
def test_other_shells_complete_files_and_ask_for_runs(tmp_path: Path, shell: str, files: str) -> None:
    script = run("completion", shell, program=PRODUCT, folder=tmp_path).text

    assert "__complete" in script
    assert re.search(rf"input-file .*{files}|input-file\[.*{files}", script)


def test_the_example_of_every_command_of_the_product_is_a_line_that_it_takes() -> None:
    from interlock.surfaces.cli.build import Invocation, build

    catalogue = load().catalogue()
    app = build(catalogue)
    for command in catalogue:
        line = command.example.rpartition("interlock ")[2].partition(" > ")[0]
        found = app(shlex.split(line), exit_on_error=False, print_error=False, result_action="return_value")
        assert isinstance(found, Invocation), command.name
        assert found.command is command


def test_asking_for_help_loads_no_library_that_only_a_run_needs() -> None:
    program = (
        "import sys; from interlock.surfaces.cli.main import main; main(['--help']); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert not {"cryptography", "httpx2"} & set(done.stderr.split())


def test_an_answer_into_a_pipe_loads_no_library_that_draws(tmp_path: Path) -> None:
    program = (
        "import sys; from tests.surfaces.toy import APPLICATION; "
        "from interlock.surfaces.cli.main import main; "
        "main(['counter', 'whoami', '--store', 's'], APPLICATION); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    root = Path(__file__).resolve().parents[2]
    (tmp_path / "s").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r}); {program}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    assert "actor" in done.stdout
    assert "rich" not in done.stderr.split()
