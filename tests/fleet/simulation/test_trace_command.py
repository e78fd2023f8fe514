"""`comfy-worker fleet trace`: from a real worker, from patterns, and its errors."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.cli.terminal import cli
from tests.engines import EngineHandle
from tests.fleet.wishes import FLEET
from tests.jobs.test_restart import Served
from tests.workflows import failing, picture, slow
from worker.fleet.simulation.recorded_trace import read_trace
from worker.observers.arrivals_file import FILE, ArrivalRow, append

SECRET = "private-customer"
ROW = ArrivalRow(1_796_032_800.0, 3.8, 4.1, "k-0123abcd", 4.0, 5.5, 1.4, "RTX 4090", "completed")


@pytest.mark.timeout(90)
async def test_a_trace_of_a_real_worker_can_be_simulated(engine: EngineHandle, tmp_path: Path) -> None:
    """A worker process runs jobs. Their trace has nothing of their contents, and a fleet can be simulated on it."""
    async with aiohttp.ClientSession() as http:
        served = Served(engine, tmp_path / "state", http)
        await served.start()
        jobs = [picture(prefix=SECRET), picture(prefix=f"{SECRET}/two"), slow(0.3), failing()]
        answers = [
            await served.post("/generate/sync", {"workflow": job, "id": f"{SECRET}-{n}"}) for n, job in enumerate(jobs)
        ]
        _, named = await served.post(
            "/generate/sync", {"template": "smoke-resize", "params": {"width": 64, "height": 64}}
        )
        await served.end(signal.SIGTERM)
    assert [status for status, _ in answers] == [200, 200, 200, 422]
    assert named["status"] == "success"
    done = cli("fleet", "trace", "--state", "state", "--out", "trace.csv", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["jobs"], summary["file"], summary["notes"]) == (5, "trace.csv", [])
    text = (tmp_path / "trace.csv").read_text("utf-8")
    for word in (SECRET, "EmptyImage", "png", "smoke"):
        assert word not in text + (tmp_path / "state" / FILE).read_text("utf-8")
    trace = read_trace(tmp_path / "trace.csv")
    assert trace.start is not None
    assert all(job.units > 0 and 0 < job.seconds < 60 for job in trace.jobs)
    (tmp_path / "vast.toml").write_text(FLEET, "utf-8")
    done = cli("fleet", "simulate", "--trace", "trace.csv", "--seeds", "1", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [case["jobs"] for case in json.loads(done.stdout)["cases"]] == [5, 5, 5]


def test_a_pattern_is_written_and_described(tmp_path: Path) -> None:
    """The same options give the same file, and `--summary` describes it as the command that wrote it did."""
    options = ("--pattern", "daily", "--jobs-a-day", 300, "--videos", 0.1, "--alternate", "--seed", 7)
    done = cli("fleet", "trace", *options, "--out", "a.csv", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("Written to a.csv.\n")
    assert "wan22-i2v: " in done.stdout
    assert cli("fleet", "trace", *options, "--out", "b.csv", cwd=tmp_path).returncode == 0
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    described = cli("fleet", "trace", "--summary", "a.csv", cwd=tmp_path)
    assert described.stdout == done.stdout.removesuffix("Written to a.csv.\n")


def test_several_workers_are_merged(tmp_path: Path) -> None:
    """Two state folders make one trace, with a note about hashed kinds and about lines that cannot be read."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        append(tmp_path / name / FILE, [ROW])
    with (tmp_path / "two" / FILE).open("a") as file:
        file.write("2026-11-30T10:")
    done = cli("fleet", "trace", "--state", "one", "--state", "two", "--out", "t.csv", "--json", cwd=tmp_path)
    summary = json.loads(done.stdout)
    assert summary["jobs"] == 2
    assert [note.partition(" ")[0] for note in summary["notes"]] == ["1", "Kinds"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--out", "t.csv"), 1, "no job has ended there while arrivals.csv was written  [no_arrivals]"),
        (("--state", "none"), 2, "there is no file to write"),
        (("--pattern", "daily", "--summary", "t.csv"), 2, "--state, --pattern and --summary exclude each other"),
        (("--summary", "t.csv", "--out", "u.csv"), 2, "--summary writes no file"),
        (("--summary", "t.csv"), 1, "t.csv: no such file or directory  [file_unreadable]"),
        (("--pattern", "weekly", "--out", "t.csv"), 2, "weekly"),
        (("--pattern", "steady", "--growth", "2", "--out", "t.csv"), 2, "steady does not use all of --growth"),
        (("--pattern", "steady", "--videos", "0.6", "--alternate", "--out", "t.csv"), 2, "below 0.5"),
        (("--pattern", "steady", "--days", "0.01", "--jobs-a-day", "1", "--out", "t.csv"), 2, "no job arrives"),
        (("--pattern", "steady", "--out", "no/t.csv"), 1, "no/t.csv cannot be written"),
    ],
)
def test_errors_say_what_to_do(arguments: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    """A wrong option exits with 2 and anything else with 1, with a sentence and the next step."""
    done = cli("fleet", "trace", *arguments, cwd=tmp_path)
    assert done.returncode == code
    assert said in done.stderr
    assert "→" in done.stderr


def test_a_bad_trace_lists_its_problems(tmp_path: Path) -> None:
    """The problems of a file are details of the failure, in text and JSON."""
    (tmp_path / "t.csv").write_text("at_s,units\n1,2\nx,0\n")
    done = cli("fleet", "trace", "--summary", "t.csv", "--json", cwd=tmp_path)
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"], error["message"]) == (1, "trace_invalid", "t.csv is no trace")
    assert [detail["message"].partition(":")[0] for detail in error["details"]] == ["line 3, at_s", "line 3, units"]
    assert "line 3, units: '0' is no number above 0" in cli("fleet", "trace", "--summary", "t.csv", cwd=tmp_path).stderr
