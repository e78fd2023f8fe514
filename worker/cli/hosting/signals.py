"""Signals that mean nothing to a worker, and would end a process that does not care for them: jobs would be lost.

A terminal that closes sends SIGHUP, and so do some log rotations; SIGQUIT, SIGUSR1 and SIGUSR2 have a meaning for other
servers. SIGTERM and SIGINT drain.
"""

from __future__ import annotations

import signal

MEANINGLESS = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def ignore_meaningless() -> None:
    """Ignore them in this process. Programs that it starts have them as usual: a handler ends with `exec`."""
    for number in MEANINGLESS:
        signal.signal(number, lambda *_: None)


def ignore_from_the_start() -> None:
    """Ignore them in this process and, until they say otherwise themselves, in those that it starts."""
    for number in MEANINGLESS:
        signal.signal(number, signal.SIG_IGN)
