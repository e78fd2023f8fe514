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
    """A finding: `says` is its message, and `cure` is the advice for the operator, if any."""

    name: str
    level: Level
    says: str
    cure: str = ""


def ok(name: str, message: str) -> CheckFinding:
    """Return a finding without a problem."""
    return CheckFinding(name, Level.OK, message)


def warn(name: str, message: str, cure: str) -> CheckFinding:
    """Return a finding about a problem with which the worker still works. `cure` is the advice for the operator."""
    return CheckFinding(name, Level.WARN, message, cure)


def fail(name: str, message: str, cure: str) -> CheckFinding:
    """Return a finding about a problem with which the worker cannot work. `cure` is the advice for the operator."""
    return CheckFinding(name, Level.FAIL, message, cure)
