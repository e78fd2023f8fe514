"""Reasons why the process does not start, or ends."""

from __future__ import annotations

import errno
import os


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


class WorkerFailed(Exception):
    """A task without which the worker cannot run has failed. The message is a sentence for the platform."""


class RestartRequested(Exception):
    """The worker has drained because its platform requested a restart. The process has to be started again."""
