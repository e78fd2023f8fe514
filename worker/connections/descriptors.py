"""File descriptors: how many this process may have, and how many it has left."""

from __future__ import annotations

import logging
import resource
from pathlib import Path

log = logging.getLogger(__name__)

MOST = 65_536
"""A higher limit gains nothing, and some programs that inherit it walk through all of it."""
OPEN_FILES = Path("/dev/fd")
COUNTED = 4096
"""Up to this limit open files are counted at each connection, which takes less than a millisecond."""
SMALLEST_RESERVE, LARGEST_RESERVE = 16, 256


def raise_file_limit() -> None:
    """Raise this process's limit on open files to what it may have without a privilege."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST if hard == resource.RLIM_INFINITY else min(hard, MOST)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit on open files stays %d: %s", soft, error)


def reserve(limit: int) -> int:
    """Return how many descriptors connections leave to the worker: for ComfyUI's start, the journal and files."""
    return max(SMALLEST_RESERVE, min(limit // 4, LARGEST_RESERVE))


def reserve_is_touched(connections: int, descriptor: int) -> bool:
    """Return whether so many descriptors are in use that connections have to make room.

    `descriptor` is the one that was opened last: the kernel gives the lowest free number. With a high limit it tells
    with the number of connections that there are enough, and nothing is counted. The limit is read each time, because
    it may change.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY or (limit > COUNTED and max(connections, descriptor) < limit // 2):
        return False
    try:
        return sum(1 for _ in OPEN_FILES.iterdir()) >= limit - reserve(limit)
    except OSError:  # to read the folder takes a descriptor, too
        return True
