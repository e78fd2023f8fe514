"""Every command of README and docs runs as it is shown, or the page marks what it needs."""

from __future__ import annotations

import ast
import json
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.docs.pages import NEEDS, PAGES, SHELL, Block, blocks_of
from tests.docs.shell_session import PORTS, matches, run_steps
from worker.cli.command_table import COMMANDS
from worker.engine.process.free_port import free_ports

LANGUAGES = frozenset({SHELL, "json", "python", "toml", "yaml", "text", "typescript", "http"})
BLOCKS = [block for page in PAGES for block in blocks_of(page)]
PARSERS: dict[str, Callable[[str], object]] = {
    "json": json.loads,
    "toml": tomllib.loads,
    "yaml": yaml.safe_load,
    "python": ast.parse,
}
EXIT = re.compile(r"# exit status (\d+)$")


def runnable(page: Path) -> list[Block]:
    """Return the blocks of a page whose commands tests can run."""
    return [
        block for block in blocks_of(page) if block.language == SHELL and not block.needs and "--help" not in block.text
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.label)
def test_every_block_names_its_language_and_what_it_needs(block: Block) -> None:
    """A block without a language would escape the other tests of this file."""
    assert block.language in LANGUAGES, f"{block.label} has the language {block.language!r}"
    assert not block.needs or block.needs in NEEDS, f"{block.label} needs {block.needs!r}, which is not in NEEDS"
    if block.language == SHELL:
        assert block.steps(), f"{block.label} has no command"


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language in PARSERS], ids=lambda block: block.label
)
def test_every_block_of_data_or_python_parses(block: Block) -> None:
    """JSON, TOML, YAML and Python examples are valid, with `…` in a string for what is left out."""
    PARSERS[block.language](block.text)


@pytest.mark.timeout(240)
@pytest.mark.parametrize("page", [page for page in PAGES if runnable(page)], ids=lambda page: page.name)
def test_the_commands_of_a_page_run_as_shown(page: Path, tmp_path: Path) -> None:
    """Each command of a page exits with 0, or the status in its comment, and prints the lines shown below it."""
    steps = [step for block in runnable(page) for step in block.steps()]
    for step, (status, output) in zip(steps, run_steps(steps, tmp_path, free_ports(len(PORTS))), strict=True):
        expected = EXIT.search(step.command)
        assert status == (int(expected[1]) if expected else 0), f"$ {step.command}\n{output}"
        missing = matches(step.output, output)
        assert not missing, f"$ {step.command}\ndoes not print: {missing}\nbut:\n{output}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_not_run_exist(page: Path) -> None:
    """`comfy-worker COMMAND` in a text or in a marked block names a command that exists."""
    words = {name for command in COMMANDS for name in command.split()}
    for name in re.findall(r"(?:`|\$ |&& )comfy-worker ([a-z][a-z-]+)", page.read_text("utf-8")):
        assert name in words, f"{page.name} names the command {name!r}"
