"""The error tree keeps its promises in every class."""

from __future__ import annotations

import errno
from collections.abc import Iterator

import pytest

from worker.errors import ClientError, Detail, DiskFull, Fault, InternalError, JobError, WorkerError, WorkerUnavailable


def tree(root: type[WorkerError]) -> Iterator[type[WorkerError]]:
    for child in root.__subclasses__():
        yield child
        yield from tree(child)


@pytest.mark.parametrize("kind", list(tree(WorkerError)), ids=lambda kind: kind.__name__)
def test_statuses_say_who_may_try_again(kind: type[WorkerError]) -> None:
    """5xx only where another try can help; a client's or a job's fault is never 5xx."""
    if issubclass(kind, ClientError | JobError):
        assert 400 <= kind.status < 500
        assert not kind.retryable
    if issubclass(kind, WorkerUnavailable):
        assert (kind.status, kind.retryable, kind.fault) == (503, True, Fault.WORKER)


def test_codes_are_unique() -> None:
    """A code names one thing. The class of unexpected errors has the root's."""
    codes = [kind.code for kind in tree(WorkerError) if kind is not InternalError]
    assert len(codes) == len(set(codes)), sorted(codes)


def test_the_body_names_place_and_cure() -> None:
    """Every field of the contract is there, filled or null."""
    error = ClientError("no", [Detail("too large", node_id="3", input="width", suggestion="at most 8192")])
    body = error.as_dict()
    assert set(body) == {"code", "message", "fault", "retryable", "retryable_elsewhere", "details"}
    assert body["details"] == [
        {
            "message": "too large",
            "node_id": "3",
            "node_title": None,
            "class_type": None,
            "input": "width",
            "suggestion": "at most 8192",
            "expected": None,
            "comfyui_type": None,
        }
    ]


def test_a_full_disk_is_told_from_other_failures() -> None:
    """By the number of the error alone; what it says could be anything."""
    full = DiskFull.of(OSError(errno.ENOSPC, "No space left on device"))
    assert full is not None
    assert (full.code, full.retryable, full.retryable_elsewhere) == ("disk_full", True, True)
    assert DiskFull.of(OSError(errno.EIO, "No space left on device")) is None
    assert DiskFull.of(ValueError("No space left on device")) is None
