"""What `make deploy` and `make smoke` hand to the command."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.ci.workflows import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What would be run, with the virtual environment taken for ready, and whoever runs the tests unseen."""
    command = ("make", "--no-print-directory", "--dry-run", "--old-file=.venv/.ready", *arguments)
    env = {
        name: value for name, value in os.environ.items() if name not in {"IMAGE", "MAKEFLAGS", "MAKELEVEL", "MFLAGS"}
    }
    return subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (("deploy",), "deploy apply --file vast.toml"),
        (("deploy", "FLEET=other.toml", "IMAGE=a@sha256:b"), "deploy apply --file other.toml --image a@sha256:b"),
        (("smoke", "ENDPOINT=comfy"), "run smoke-resize --vast-endpoint comfy --out out"),
        (
            ("smoke", "ENDPOINT=comfy", "SMOKE=sdxl", "VAST_URL=http://127.0.0.1:1"),
            "run sdxl --vast-endpoint comfy --vast-url http://127.0.0.1:1 --out out",
        ),
    ],
)
def test_the_command_is_what_was_asked_for(arguments: tuple[str, ...], command: str) -> None:
    """An image is named only where somebody named one: the default is for builds on this machine."""
    assert make(*arguments).stdout.split() == [".venv/bin/comfy-worker", *command.split()]


def test_a_request_to_nobody_is_refused() -> None:
    """Before anything is sent."""
    done = make("smoke")
    assert done.returncode != 0
    assert "make smoke ENDPOINT=NAME" in done.stderr
