"""The examples in the help of every command."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from tests.cli.terminal import ROOT, cli
from worker.cli.application import EXAMPLES, build_application, help_text
from worker.cli.command_table import COMMANDS
from worker.cli.commands.run import command_for
from worker.workflow.templates.library import read_library

LIBRARY = read_library("shipped")
NAMES = ["", *COMMANDS, "run qwen-image-edit"]
WIDTH = 80


def examples_of(name: str) -> list[str]:
    """Return the examples that `--help` prints, as it prints them on a terminal of 80 columns."""
    done = cli(*name.split(), "--help", cwd=ROOT, COLUMNS=str(WIDTH))
    assert done.returncode == 0, done.stderr
    _, _, end = done.stdout.partition("\n Example")
    return [line.strip().removeprefix("$ ") for line in end.splitlines() if line.strip().startswith("$ ")]


def parse(line: str) -> None:
    """Parse an example as its shell and the command would. Raises Typer's errors for an option that does not exist."""
    words = shlex.split(re.sub(r"^source <\((.*)\)$", r"\1", line))
    words = words[: next((number for number, word in enumerate(words) if word in {">", "|"}), len(words))]
    assert words[0] == "comfy-worker"
    arguments = words[1:]
    command = get_command(build_application(arguments))
    context = command.make_context("comfy-worker", list(arguments))
    while rest := [*context._protected_args, *context.args]:
        _, command, rest = context.command.resolve_command(context, rest)
        context = command.make_context(command.name, rest, parent=context)


@pytest.mark.parametrize("name", NAMES)
def test_help_shows_examples_that_parse(name: str) -> None:
    """`--help` prints an example of the command in one line each, and each has only options that exist."""
    examples = examples_of(name)
    assert examples
    assert any(f"comfy-worker {name}".strip() in example for example in examples)
    for example in examples:
        parse(example)


@pytest.mark.parametrize("name", LIBRARY)
def test_every_template_has_an_example_that_parses(name: str) -> None:
    """`run NAME --help` has an example with the template's required parameters, which fits on 80 columns."""
    for example in command_for([name]).examples:
        assert len(example) < WIDTH - 4
        parse(example)


@pytest.mark.parametrize(
    "line",
    [
        "comfy-worker run smoke-resize --colour red",
        "comfy-worker deploy plan --image a@b --markdwon",
        "comfy-worker models brng flux-schnell",
        "comfy-worker nodes chek",
        "comfy-worker demo --gpus 99",
    ],
)
def test_a_wrong_example_does_not_parse(line: str) -> None:
    """An option, an action, a command or a value that does not exist fails the test above."""
    with pytest.raises(Exception, match=r"(?i)no such|input should be|'plan'"):
        parse(line)


def test_examples_name_templates_and_files_that_exist() -> None:
    """The first argument of `run` in an example is a template that is shipped, or a file of the reader's own."""
    lines = [line for name in ("", "run") for line in (EXAMPLES if not name else examples_of(name))]
    for line in lines:
        words = shlex.split(line)
        if words[1] == "run":
            assert words[2] in LIBRARY or words[2] == "workflow.json"


@pytest.mark.parametrize("line", ["comfy-worker run smoke-resize", "comfy-worker doctor", "comfy-worker templates"])
def test_an_example_runs_as_it_is(line: str, tmp_path: Path) -> None:
    """The examples that need nothing but the installed package run without an error."""
    done = cli(*shlex.split(line)[1:], cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_repeats_the_first_line_of_the_help(name: str) -> None:
    """The table of commands has the summary of each command's own docstring."""
    module = __import__(COMMANDS[name].module, fromlist=["command"])
    assert help_text(module.command).partition("\n")[0] == COMMANDS[name].summary


def test_the_list_of_commands_imports_none() -> None:
    """`comfy-worker --help` and `--version` import no command, so that they are quick."""
    import subprocess
    import sys

    program = (
        "import sys; sys.argv[1:] = ['--version']\n"
        "from worker.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in sys.modules if name.startswith('worker.cli.commands')])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.splitlines()[-1] == "[]"
