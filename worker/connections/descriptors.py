"""File descriptors: the limit of this process, and the reserve that connections may not use."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

log = logging.getLogger(__name__)

HIGHEST_LIMIT = 65_536
"""Highest limit that is set.

A higher one gains nothing, and some child processes loop over all possible descriptors.
"""
OPEN_FILES = Path("/dev/fd")
LARGEST_COUNTED_LIMIT = 4096
"""Highest limit at which open files are counted for each connection. This takes less than a millisecond."""
SMALLEST_RESERVE, LARGEST_RESERVE = 16, 256


def raise_file_limit() -> None:
    """Raise this process's limit on open files as far as it can without a privilege."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = HIGHEST_LIMIT if hard == resource.RLIM_INFINITY else min(hard, HIGHEST_LIMIT)
    if soft == resource.RLIM_INFINITY or soft >= target:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
    except (OSError, ValueError) as error:
        log.warning("cannot raise the limit on open files from %d: %s", soft, error)


def reserve(limit: int) -> int:
    """Return how many descriptors are reserved for the worker: for starting ComfyUI, the journal and files.

    It is a quarter of the limit, within bounds.
    """
    return max(SMALLEST_RESERVE, min(limit // 4, LARGEST_RESERVE))


def reserve_in_use(connections: int, descriptor: int) -> bool:
    """Return whether connections use descriptors of the reserve, so that one has to be evicted.

    `connections` is the number of connections, and `descriptor` that of the newest one. The kernel assigns the lowest
    free number. So if the limit is high and both numbers are low, enough descriptors are free, and the open files need
    not be counted. The limit is read each time because it may change.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    has_many_free = limit > LARGEST_COUNTED_LIMIT and max(connections, descriptor) < limit // 2
    if limit == resource.RLIM_INFINITY or has_many_free:
        return False
    try:
        return sum(1 for _ in OPEN_FILES.iterdir()) >= limit - reserve(limit)
    except OSError:  # reading the folder takes a descriptor too
        return True
