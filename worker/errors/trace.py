"""Errors of traces, which are CSV files of arrivals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class TraceError(Exception):
    """Root of the errors of traces. `code` is for programs, the message for people."""

    code: ClassVar[str] = "trace_failed"


@dataclass(frozen=True, slots=True)
class TraceProblem:
    """One thing to change in a trace. `line` counts from 1, which is the header. `message` has the cure."""

    line: int
    column: str
    message: str

    def __str__(self) -> str:
        location = f"line {self.line}, {self.column}" if self.column else f"line {self.line}"
        return f"{location}: {self.message}"


class TraceFileError(TraceError):
    """The file is no trace. `problems` has the first problems of the file."""

    code = "trace_invalid"

    def __init__(self, problems: Sequence[TraceProblem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


class NoArrivals(TraceError):
    """The state folders have no arrivals. Let a worker with WORKER_ARRIVALS_LOG run jobs first."""

    code = "no_arrivals"
