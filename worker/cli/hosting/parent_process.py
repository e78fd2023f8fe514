"""The small process above a worker: starts it, starts it again when it dies, and says so where that is hopeless."""

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

RESTART = Backoff(0.5, 30.0)
RESTART_CODE = 75
"""A worker that exits with it has drained and asks to be started again (EX_TEMPFAIL of sysexits.h)."""
STEADY_S = 60.0
"""A worker that lived this long starts the count of its deaths anew."""


class Parent:
    """Holds next to nothing, so that nothing but its end can end it; what it starts ends with it."""

    def __init__(self, arguments: Sequence[str], tries: int) -> None:
        self._command = worker_command("serve", *arguments)
        self._tries = tries
        self._pid = 0
        self.told_to_end = False

    def run(self) -> int:
        """The exit code of the last life."""
        ignore_from_the_start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hand_on)
        deaths = 0
        while True:
            began = time.monotonic()
            code = self._live()
            if self.told_to_end or code in {0, StateInUse.exit_code}:
                return code
            if code == RESTART_CODE or time.monotonic() - began > STEADY_S:
                deaths = 0
            deaths += code != RESTART_CODE
            if deaths > self._tries:
                log.critical("the worker died %d times in a row, the last time %s", deaths, _how(code))
                return code
            pause_s = RESTART.pause(deaths) if deaths else 0.0
            log.error("the worker ended %s; starting it again in %.1f s", _how(code), pause_s)
            self._wait(pause_s)

    def _live(self) -> int:
        """Negative for a signal."""
        bound_to_parent = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        env = {**environment(), "WORKER_RESTARTS": "0"}
        self._pid = os.posix_spawn(sys.executable, [*bound_to_parent, *self._command], env)
        if self.told_to_end:
            os.kill(self._pid, signal.SIGTERM)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.told_to_end and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, 0.1))

    def _hand_on(self, number: int, _: FrameType | None) -> None:
        """Each signal, so that a second one ends the worker's draining."""
        self.told_to_end = True
        if self._pid:
            os.kill(self._pid, number)


def keep(arguments: Sequence[str], settings: Settings) -> int:
    """Run `serve` with these arguments until it ends for good; the exit code.

    Raises StartupError where the worker was killed: it could not say why itself.
    """
    parent = Parent(arguments, settings.restarts)
    code = parent.run()
    if code < 0 and not parent.told_to_end:
        raise StartupError(f"the worker died again and again, the last time {_how(code)}")
    return code


def _how(code: int) -> str:
    return f"by signal {-code}" if code < 0 else f"with code {code}"
