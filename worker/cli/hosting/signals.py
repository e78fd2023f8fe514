"""Signals that have no meaning for a worker. By default they would end the process, and its jobs would be lost.

A closed terminal and some log rotations send SIGHUP. SIGQUIT, SIGUSR1 and SIGUSR2 have a meaning for other servers.
SIGTERM and SIGINT stop a worker after its running jobs.
"""

from __future__ import annotations

import signal

MEANINGLESS = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)


def ignore_meaningless() -> None:
    """Ignore the signals in MEANINGLESS in this process, not in programs that it starts: `exec` removes handlers."""
    for number in MEANINGLESS:
        signal.signal(number, lambda *_: None)


def ignore_from_the_start() -> None:
    """Ignore the signals in MEANINGLESS in this process, and in programs that it starts until they install handlers."""
    for number in MEANINGLESS:
        signal.signal(number, signal.SIG_IGN)
