"""File descriptors: how many this process may have, and how many it has left."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)

MOST = 65_536
"""A higher limit gains nothing, and some programs that inherit it walk through all of it."""
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


def reserve_is_touched(descriptor: int) -> bool:
    """Return whether a descriptor that was just opened is one of the last that are free.

    The kernel gives the lowest free number, so all below it are in use. The limit is read each time: it may change.
    """
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return limit != resource.RLIM_INFINITY and descriptor >= limit - reserve(limit)
