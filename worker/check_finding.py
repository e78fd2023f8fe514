"""The result of one check of `comfy-worker doctor`, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """Fine; works, but see what is said; a worker would not start or would refuse every job."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class CheckFinding:
    """`cure` says what to do, where there is something to do."""

    name: str
    level: Level
    message: str
    cure: str = ""


def ok(name: str, message: str) -> CheckFinding:
    return CheckFinding(name, Level.OK, message)


def warn(name: str, message: str, cure: str) -> CheckFinding:
    return CheckFinding(name, Level.WARN, message, cure)


def fail(name: str, message: str, cure: str) -> CheckFinding:
    return CheckFinding(name, Level.FAIL, message, cure)
