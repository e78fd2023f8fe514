"""`comfy-worker` without the time that its imports take: one process has made them, and each call is a fork of it.

A call is still a process, with its own arguments, environment, folder, streams, logging, signals and exit code. What it
does not show is the start of Python and what a module does when it is imported: `command` in `terminal.py` is for the
tests that need that.
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
    """The process that has everything imported, seen from the tests."""

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
        """Run the command to its end. Raises subprocess.TimeoutExpired, and then it has been killed."""
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
            said = [_text(stream) for stream in (out, err)]
        return subprocess.CompletedProcess(arguments, code, *said)


def _text(stream: Any) -> str:
    stream.seek(0)
    return stream.read().decode()


@cache
def forks() -> Forks:
    """One for each process that runs tests; ended with it. What it imports must find no setting of this machine's."""
    from tests.cli.terminal import environment

    made = Forks(environment())
    atexit.register(made.close)
    return made


def serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request. Return it in the process that has to carry it out, and None in this one at the end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        message, streams, _, _ = socket.recv_fds(control, PIECE, 3)
        if not message:
            return None
        while not message.endswith(b"\n"):
            message += control.recv(PIECE)
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            return _beside(json.loads(message), *streams)
        for stream in streams:
            os.close(stream)


def _beside(request: dict[str, Any], out: int, err: int, report: int) -> dict[str, Any]:
    """Wait for the command and report its process id and its exit code; the command itself is where this returns."""
    if pid := os.fork():
        os.write(report, f"{pid}\n".encode())
        _, status = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):  # the test has given the command up
            os.write(report, f"{os.waitstatus_to_exitcode(status)}\n".encode())
        os._exit(0)
    os.dup2(out, 1)
    os.dup2(err, 2)
    for stream in (out, err, report):
        os.close(stream)
    return request


def become(request: dict[str, Any]) -> None:
    """Be the process that was asked for."""
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.argv = ["comfy-worker", *request["arguments"]]


def exit_code(command: Callable[[], None]) -> int:
    """What Python would make of the way in which the command ends."""
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
    """End as a fork of `multiprocessing` does: taking the modules apart would take longer than most commands."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def import_everything() -> None:
    """All of the worker, and what its commands import when they are called."""
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
        become(request)
        leave(exit_code(command))


if __name__ == "__main__":
    main()
