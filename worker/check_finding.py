"""The result of one check of `comfy-worker doctor`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Result of a check.

    OK means that nothing has to be done. With WARN the worker works, but not as well as it could. With FAIL it would
    not start, or would reject every job.
    """

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """A finding with its message. `cure` is the advice for the operator, if any."""

    name: str
    level: Level
    says: str
    cure: str = ""


def ok(name: str, says: str) -> CheckFinding:
    """Return a finding without a problem."""
    return CheckFinding(name, Level.OK, says)


def warn(name: str, says: str, cure: str) -> CheckFinding:
    """Return a finding that does not keep the worker from working."""
    return CheckFinding(name, Level.WARN, says, cure)


def fail(name: str, says: str, cure: str) -> CheckFinding:
    """Return a finding that keeps the worker from working."""
    return CheckFinding(name, Level.FAIL, says, cure)
