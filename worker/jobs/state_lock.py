"""One worker per state folder: an exclusive lock that the kernel releases when its holder ends, however it ends."""

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
"""File in the state folder. It is never removed: two processes could lock two files of the same name."""


@contextmanager
def state_lock(state: Path) -> Iterator[None]:
    """Hold the lock of a state folder. Raises StateInUse, before anything in the folder was changed."""
    descriptor = _opened(state)
    if descriptor is None:
        yield
        return
    try:
        _lock(descriptor, state)
        yield
    finally:
        os.close(descriptor)


def _opened(state: Path) -> int | None:
    """Open the lock file, or what stands in its place; None where nothing can be opened: the start fails later."""
    try:
        state.mkdir(parents=True, exist_ok=True)
        return os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError:
        try:
            return os.open(state / LOCK if (state / LOCK).exists() else state, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            log.warning("the state folder %s can't be locked: %s", state, error.strerror)
            return None


def _lock(descriptor: int, state: Path) -> None:
    """Raises StateInUse."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StateInUse(
            f"another worker uses the state folder {state}: stop that one, or set WORKER_STATE to another folder"
        ) from None
    except OSError as error:
        log.warning(
            "the file system of %s has no locks (%s): start one worker only with this state folder",
            state,
            error.strerror,
        )
