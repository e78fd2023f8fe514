"""Settings of the C library's allocator that keep the memory of a long-lived process flat."""

from __future__ import annotations

import ctypes
import sys

M_MMAP_THRESHOLD, M_ARENA_MAX = -3, -8
"""Numbers of options, from malloc.h."""
LARGE_BLOCK = 1024 * 1024


def keep_memory_flat() -> None:
    """Make glibc use one heap for all threads, and allocate large blocks outside the heap.

    By default each thread has a heap of its own, and after the first large block is freed the next ones go into the
    heap. Bodies of several MiB then leave holes that are never returned to the system: in the soak test the memory
    grew by 8 % instead of 4 % over 20,000 jobs.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(M_ARENA_MAX, 1)
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
