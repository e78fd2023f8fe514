"""`comfy-worker onstart`, the real command: the worker in the background, once, with the environment of this start."""

from __future__ import annotations

import os
import re
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import command
from tests.engines import EngineHandle
from worker.cli.hosting.container_environment import merged_environment, read_saved
from worker.engine.process.free_port import free_port

ME = str(os.getuid())


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False


def holder(state: Path) -> int:
    return int((state / "worker.lock").read_text())


@pytest.fixture
def started(engine: EngineHandle, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The settings of a worker that onstart has started; it is ended by its process's id."""
    env = {  # not Vast's, or this machine's /etc would get the certificate's links
        "WORKER_COMFYUI": engine.url,
        "WORKER_STATE": str(tmp_path / "state"),
        "WORKER_GATEWAY_PORT": str(free_port()),
        "WORKER_PLATFORM": "none",
    }
    # The worker's current folder is its state folder, where any job may have left a file of such a name.
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "aiohttp.py").write_text("raise SystemExit('imported from the current folder')")
    began = time.monotonic()
    done = command("onstart", "--user", ME, cwd=tmp_path, **env)
    assert (done.returncode, time.monotonic() - began < 30) == (0, True), done.stderr
    yield env
    pid = holder(tmp_path / "state")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not Path(f"/proc/{pid}").exists() or "zombie" in Path(f"/proc/{pid}/status").read_text())


def test_onstart_returns_and_the_worker_runs(started: dict[str, str], tmp_path: Path) -> None:
    """The worker responds, logs, and is restarted after a kill. A second call starts no second worker."""
    port, state = int(started["WORKER_GATEWAY_PORT"]), tmp_path / "state"
    until(lambda: alive(port))
    log = state / "worker.log"
    until(lambda: log.exists() and f"listening on http://127.0.0.1:{port}" in log.read_text())  # it is written late
    before = holder(state)
    done = command("onstart", "--user", ME, cwd=tmp_path, **started)
    assert (done.returncode, "runs already" in done.stdout, holder(state)) == (0, True, before)
    [parent] = children(before)
    [worker] = children(parent)
    os.kill(worker, signal.SIGKILL)
    until(lambda: children(parent) not in ([], [worker]))
    until(lambda: alive(port))
    assert "by signal 9; starting it again" in log.read_text()


def test_an_unknown_user_is_rejected(tmp_path: Path) -> None:
    """An unknown user is an error, so that the worker does not run as root."""
    if os.getuid() != 0:
        pytest.skip("only root changes who it is")
    done = command("onstart", "--user", "no-such-user", cwd=tmp_path, WORKER_STATE=str(tmp_path / "state"))
    assert (done.returncode, "there is no user 'no-such-user'" in done.stderr) == (1, True)
    assert not (tmp_path / "state").exists()


def test_process_one_has_the_current_environment(tmp_path: Path) -> None:
    """The variables of process 1 take precedence over outdated ones in /etc/environment and in a login shell."""
    saved = tmp_path / "environment"
    saved.write_text(
        '# once\nPUBLIC_IPADDR=198.51.100.1\nexport WORKER_MODELS="sdxl, flux"\nHF_TOKEN=a=b\nnot a line\n', "utf-8"
    )
    old = read_saved(saved)
    assert old == {"PUBLIC_IPADDR": "198.51.100.1", "WORKER_MODELS": "sdxl, flux", "HF_TOKEN": "a=b"}
    first = {"PUBLIC_IPADDR": "203.0.113.7", "VAST_TCP_PORT_3000": "41000", "WORKER_RESTARTS": "5"}
    found = merged_environment(
        {"PUBLIC_IPADDR": "198.51.100.1", "WORKER_RESTARTS": "9"}, first, old, ("PUBLIC_IPADDR", "VAST_")
    )
    assert found == {
        "PUBLIC_IPADDR": "203.0.113.7",
        "VAST_TCP_PORT_3000": "41000",
        "WORKER_RESTARTS": "9",
        "WORKER_MODELS": "sdxl, flux",
        "HF_TOKEN": "a=b",
    }
    assert read_saved(tmp_path / "none") == {}


def test_the_log_is_bounded(tmp_path: Path) -> None:
    """The log keeps the last two pieces, and the exit code is that of the program."""
    import subprocess
    import sys

    from worker.cli.hosting import log_writer

    book, log = log_writer.__file__, tmp_path / "worker.log"
    says = "import sys\nfor n in range(2000): print('line', n)\nsys.exit(7)"
    command = [sys.executable, "-I", "-S", book, str(log), "4000", sys.executable, "-u", "-c", says]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (7, 2000)
    kept = [path.stat().st_size for path in tmp_path.iterdir()]
    assert sum(kept) < 2000 * 10
    assert len(kept) <= 2
    numbers = re.findall(r"line (\d+)", "".join(path.read_text() for path in tmp_path.iterdir()))
    assert "1999" in numbers


def children(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
