"""Completion of command lines in bash, zsh and fish, typed into the real shells."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, cli, environment
from worker.cli.shell_completion import SCRIPTS, completed_arguments
from worker.workflow.templates.library import read_library

PROGRAMS = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
SHELLS = {
    "bash": ("bash", "--norc", "--noprofile", "-i"),
    "zsh": ("zsh", "-f", "-i"),
    "fish": ("fish", "--no-config"),
}
LOADS = {
    "bash": "source <(comfy-worker completion bash)",
    "zsh": "autoload -U compinit && compinit -u -D && source <(comfy-worker completion zsh)",
    "fish": "comfy-worker completion fish | source",
}
TYPED = [
    ("comfy-worker valid", "validate"),
    ("comfy-worker deploy roll", "rollback"),
    ("comfy-worker templates show flux-sch", "flux-schnell"),
    ("comfy-worker run flux-schnell --wid", "--width"),
    ("comfy-worker models plan instant", "instantid"),
    ("comfy-worker nodes update RES4", "RES4LYF"),
    ("comfy-worker convert my-draw", "my-drawing.json"),
]
"""Pairs of the text typed before TAB and a word on the screen afterwards."""


class Shell:
    """An interactive shell in a terminal."""

    def __init__(self, master: int) -> None:
        self._master = master

    def type(self, text: str) -> None:
        """Send keys."""
        os.write(self._master, text.encode())

    def read_until(self, text: str, seconds: float = 60.0) -> str:
        """Return the output up to this text. Fails after a timeout."""
        output, end = "", time.monotonic() + seconds
        while text not in output:
            ready, _, _ = select.select([self._master], [], [], max(end - time.monotonic(), 0))
            assert ready, f"{text!r} is not in {output!r}"
            output += os.read(self._master, 65536).decode(errors="replace")
        return output


@contextmanager
def shell(name: str, folder: Path) -> Iterator[Shell]:
    """Yield a shell with the completion script loaded."""
    env = environment(PATH=PROGRAMS, HOME=str(folder), TERM="dumb" if name == "bash" else "xterm", PS1="READY> ")
    master, terminal = pty.openpty()
    process = subprocess.Popen(
        SHELLS[name], cwd=folder, env=env, stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    )
    os.close(terminal)
    opened = Shell(master)
    try:
        opened.type(f"{LOADS[name]}; echo load''ed\n")
        opened.read_until("loaded")
        yield opened
    finally:
        os.close(master)
        process.kill()
        process.wait()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workflow file and with pins."""
    (tmp_path / "my-drawing.json").write_text("{}")
    (tmp_path / "comfyui_nodes.txt").write_text((ROOT / "comfyui_nodes.txt").read_text("utf-8"))
    return tmp_path


def check_typed_lines(name: str, folder: Path) -> None:
    """Type each line of TYPED and TAB, and wait for the completed word."""
    with shell(name, folder) as opened:
        for line, word in TYPED:
            opened.type(f"{line}\t")
            opened.read_until(word[len(line.split()[-1]) :] if name == "bash" else word)
            opened.type("\x15")  # deletes the line


@pytest.mark.timeout(240)
def test_bash_completes(folder: Path) -> None:
    """Bash completes commands, options, templates, node packs and files."""
    check_typed_lines("bash", folder)


@pytest.mark.timeout(240)
@pytest.mark.tools("zsh")
def test_zsh_completes(folder: Path) -> None:
    """Zsh completes commands, options, templates, node packs and files."""
    check_typed_lines("zsh", folder)


@pytest.mark.timeout(240)
@pytest.mark.tools("fish")
def test_fish_completes(folder: Path) -> None:
    """Fish completes commands, options, templates, node packs and files."""
    lines = "; ".join(f"complete -C '{line}'" for line, _ in TYPED)
    done = subprocess.run(
        [*SHELLS["fish"], "-c", f"{LOADS['fish']}; {lines}"],
        cwd=folder,
        env=environment(PATH=PROGRAMS, HOME=str(folder)),
        capture_output=True,
        text=True,
        check=True,
    )
    words = {line.partition("\t")[0] for line in done.stdout.splitlines()}
    assert {word for _, word in TYPED} <= words


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_script_is_printed(name: str, tmp_path: Path) -> None:
    """`completion SHELL` prints the script of that shell; another shell is rejected with the three names."""
    assert cli("completion", name, cwd=tmp_path).stdout == SCRIPTS[name]
    done = cli("completion", "tcsh", cwd=tmp_path)
    assert done.returncode == 2
    assert all(shell_name in done.stderr for shell_name in SCRIPTS)


def complete(line: str, folder: Path, **env: str) -> list[str]:
    """Return the words that the command offers to bash for a line."""
    words = line.split(" ")
    variables = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    done = cli(cwd=folder, _COMFY_WORKER_COMPLETE="complete_bash", **variables, **env)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_broken_template_does_not_disturb(folder: Path) -> None:
    """A template that cannot be read gives no words, and prints nothing into the line."""
    (folder / "bad.json").write_text("{}")
    (folder / "bad.toml").write_text("x")
    assert complete("comfy-worker templates show fl", folder, WORKER_TEMPLATES=str(folder)) == []


def test_all_templates_are_offered(folder: Path) -> None:
    """TAB without a letter lists every template, also one of the user's own folder."""
    (folder / "mine.json").write_text((ROOT / "workflows" / "smoke-resize.json").read_text())
    (folder / "mine.toml").write_text((ROOT / "workflows" / "smoke-resize.toml").read_text())
    words = complete("comfy-worker run ", folder, WORKER_TEMPLATES=f"shipped,{folder}")
    assert set(words) == {*read_library("shipped"), "mine"}


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        ("comfy-worker ", []),
        ("comfy-worker dep", []),
        ("comfy-worker deploy ", ["deploy"]),
        ("x run a b", ["run", "a"]),
    ],
)
def test_the_complete_words_of_a_line(line: str, arguments: list[str]) -> None:
    """The words before the cursor select the command that is imported, for the protocols of all shells."""
    words = line.split(" ")
    bash = {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(len(words) - 1)}
    for variables in (bash, {"_TYPER_COMPLETE_ARGS": line}):
        assert completed_arguments({"_COMFY_WORKER_COMPLETE": "complete", **variables}) == arguments
    assert completed_arguments({}) is None
