"""The help of the commands in docs/cli.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, cli
from worker.cli.command_table import COMMANDS

DOCS = (ROOT / "docs" / "cli.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["", *COMMANDS, "run flux-dev-lora"])
def test_the_docs_have_the_help_of_each_command(name: str, tmp_path: Path) -> None:
    """docs/cli.md has the output of each command's `--help`."""
    arguments = [*name.split(), "--help"]
    text = cli(*arguments, cwd=tmp_path).stdout.strip("\n")
    block = f"$ comfy-worker {' '.join(arguments)}\n" + "\n".join(line.rstrip() for line in text.splitlines())
    assert block in DOCS


def test_the_list_has_one_line_for_each_command(tmp_path: Path) -> None:
    """Each command has one line in `comfy-worker --help` on 80 columns."""
    lines = [line.strip("│ ") for line in cli("--help", cwd=tmp_path, COLUMNS="80").stdout.splitlines()]
    for name in [name for name in COMMANDS if " " not in name]:
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert line.endswith(".")
