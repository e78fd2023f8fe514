"""The parent process of a worker: it starts the worker, and restarts it when it dies."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from types import FrameType

from worker.backoff import Backoff
from worker.cli.hosting.signals import ignore_from_the_start
from worker.engine.process import die_with_parent
from worker.errors import StartupError, StateInUse
from worker.settings import Settings, environment
from worker.subcommand import worker_command

log = logging.getLogger("worker.parent")

RESTART_DELAY = Backoff(0.5, 30.0)
RESTART_CODE = 75
"""Exit code of a worker that has drained and wants to be restarted (EX_TEMPFAIL of sysexits.h)."""
STEADY_S = 60.0
"""After a life of this many seconds the count of deaths in a row starts again at zero."""


class Parent:
    """The parent process of a worker. The worker ends with it.

    It uses so little memory that Linux kills the worker first when memory runs out.
    """

    def __init__(self, arguments: Sequence[str], max_restarts: int) -> None:
        self._command = worker_command("serve", *arguments)
        self._max_restarts = max_restarts
        self._pid = 0
        self.stop_requested = False

    def run(self) -> int:
        """Run the worker until it must not be started again, and return its last exit code.

        That is after a stop, after another worker was found to use the state folder, and after too many deaths.
        """
        ignore_from_the_start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._forward)
        deaths = 0
        while True:
            started = time.monotonic()
            code = self._run_once()
            if self.stop_requested or code in {0, StateInUse.exit_code}:
                return code
            if code == RESTART_CODE or time.monotonic() - started > STEADY_S:
                deaths = 0
            if code != RESTART_CODE:
                deaths += 1
            if deaths > self._max_restarts:
                log.critical("the worker died %d times in a row, the last time %s", deaths, _end_text(code))
                return code
            pause_s = RESTART_DELAY.pause(deaths) if deaths else 0.0
            log.error("the worker ended %s; starting it again in %.1f s", _end_text(code), pause_s)
            self._wait(pause_s)

    def _run_once(self) -> int:
        """Run the worker once and return its exit code. A negative code is the number of a signal."""
        bound_to_parent = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        env = {**environment(), "WORKER_RESTARTS": "0"}  # or the worker would start a parent process of its own
        self._pid = os.posix_spawn(sys.executable, [*bound_to_parent, *self._command], env)
        if self.stop_requested:  # by a signal that came before the process id was stored
            os.kill(self._pid, signal.SIGTERM)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _wait(self, seconds: float) -> None:
        """Wait for this many seconds, or until a stop is requested."""
        deadline = time.monotonic() + seconds
        while not self.stop_requested and (remaining_s := deadline - time.monotonic()) > 0:
            time.sleep(min(remaining_s, 0.1))

    def _forward(self, number: int, _: FrameType | None) -> None:
        """Forward a signal to the worker. It stops after its running jobs, and at once after a second signal."""
        self.stop_requested = True
        if self._pid:
            os.kill(self._pid, number)


def run_with_restarts(arguments: Sequence[str], settings: Settings) -> int:
    """Run `serve` with these arguments, restart it when it dies, and return its last exit code.

    Raises StartupError when the worker was killed, as it could not report the reason itself.
    """
    parent = Parent(arguments, settings.restarts)
    code = parent.run()
    if code < 0 and not parent.stop_requested:
        raise StartupError(f"the worker died {settings.restarts + 1} times in a row, the last time {_end_text(code)}")
    return code


def _end_text(code: int) -> str:
    """Return how a process ended, from the exit code of `Parent._run_once`."""
    return f"by signal {-code}" if code < 0 else f"with code {code}"
