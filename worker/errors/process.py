"""Reasons why the process does not start, or ends."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self


class StartupError(Exception):
    """The process cannot start. The message names the setting or file to change."""


class CannotListen(StartupError):
    """The worker cannot listen on its address: the port is in use, or the system denies it. Choose another port."""

    def __init__(self, host: str, port: int, error: OSError | OverflowError) -> None:
        number = error.errno if isinstance(error, OSError) else None
        # asyncio's message repeats the address. An error of name resolution has no errno.
        cause = os.strerror(number).lower() if number is not None and number in errno.errorcode else str(error)
        super().__init__(f"cannot listen on {host}:{port}: {cause}. Choose another port, or 0 for a free one.")
        self.port = port


class HandlersPortInUse(StartupError):
    """The worker cannot listen on the port at which handlers find ComfyUI's API, WORKER_HANDLERS_PORT."""


class StateInUse(StartupError):
    """Another worker uses the state folder. Nothing was changed, and nothing is reported to the platform."""

    exit_code = 69
    """EX_UNAVAILABLE of sysexits.h. The parent process does not restart a worker that exits with it."""


class UnknownPlatform(StartupError):
    """No platform has this name."""


class UnclearPlatform(StartupError):
    """The variables of the environment contradict each other, so that the platform is not clear.

    The message names the variables and the cure. Nothing is reported to a platform.
    """


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing to change in the proxy's configuration.

    `table` is empty for the file itself. `index` is the position of the table in an array of tables. `line` is None if
    it is not known.
    """

    message: str
    table: str = ""
    key: str = ""
    index: int | None = None
    line: int | None = None

    def at(self, line: int | None) -> Self:
        """Return the problem with its line in the file."""
        return replace(self, line=line)

    def __str__(self) -> str:
        table = f"[[{self.table}]] {self.index + 1}" if self.index is not None else f"[{self.table}]"
        place = " ".join(part for part in (table if self.table else "", self.key) if part)
        line = f"line {self.line}" if self.line else ""
        return ": ".join(part for part in (line, place, self.message) if part)


class ProxyConfigError(StartupError):
    """The configuration of the proxy is invalid. `problems` lists every problem in it."""

    def __init__(self, file: str, problems: Sequence[ConfigProblem]) -> None:
        super().__init__("\n".join(f"{file}: {problem}" for problem in problems))
        self.problems = tuple(problems)


class WorkerFailed(Exception):
    """A task without which the worker cannot run has failed. The message is a sentence for the platform."""


class RestartRequested(Exception):
    """The worker has drained because its platform requested a restart. The process has to be started again."""
