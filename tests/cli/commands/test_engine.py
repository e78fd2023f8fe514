"""`comfy-worker engine` and the other commands that listen, the real commands."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import cli, environment


@pytest.mark.parametrize("name", ["engine", "serve"])
def test_a_port_in_use_ends_the_command(tmp_path: Path, name: str) -> None:
    """A command exits with code 1 and names the address and the reason when its port is in use."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = cli(name, "--port", port, cwd=tmp_path)
    assert done.returncode == 1
    message, step = done.stderr.strip().splitlines()[-2:]
    assert message.startswith(f"comfy-worker: cannot listen on 127.0.0.1:{port}: address already in use.")
    assert step == f"  → Run `comfy-worker {name} --port 0` to listen on a free port."
    assert name == "serve" or done.stderr.count("\n") == 2


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70000), ("192.0.2.1", 0), ("nowhere.invalid", 0)])
def test_an_invalid_address_is_rejected(tmp_path: Path, host: str, port: int) -> None:
    """The engine rejects a port above 65535, an address of another machine and an unknown host, without a traceback."""
    done = cli("engine", "--host", host, "--port", port, cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 2)
    assert done.stderr.startswith(f"comfy-worker: cannot listen on {host}:{port}: ")


def test_the_simulated_account_reports_a_port_in_use(tmp_path: Path) -> None:
    """`python -m worker.simulators.vast_account` exits with code 1 and names the address when its port is in use."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "worker.simulators.vast_account", port],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert f"cannot listen on 127.0.0.1:{port}: address already in use" in done.stderr
