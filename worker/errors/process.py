"""Why the process does not start, or ends."""

from __future__ import annotations

import errno
import os


class StartupError(Exception):
    """The process can't start. The message names what to change."""


class CannotListen(StartupError):
    """The address can't be listened on: another process has the port, or the system refuses it."""

    def __init__(self, host: str, port: int, error: OSError | OverflowError) -> None:
        number = error.errno if isinstance(error, OSError) else None
        # asyncio repeats the address in its own words, and has no number for a host that it can't resolve.
        why = os.strerror(number).lower() if number is not None and number in errno.errorcode else str(error)
        super().__init__(f"can't listen on {host}:{port}: {why}. Choose another port; 0 takes a free one.")


class StateInUse(StartupError):
    """Another worker has the state folder. Nothing was changed, and the platform hears nothing of it."""

    exit_code = 69
    """EX_UNAVAILABLE of sysexits.h: the parent process does not start the worker again."""


class UnknownPlatform(StartupError):
    """No platform has this name."""


class WorkerFailed(Exception):
    """A task failed that the worker can't do without. The message is a sentence for the platform."""


class RestartRequested(Exception):
    """The process has drained and has to be started again, because its platform asked for it."""
