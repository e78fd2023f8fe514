"""`comfy-worker engine` and the other commands that listen, the real commands."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import cli, environment


@pytest.mark.parametrize("name", ["engine", "serve"])
def test_a_port_in_use_is_one_line(tmp_path: Path, name: str) -> None:
    """A command that can't listen ends with code 1 and one line that names the address and the reason."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli(name, "--port", port, cwd=tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last == (
        f"comfy-worker: cannot listen on 127.0.0.1:{port}: address already in use."
        " Choose another port; 0 takes a free one."
    )
    assert "Traceback" not in done.stderr
    assert name == "serve" or done.stderr.count("\n") == 1


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("192.0.2.1", 0), ("nowhere.invalid", 0)])
def test_an_address_that_is_none_is_one_line(tmp_path: Path, host: str, port: int) -> None:
    """A port above 65535, an address of another machine and a host without an address are refused in one line."""
    done = cli("engine", "--host", host, "--port", port, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"comfy-worker: cannot listen on {host}:{port}: ")


def test_the_simulated_account_says_that_its_port_is_in_use(tmp_path: Path) -> None:
    """`python -m worker.simulators.vast_account` ends with one line, too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "worker.simulators.vast_account", port],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=25,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"cannot listen on 127.0.0.1:{port}: address already in use" in done.stderr
