"""`comfy-worker` without the time of its imports: one process imports everything, and each call is a fork of it.

A call is still a process with its own arguments, environment, folder, streams, logging, signals and exit code. It does
not test the start of Python and the import of modules. `command` in `terminal.py` is for tests that need these.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).parents[2]
PIECE = 65536


class Forks:
    """The process that has imported everything."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._control, theirs = socket.socketpair()
        self._sending = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.cli.forks", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def close(self) -> None:
        self._control.close()
        self._process.wait()

    def run(
        self, arguments: Sequence[str], cwd: Path, env: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[str]:
        """Run the command and return its result. Raises subprocess.TimeoutExpired after killing it."""
        request = json.dumps({"arguments": arguments, "cwd": str(cwd), "env": dict(env)}) + "\n"
        report, theirs = socket.socketpair()
        with report, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with theirs, self._sending:
                streams = [out.fileno(), err.fileno(), theirs.fileno()]
                socket.send_fds(self._control, [request.encode()], streams)
            with report.makefile() as lines:
                pid = int(lines.readline())
                report.settimeout(timeout)
                try:
                    code = int(lines.readline())
                except TimeoutError:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(arguments, timeout) from None
            outputs = [_text(stream) for stream in (out, err)]
        return subprocess.CompletedProcess(arguments, code, *outputs)


def _text(stream: Any) -> str:
    stream.seek(0)
    return stream.read().decode()


@cache
def forks() -> Forks:
    """Return the forking process of this test process, without the settings of this machine."""
    from tests.cli.terminal import environment

    parent = Forks(environment())
    atexit.register(parent.close)
    return parent


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request. Return the request in the new process, and None in this process at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, streams, _, _ = socket.recv_fds(control, PIECE, 3)
        if not message:
            return None
        while not message.endswith(b"\n"):
            message += control.recv(PIECE)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _fork_command(json.loads(message), *streams)
        for stream in streams:
            os.close(stream)


def _fork_command(request: dict[str, Any], out: int, err: int, report: int) -> dict[str, Any]:
    """Fork once more: the parent reports process id and exit code, and the child returns to run the command."""
    if pid := os.fork():
        os.write(report, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):  # the test has stopped waiting
            os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for stream in (out, err, report):
        os.close(stream)
    return request


def set_up_process(request: dict[str, Any]) -> None:
    """Set the folder, environment and arguments of this process to those of the request."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["comfy-worker", *request["arguments"]]


def exit_code(command: Callable[[], None]) -> int:
    """Run the command and return the exit code that Python would return for it."""
    try:
        command()
    except SystemExit as end:
        if isinstance(end.code, int | None):
            return end.code or 0
        print(end.code, file=sys.stderr)
        return 1
    except BaseException:  # noqa: BLE001 - the interpreter's own last resort
        traceback.print_exc()
        return 1
    return 0


def leave(code: int) -> NoReturn:
    """End the process without the cleanup of modules, which takes longer than most commands."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def import_everything() -> None:
    """Import all of the worker, and the packages that its commands import when they run."""
    import worker

    for module in pkgutil.walk_packages(worker.__path__, "worker."):
        if not module.name.endswith("__main__"):
            import_module(module.name)
    for name in ("rich.markdown", "typer.rich_utils", "uvloop"):
        import_module(name)
    # Vast's SDK reads its key from the environment while it is imported, so a command has to import it itself.
    for name in [name for name in sys.modules if name.startswith("vastai.serverless")]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()


def main() -> None:
    from worker.cli import main as command

    with socket.socket(fileno=int(sys.argv[1])) as control:
        import_everything()
        request = serve(control)
    if request is not None:
        set_up_process(request)
        leave(exit_code(command))


if __name__ == "__main__":
    main()
