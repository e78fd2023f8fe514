"""Stores what a worker has learned about the seconds of jobs, and reads priors. All functions block."""

from __future__ import annotations

import logging
from pathlib import Path

import orjson

from worker.errors import LearnedStateError
from worker.load.learning.learned_state import LearnedState, StateHeader
from worker.load.learning.pooling import apply_priors

log = logging.getLogger(__name__)

FILE = "load.json"
"""Name of the file in the state folder."""


def starting_state(folder: Path, priors: Path | None, header: StateHeader) -> LearnedState:
    """Return what a worker with this header knows at its start, from its state folder and a file of priors.

    Logs a file that cannot be read, and starts without it: predictions then start from the closed form.
    """
    path = folder / FILE
    state = _read_or_log(path) if path.exists() else None
    known = state.under(header) if state else LearnedState(header)
    prior_state = _read_or_log(priors) if priors else None
    return apply_priors(known, prior_state.under(header)) if prior_state else known


def read_state(path: Path) -> LearnedState:
    """Return the learned state in a file.

    Raises:
        OSError: The file cannot be read.
        LearnedStateError: The file has no learned state, or one of a release with another closed form.
    """
    try:
        value = orjson.loads(path.read_bytes())
    except orjson.JSONDecodeError as error:
        raise LearnedStateError(f"it is no JSON: {error}") from error
    return LearnedState.from_json(value)


def write_state(path: Path, state: LearnedState) -> None:
    """Write a learned state to a file. Raises OSError."""
    write_json(path, state.to_json())


def write_json(path: Path, value: object) -> None:
    """Write a value to a file, which is never left half written. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    new.write_bytes(orjson.dumps(value))
    new.replace(path)


def _read_or_log(path: Path) -> LearnedState | None:
    """Return the learned state in a file. Log why there is none, and return None."""
    try:
        return read_state(path)
    except (OSError, LearnedStateError) as error:
        log.warning("what was learned about the seconds of jobs is not used: %s: %s", path, error)
        return None
