"""Why the process does not start, or ends."""

from __future__ import annotations


class StartupError(Exception):
    """The process can't start. The message names what to change."""


class UnknownPlatform(StartupError):
    """No platform has this name."""


class WorkerEnds(Exception):
    """A task failed that the worker can't do without. The message is a sentence for the platform."""


class RestartAsked(Exception):
    """The process has drained and has to be started again, because its platform asked for it."""
