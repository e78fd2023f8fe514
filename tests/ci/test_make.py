"""The commands of `make run`, `make deploy` and `make smoke`."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.ci.workflows import ROOT


def make(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Return the commands that a target would run, with a ready virtual environment."""
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
        (("run", "ON=modal"), "demo --on modal --out out"),
        (("run",), "demo --out out"),
        (("smoke", "ENDPOINT=comfy"), "run smoke-resize --vast-endpoint comfy --out out"),
        (
            ("smoke", "ENDPOINT=comfy", "SMOKE=sdxl", "VAST_URL=http://127.0.0.1:1"),
            "run sdxl --vast-endpoint comfy --vast-url http://127.0.0.1:1 --out out",
        ),
    ],
)
def test_make_passes_only_what_is_given(arguments: tuple[str, ...], command: str) -> None:
    """The command has an option only if its variable was given."""
    words = [word for word in make(*arguments).stdout.split() if word != "\\"]
    assert words == [".venv/bin/comfy-worker", *command.split()]


def test_smoke_needs_an_endpoint() -> None:
    """`make smoke` without an endpoint is an error."""
    done = make("smoke")
    assert done.returncode != 0
    assert "make smoke ENDPOINT=NAME" in done.stderr
