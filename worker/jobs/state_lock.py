"""The exclusive lock of a state folder. The kernel releases it when the process ends, even by kill -9."""

from __future__ import annotations

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from worker.errors import StateInUse

log = logging.getLogger(__name__)

LOCK = "state.lock"
"""File in the state folder. It is never removed, or two processes could lock two files of the same name."""


@contextmanager
def state_lock(state: Path) -> Iterator[None]:
    """Hold the lock of a state folder inside the context. Raises StateInUse when another process holds it."""
    descriptor = _open_lock_file(state)
    if descriptor is None:
        yield
        return
    try:
        _lock(descriptor, state)
        yield
    finally:
        os.close(descriptor)


def _open_lock_file(state: Path) -> int | None:
    """Return a descriptor to lock: of the lock file, or in a read-only folder of that or of the folder itself.

    Return None when nothing can be opened. Then the start of the worker fails later.
    """
    try:
        state.mkdir(parents=True, exist_ok=True)
        return os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        try:
            path = state / LOCK if (state / LOCK).exists() else state
            return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            log.warning("the state folder %s cannot be locked: %s", state, error.strerror)
            return None


def _lock(descriptor: int, state: Path) -> None:
    """Lock the file. Raises StateInUse when another process holds the lock. A file system without locks is logged."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateInUse(
            f"another worker uses the state folder {state}: stop that worker, or set WORKER_STATE to another folder"
        ) from None
    except OSError as error:
        log.warning(
            "the file system of %s does not support locks (%s): use this state folder with one worker only",
            state,
            error.strerror,
        )
