"""Traces as CSV files: what is accepted, and what the errors say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from worker.errors import TraceFileError
from worker.fleet.simulation.arrivals import Demand, daily
from worker.fleet.simulation.recorded_trace import RecordedTrace, read_trace, timed, write_trace
from worker.fleet.simulation.trace import TraceJob
from worker.fleet.simulation.trace_summary import summary_of


def read(tmp_path: Path, text: str | bytes) -> RecordedTrace:
    path = tmp_path / "trace.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_trace(path)


def problems(tmp_path: Path, text: str | bytes) -> list[str]:
    with pytest.raises(TraceFileError) as raised:
        read(tmp_path, text)
    return [str(problem) for problem in raised.value.problems]


def test_a_trace_is_read_as_it_was_written(tmp_path: Path) -> None:
    """A generated trace has the same jobs after it was written and read."""
    jobs = daily(Demand(500))
    write_trace(tmp_path / "trace.csv", RecordedTrace(jobs))
    found = read_trace(tmp_path / "trace.csv")
    assert found.start is None
    assert [job.kind for job in found.jobs] == [job.kind for job in jobs]
    assert [job.at_s for job in found.jobs] == pytest.approx([job.at_s for job in jobs], abs=0.001)
    assert [job.seconds for job in found.jobs] == pytest.approx([job.seconds for job in jobs], rel=1e-5)


def test_times_are_read_as_they_were_written(tmp_path: Path) -> None:
    """A trace with times keeps them, and counts from the hour of its first arrival."""
    at = datetime(2026, 11, 30, 9, 15, 30, tzinfo=UTC)
    trace = timed([TraceJob(at.timestamp() + 7200, 2, 2), TraceJob(at.timestamp(), 1, 1, "a")])
    write_trace(tmp_path / "trace.csv", trace)
    assert (tmp_path / "trace.csv").read_text().splitlines()[1] == "2026-11-30T09:15:30.000Z,1,1,a"
    found = read_trace(tmp_path / "trace.csv")
    assert found == trace
    assert found.start == datetime(2026, 11, 30, 9, tzinfo=UTC)
    assert [job.at_s for job in found.jobs] == [930, 8130]


@pytest.mark.parametrize(
    ("text", "jobs"),
    [
        ("at_s,units\n5,2\n1,3\n", [(1, 3, 3, ""), (5, 2, 2, "")]),
        ("kind,seconds,units,at_s\nsdxl,4.5,3.8,0\nsdxl,,3.8,0.5\n", [(0, 3.8, 4.5, "sdxl"), (0.5, 3.8, 3.8, "sdxl")]),
        ('\ufeffat_s, units ,kind\r\n1, 2 ,"a, b"\r\n\r\n', [(1, 2, 2, "a, b")]),
        ("at,units\n2026-11-30 10:00:01,1\n2026-11-30T11:30:00+01:00,2\n", [(1, 1, 1, ""), (1800, 2, 2, "")]),
        ("at,units\n1796032801.5,1\n", [(1.5, 1, 1, "")]),
    ],
)
def test_files_that_are_accepted(tmp_path: Path, text: str, jobs: list[tuple[float, float, float, str]]) -> None:
    """Columns may be missing or in another order, lines unsorted, and times in ISO 8601 or epoch seconds."""
    found = read(tmp_path, text).jobs
    assert [(job.at_s, job.units, job.seconds, job.kind) for job in found] == jobs


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "line 1: has no known column; the first line has to name the columns, such as at_s,units,seconds,kind"),
        ("1,2,3\n", "line 1: has no known column"),
        ("at_s;units\n1;2\n", "line 1: has no known column; separate the cells by commas"),
        ("at_s,unit\n1,2\n", "line 1, unit: unknown column. Did you mean 'units'?"),
        ("at_s,units,prompt\n1,2,x\n", "line 1, prompt: unknown column. Remove it; known are at, at_s, units,"),
        ("at_s,units,units\n1,2,2\n", "line 1, units: stands there twice; remove one"),
        ("units\n1\n", "line 1, at_s: the file needs one of `at_s`, in seconds, and `at`, in ISO 8601"),
        ("at_s\n1\n", "line 1, units: missing; the work of each job, in seconds on an RTX 4090"),
        ("at_s,units\n", "line 1: the file has no jobs; add a line for each of them"),
        ("at_s,units\n1,2\nx,2\n", "line 3, at_s: 'x' is no number of seconds since the start, such as 12.5"),
        ("at_s,units\n-1,2\n", "line 2, at_s: '-1' is no number of seconds since the start"),
        ("at_s,units\n2026-11-30T10:00:00Z,2\n", "line 2, at_s: '2026-11-30T10:00:00Z' is a point in time; name the"),
        ("at_s,units\n1796032801,2\n", "line 2, at_s: '1796032801' is a point in time; name the column `at`"),
        ("at,units\nyesterday,2\n", "line 2, at: 'yesterday' is no time, such as 2026-11-30T09:15:00Z or"),
        ("at_s,units\n1,0\n", "line 2, units: '0' is no number above 0, such as 3.8"),
        ("at_s,units\n1,nan\n", "line 2, units: 'nan' is no number above 0"),
        ("at_s,units\n1,\n", "line 2, units: '' is no number above 0"),
        ("at_s,units,seconds\n1,2,inf\n", "line 2, seconds: 'inf' is no number of seconds, such as 4.2; leave the"),
        ("at_s,units\n1,2,3\n", "line 2: has 3 cells; the header has 2, so write one cell for each column"),
        ("at_s,units,kind\n1,2\n", "line 2: has 2 cells; the header has 3"),
        (f"at_s,units,kind\n1,2,{'k' * 101}\n", "line 2, kind: has 101 characters; use a name of at most 100"),
        ('at_s,units,kind\n1,2,"a\n', "is no CSV: unexpected end of data; quote cells with commas"),
        (b"at_s,units,kind\n1,2,\xff\n", "is not UTF-8; save the file as CSV in UTF-8"),
        (b"PK\x03\x04\x00\x00", "has no known column"),
    ],
)
def test_errors_name_line_column_and_cure(tmp_path: Path, text: str | bytes, said: str) -> None:
    """An error has the line, the column, the cell and what to do."""
    assert any(said in problem for problem in problems(tmp_path, text)), problems(tmp_path, text)


def test_several_problems_are_reported_together(tmp_path: Path) -> None:
    """All problems of a line and of several lines are reported, but not hundreds of them."""
    found = problems(tmp_path, "at_s,units,seconds\n1,1,1\nx,y,z\n" + "0,0,0\n" * 500)
    assert [problem.partition(":")[0] for problem in found[:4]] == [
        *("line 3, at_s", "line 3, units", "line 3, seconds"),
        "line 4, units",
    ]
    assert len(found) == 20


def test_a_summary_counts_jobs_hours_and_kinds() -> None:
    """The summary has the rate of each hour of the day, the work, and the kinds by their work."""
    midnight = datetime(2026, 11, 29, tzinfo=UTC).timestamp()
    jobs = [TraceJob(midnight + day * 86400 + 9 * 3600, 2, 4, "a") for day in (0, 1)]
    jobs += [TraceJob(midnight + 86400 + 12 * 3600 + number, 90, 90, "video") for number in range(40)]
    found = summary_of(timed(jobs))
    assert (found.jobs, found.start, found.units, found.seconds) == (42, "2026-11-29T09:00:00+00:00", 3604, 3608)
    assert found.span_s == 27 * 3600 + 39
    assert found.jobs_by_hour[9] == 1  # both days
    assert found.jobs_by_hour[12] == pytest.approx(40 / (1 + 39 / 3600))
    assert found.jobs_by_hour[3] == 0
    assert [(kind.kind, kind.jobs, kind.seconds_p50) for kind in found.kinds] == [("video", 40, 90), ("a", 2, 4)]
    assert found.peak_busy == 1
    assert found.mean_busy == pytest.approx(3608 / 97239)
    assert found.jobs_a_day == pytest.approx(42 / 97239 * 86400)
    assert found.as_dict()["kinds"][0]["kind"] == "video"


def test_the_summary_of_one_job() -> None:
    """A trace with one job at its start has a summary."""
    assert summary_of(RecordedTrace([TraceJob(0, 1, 1)])).jobs == 1
