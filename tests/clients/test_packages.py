"""The wheel and redial.pyz build without a network and run; completion works in a shell; the sample receiver runs."""

import importlib.util
import json
import os
import runpy
import select
import shutil
import subprocess
import sys
import tomllib
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests
from standardwebhooks import Webhook

import redial_client
from redial import __version__
from redial_client.cli import main
from redial_client.cli.completion import SCRIPTS, candidates
from redial_client.cli.parser import BREAKDOWNS, COMMANDS, GROUPS, OUTCOMES, SHELLS, build
from tests.clients.conftest import Run
from tests.support.template import ROOT

CLIENT = ROOT / "clients/python"
BUILD = runpy.run_path(str(CLIENT / "build.py"))
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


def test_there_is_one_version() -> None:
    project = tomllib.loads((CLIENT / "pyproject.toml").read_text())["project"]
    assert project["version"] == redial_client.__version__ == __version__
    required = {name.partition(">=")[0] for name in project["dependencies"]}
    assert required <= set(BUILD["PACKAGES"])


def test_the_pyz_runs_alone(tmp_path: Path) -> None:
    """Python starts without its site-packages, so no other package is available."""
    pyz = BUILD["build_pyz"](tmp_path)
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "PATH": os.environ["PATH"]}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", "-S", str(pyz), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    refused = run("login", "--url", "http://127.0.0.1:1", "--key", "x", "--json")
    assert (refused.returncode, json.loads(refused.stdout)["exit_code"]) == (6, 6)
    profiles = tmp_path / "redial/profiles.json"
    profiles.parent.mkdir()
    profiles.write_text('{"current": "a", "profiles": {"a": {"url": "http://127.0.0.1:1", "api_key": "x"}}}')
    assert "http://127.0.0.1:1" in run("profile", "list").stdout, "rich is in it"


@pytest.mark.skipif(importlib.util.find_spec("uv") is None, reason="uv could not be installed here")
def test_the_wheel_has_the_command(tmp_path: Path) -> None:
    wheel = BUILD["build_wheel"](tmp_path)
    with zipfile.ZipFile(wheel) as built:
        names = built.namelist()
        (entry_points,) = (built.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "redial = redial_client.cli:main" in entry_points.replace("\n", " ")
    modules = {str(path.relative_to(CLIENT)) for path in CLIENT.glob("redial_client/**/*.py")}
    assert modules | {"redial_client/py.typed"} == {name for name in names if name.endswith((".py", ".typed"))}


# ---- completion -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ([""], sorted([name for name, *_ in COMMANDS] + [name for name, *_ in GROUPS])),
        (["pl"], ["plan"]),
        (["batch", "p"], ["pause", "preflight"]),
        (["--profile", "o", "batch", "p"], ["pause", "preflight"]),
        (["call", "--retry-"], ["--retry-after", "--retry-on", "--retry-voicemail"]),
        (["stats", "--by", ""], sorted(BREAKDOWNS)),
        (["trigger", "no-answer", "b"], ["busy"]),
        (["trigger", ""], sorted(OUTCOMES)),
        (["completion", ""], sorted(SHELLS)),
        (["profile", "use", ""], ["here", "there"]),
        (["stats", "--profile", "t"], ["there"]),
        (["call", "+1202"], []),
        (["batch", "create", ""], []),
    ],
)
def test_completion_knows_commands_options_choices_and_profiles(
    words: list[str], found: list[str], settings: Path
) -> None:
    settings.parent.mkdir(parents=True)
    one = {"url": "http://127.0.0.1:1", "api_key": "x"}
    settings.write_text(json.dumps({"current": "here", "profiles": {"here": one, "there": one}}))
    assert candidates(words) == found


@pytest.mark.parametrize("shell", SHELLS)
def test_completion_scripts_are_printed(shell: str, run: Run) -> None:
    done = run("completion", shell)
    assert (done.code, done.out) == (0, SCRIPTS[shell])
    assert run("completion", shell, "--json").json == {"shell": shell, "script": SCRIPTS[shell]}


def _shell(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name} here")
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A shell's environment: `redial` on the PATH, a home of its own, one file of contacts in the working folder."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin/redial"
    command.write_text(f'#!/bin/sh\nPYTHONPATH={CLIENT} exec {sys.executable} -m redial_client.cli "$@"\n')
    command.chmod(0o755)
    (tmp_path / "work").mkdir()
    (tmp_path / "work/preflight-contacts.csv").touch()
    own = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config"), "TERM": "dumb"}
    return {**os.environ, **own, "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}


def test_bash_completes(environment: dict[str, str]) -> None:
    script = (
        f"{SCRIPTS['bash']}\nCOMP_WORDS=(redial batch pre); COMP_CWORD=2; _redial\n"
        'echo "${COMPREPLY[*]}"; COMP_WORDS=(redial ""); COMP_CWORD=1; _redial; echo "${#COMPREPLY[@]}"'
    )
    done = subprocess.run([_shell("bash"), "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["preflight", str(len(COMMANDS) + len(GROUPS))]


def test_fish_completes(environment: dict[str, str], tmp_path: Path) -> None:
    installed = tmp_path / "config/fish/completions/redial.fish"
    installed.parent.mkdir(parents=True)
    installed.write_text(SCRIPTS["fish"])
    typed = ("batch p", "", "stats --by h", "batch create p")
    script = "\n".join(f"complete -C 'redial {one}'; echo ." for one in typed)
    command = [_shell("fish"), "-c", script]
    done = subprocess.run(
        command, env=environment, cwd=tmp_path / "work", capture_output=True, text=True, check=True, timeout=60
    )
    commands = sorted([name for name, *_ in COMMANDS] + [name for name, *_ in GROUPS])
    expected = [["pause", "preflight"], commands, ["hour"], ["preflight-contacts.csv"]]
    assert [one.split() for one in done.stdout.split(".\n")[:-1]] == expected


@pytest.mark.parametrize(
    ("before", "after"), [("fpath=(~ $fpath)", ""), ("", 'eval "$(redial completion zsh)"')], ids=["fpath", "eval"]
)
def test_zsh_completes_what_is_typed(before: str, after: str, environment: dict[str, str], tmp_path: Path) -> None:
    """The completion is a file in $fpath, or is evaluated after compinit; zsh completes only in a terminal."""
    zsh = _shell("zsh")
    (tmp_path / "_redial").write_text(SCRIPTS["zsh"])
    keyboard, terminal = os.openpty()
    with (
        os.fdopen(keyboard, "r+b", buffering=0) as screen,
        subprocess.Popen(
            [zsh, "-f", "-i"],
            env=environment,
            cwd=tmp_path / "work",
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            start_new_session=True,
        ) as shell,
    ):
        os.close(terminal)

        def shown(typed: str, expected: str) -> None:
            """Type, and read until the screen shows the expected text; after 30 seconds of silence, fail with what it
            shows."""
            screen.write(typed.encode())
            seen = ""
            while expected not in seen:
                assert select.select([screen], [], [], 30)[0], seen
                seen += screen.read(9999).decode()

        try:
            shown(f"{before}\nautoload -Uz compinit; compinit -u -D\n{after}\nPS1=rea'dy> '\n", "ready> ")
            shown("redial batch pre\t", "redial batch preflight ")
            shown("\x15redial stats --by h\t", "redial stats --by hour ")
            shown("\x15redial batch create p\t", "redial batch create preflight-contacts.csv ")
            shown("\x15redial batch p\t", "preflight\r\n")
        finally:
            shell.kill()


def test_every_command_has_a_function() -> None:
    """Each command's `run` names a function, and each help lists the common options."""
    parser = build()
    every = [(name, run) for name, run, *_ in COMMANDS]
    every += [(f"{name} {part}", run) for name, _, parts in GROUPS for part, run, *_ in parts]
    assert len(every) > 25
    for _, run in every:
        module, _, function = run.partition(":")
        assert callable(getattr(importlib.import_module(f"redial_client.cli.{module}"), function))
    assert parser.prog == "redial"


def test_the_module_runs_as_a_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["redial", "completion", "fish"])
    with pytest.raises(SystemExit) as end:
        runpy.run_module("redial_client.cli", run_name="__main__")
    assert end.value.code == 0 and main(["completion", "zsh"]) == 0


def test_a_reader_that_ends_is_no_error_to_report() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-m", "redial_client.cli", "completion", "bash"]
    environment = {**os.environ, "PYTHONPATH": str(CLIENT)}
    with os.fdopen(writing, "w") as stdout:
        done = subprocess.run(command, env=environment, stdout=stdout, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")


# ---- sample receiver ------------------------------------------------------------------------------------------------


def test_the_sample_receiver_accepts_each_event_once() -> None:
    command = [sys.executable, str(CLIENT / "examples/receiver.py"), SECRET, "0"]
    environment = {**os.environ, "PYTHONPATH": str(CLIENT)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as receiver:
        try:
            assert receiver.stdout is not None
            url = receiver.stdout.readline().split()[-1]
            body, now = json.dumps({"type": "execution.queued"}), datetime.now(UTC)
            headers = {
                "webhook-id": "e-1",
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(SECRET).sign("e-1", now, body),
            }
            statuses = [
                requests.post(url, sent, headers=headers, timeout=10).status_code for sent in (body, body, "{}")
            ]
            lines = [receiver.stdout.readline().split(":")[0] for _ in statuses]
        finally:
            receiver.terminate()
    assert (statuses, lines) == ([204, 204, 400], ["execution.queued", "again", "refused"])
