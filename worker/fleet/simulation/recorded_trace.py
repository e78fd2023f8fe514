"""Traces as CSV files: `at_s,units,seconds,kind`, one line for each job.

`at_s` are seconds from any start. A column `at` has points in time instead: ISO 8601, in UTC unless they name another
zone, or epoch seconds. Without `seconds`, or where a cell is empty, a job takes as long as its units say. Without
`kind`, all jobs share their models. The lines may be in any order.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from worker.errors import TraceFileError, TraceProblem
from worker.fleet.simulation.job_mix import HOUR
from worker.fleet.simulation.trace import TraceJob
from worker.workflow.nearest import did_you_mean

if TYPE_CHECKING:
    from _csv import Reader

COLUMNS = ("at_s", "units", "seconds", "kind")
KNOWN = ("at", *COLUMNS)
MOST_PROBLEMS = 20
"""Problems after which the rest of a file is not read."""
EPOCH_S = 1e8
"""Seconds from which a number must be a point in time. No trace is three years long."""
LONGEST_KIND = 100
"""Characters of a kind."""
UTF8 = "is not UTF-8; save the file as CSV in UTF-8"


@dataclass(frozen=True, slots=True)
class RecordedTrace:
    """The jobs in the order of their arrival. `start` is the time at which `at_s` is 0, if the file has times."""

    jobs: Sequence[TraceJob]
    start: datetime | None = None


def read_trace(path: Path) -> RecordedTrace:
    """Return the trace in a file.

    With times, `at_s` counts from the start of the hour of the first arrival.

    Raises:
        OSError: The file cannot be read.
        TraceFileError: The file is no trace, or has no jobs.
    """
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        try:
            return TraceColumns.of(next(reader, [])).trace(reader)
        except csv.Error as error:
            cure = "quote cells with commas, and end each quoted cell"
            raise _invalid(reader.line_num, "", f"is no CSV: {error}; {cure}") from error
        except UnicodeDecodeError as error:
            raise _invalid(reader.line_num + 1, "", UTF8) from error


def write_trace(path: Path, trace: RecordedTrace) -> None:
    """Write a trace to a file, which is never left half written. Raises OSError."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("at", *COLUMNS[1:]) if trace.start else COLUMNS)
        start_s = trace.start.timestamp() if trace.start else 0.0
        write_at: Callable[[float], str] = _iso if trace.start else "{:.3f}".format
        writer.writerows(
            (write_at(start_s + job.at_s), f"{job.units:.6g}", f"{job.seconds:.6g}", job.kind) for job in trace.jobs
        )
    new.replace(path)


def timed(jobs: Iterable[TraceJob]) -> RecordedTrace:
    """Return the trace of jobs whose `at_s` are epoch seconds. There has to be at least one."""
    ordered = sorted(jobs, key=attrgetter("at_s"))
    start_s = math.floor(ordered[0].at_s / HOUR) * HOUR
    shifted = [TraceJob(job.at_s - start_s, job.units, job.seconds, job.kind) for job in ordered]
    return RecordedTrace(shifted, datetime.fromtimestamp(start_s, UTC))


@dataclass(frozen=True, slots=True)
class TraceColumns:
    """The columns of a file. The numbers are their positions, -1 for one that is missing."""

    columns: list[str]
    at: int
    units: int
    seconds: int
    kind: int

    @classmethod
    def of(cls, header: list[str]) -> TraceColumns:
        """Return the columns of a header. Raises TraceFileError."""
        columns = [name.strip() for name in header]
        problems = list(_header_problems(columns))
        if problems:
            raise TraceFileError(problems)
        position = {name: number for number, name in enumerate(columns)}
        at = position.get("at", position.get("at_s", -1))
        return cls(columns, at, *(position.get(name, -1) for name in COLUMNS[1:]))

    def trace(self, lines: Reader) -> RecordedTrace:
        """Return the jobs of the lines after the header. Raises TraceFileError."""
        jobs: list[TraceJob] = []
        problems: list[TraceProblem] = []
        for cells in lines:
            if not cells:
                continue  # an empty line
            try:
                jobs.append(self._job(cells))
            except (ValueError, IndexError):
                problems += self._problems(lines.line_num, cells)
                if len(problems) >= MOST_PROBLEMS:
                    break
        if problems:
            raise TraceFileError(problems[:MOST_PROBLEMS])
        if not jobs:
            raise _invalid(1, "", "the file has no jobs; add a line for each of them")
        if self.has_times:
            return timed(jobs)
        return RecordedTrace(sorted(jobs, key=attrgetter("at_s")))

    @property
    def has_times(self) -> bool:
        """Whether the arrivals are points in time."""
        return self.columns[self.at] == "at"

    def _job(self, cells: list[str]) -> TraceJob:
        """Return the job of a line. Raises ValueError or IndexError for any problem."""
        units = _number(cells[self.units])
        text = cells[self.seconds] if self.seconds >= 0 else ""
        kind = cells[self.kind].strip() if self.kind >= 0 else ""
        if len(cells) != len(self.columns) or len(kind) > LONGEST_KIND or not (units > 0):
            raise ValueError
        return TraceJob(self._at_s(cells[self.at]), units, _number(text) if text.strip() else units, kind)

    def _at_s(self, text: str) -> float:
        """Return an arrival in seconds. Raises ValueError."""
        if self.has_times:
            return _time(text)
        at_s = _number(text)
        if at_s >= EPOCH_S:
            raise ValueError
        return at_s

    def _problems(self, line: int, cells: list[str]) -> Iterator[TraceProblem]:
        """Yield the problems of a line that has some."""
        if len(cells) != len(self.columns):
            cure = f"the header has {len(self.columns)}, so write one cell for each column"
            yield TraceProblem(line, "", f"has {len(cells)} cells; {cure}")
            return
        at, units, kind = cells[self.at], cells[self.units], cells[self.kind] if self.kind >= 0 else ""
        if _fails(self._at_s, at):
            yield TraceProblem(line, self.columns[self.at], self._at_problem(at))
        if _fails(_number, units) or not _number(units) > 0:
            yield TraceProblem(line, "units", f"{_quoted(units)} is no number above 0, such as 3.8")
        if self.seconds >= 0 and cells[self.seconds].strip() and _fails(_number, cells[self.seconds]):
            cure = "is no number of seconds, such as 4.2; leave the cell empty to use the units"
            yield TraceProblem(line, "seconds", f"{_quoted(cells[self.seconds])} {cure}")
        if len(kind.strip()) > LONGEST_KIND:
            yield TraceProblem(line, "kind", f"has {len(kind)} characters; use a name of at most {LONGEST_KIND}")

    def _at_problem(self, text: str) -> str:
        """Return the message for an arrival that cannot be read."""
        if self.has_times:
            return f"{_quoted(text)} is no time, such as 2026-11-30T09:15:00Z or 1795943700"
        if not _fails(_time, text):
            return f"{_quoted(text)} is a point in time; name the column `at`"
        return f"{_quoted(text)} is no number of seconds since the start, such as 12.5"


def _header_problems(columns: list[str]) -> Iterator[TraceProblem]:
    """Yield the problems of a header."""
    example = f"the first line has to name the columns, such as {','.join(COLUMNS)}"
    if not any(name in KNOWN for name in columns):
        cure = "separate the cells by commas" if any(";" in name or "\t" in name for name in columns) else example
        yield TraceProblem(1, "", f"has no known column; {cure}")
        return
    for name in dict.fromkeys(columns):
        if columns.count(name) > 1:
            yield TraceProblem(1, name, "stands there twice; remove one")
        if name not in KNOWN:
            hint = did_you_mean(name, KNOWN) or f"Remove it; known are {', '.join(KNOWN)}."
            yield TraceProblem(1, name or "(empty)", f"unknown column. {hint}")
    if ("at" in columns) == ("at_s" in columns):
        yield TraceProblem(1, "at_s", "the file needs one of `at_s`, in seconds, and `at`, in ISO 8601")
    if "units" not in columns:
        yield TraceProblem(1, "units", "missing; the work of each job, in seconds on an RTX 4090")


def _number(text: str) -> float:
    """Return a finite number that is not negative. Raises ValueError."""
    number = float(text)
    if not 0 <= number < math.inf:
        raise ValueError
    return number


def _time(text: str) -> float:
    """Return a point in time in epoch seconds. Raises ValueError."""
    if "-" not in text:
        return _number(text)
    time = datetime.fromisoformat(text.strip())
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _iso(epoch_s: float) -> str:
    """Return a point in time as text, in UTC."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _fails(read: Callable[[str], float], text: str) -> bool:
    """Return whether a text cannot be read."""
    try:
        read(text)
    except ValueError:
        return True
    return False


def _quoted(text: str) -> str:
    """Return the text of a cell for a message, shortened and on one line."""
    return repr(text if len(text) <= 40 else f"{text[:39]}…")


def _invalid(line: int, column: str, message: str) -> TraceFileError:
    """Return the error for one problem."""
    return TraceFileError([TraceProblem(line, column, message)])
