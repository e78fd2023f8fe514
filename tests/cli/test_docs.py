"""`docs/cli.md` says what the commands say."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import ROOT, cli
from worker.cli.command_table import COMMANDS

DOCS = (ROOT / "docs" / "cli.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["", *COMMANDS, "run flux-dev-lora"])
def test_the_help_is_the_documented_one(name: str, tmp_path: Path) -> None:
    """Each command's `--help`, as it is printed today."""
    arguments = [*name.split(), "--help"]
    said = cli(*arguments, cwd=tmp_path).stdout.strip("\n")
    block = f"$ comfy-worker {' '.join(arguments)}\n" + "\n".join(line.rstrip() for line in said.splitlines())
    assert block in DOCS


def test_every_command_has_one_line_in_the_help(tmp_path: Path) -> None:
    """The list is read at a glance, also on 80 columns."""
    lines = [line.strip("│ ") for line in cli("--help", cwd=tmp_path, COLUMNS="80").stdout.splitlines()]
    for name in [name for name in COMMANDS if " " not in name]:
        (line,) = [line for line in lines if line.startswith(f"{name} ")]
        assert line.endswith(".")
