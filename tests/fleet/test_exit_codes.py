"""A command that Vast rejects exits with a code that stops a pipeline (T41)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import cli, environment
from tests.fleet.wishes import FLEET, IMAGE, VALUES
from worker.cli.command_table import COMMANDS
from worker.simulators.vast_account import LocalAccount

WRONG = "wrong-key"
NEEDED = {"plan": ("--image", IMAGE), "apply": ("--image", IMAGE), "destroy": ("--yes",), "adopt": ("comfy",)}
SUBCOMMANDS = [name.removeprefix("deploy ") for name in COMMANDS if name.startswith("deploy ")]
SUBCOMMANDS.remove("init")
"""It only writes the file."""


def test_vasts_own_command_exits_with_0_on_errors(local: LocalAccount, tmp_path: Path) -> None:
    """Vast's own command is rejected, creates nothing, and exits with 0."""
    create = ("create", "endpoint", "--endpoint_name", "comfy", "--url", local.url, "--api-key", WRONG)
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "VASTAI_NO_UPDATE_CHECK": "1"}
    done = subprocess.run(
        [sys.executable, "-c", "from vastai.cli.main import main; main()", *create],
        env=environment(**home),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "Failed with error 401" in done.stderr
    assert local.holdings.endpoints == {}
    assert done.returncode == 0


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_a_refusal_is_an_exit_code(name: str, local: LocalAccount, tmp_path: Path) -> None:
    """Every command that Vast rejects prints the reason and exits with 1."""
    (tmp_path / "vast.toml").write_text(FLEET, "utf-8")
    given = {**VALUES, "VAST_API_KEY": WRONG}
    done = cli("deploy", name, *NEEDED.get(name, ()), "--server-url", local.url, cwd=tmp_path, **given)
    assert len(list(local.record.calls)) == 1
    assert "invalid user key" in done.stderr
    assert done.returncode == 1
