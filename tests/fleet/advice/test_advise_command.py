"""`comfy-worker fleet advise`: its text, its JSON, its errors, and that it never writes a file."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import cli
from tests.fleet.advice.test_advice import CERTAIN, PAIRS
from tests.fleet.wishes import FLEET, FLEET_ID
from worker.fleet.simulation.recorded_trace import RecordedTrace, write_trace

ADVISE = ("fleet", "advise", "--trace", "trace.csv", "--seeds", "2")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a fleet file that was never deployed, and a trace of pairs of jobs."""
    (tmp_path / "vast.toml").write_text(FLEET.replace(f'id = "{FLEET_ID}"', "") + CERTAIN, "utf-8")
    write_trace(tmp_path / "trace.csv", RecordedTrace(PAIRS))
    return tmp_path


def digest(folder: Path) -> dict[str, str]:
    """Return the files of a folder with the hashes of their contents."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return {str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_advice_is_toml_a_table_and_doubts_and_no_file_changes(home: Path) -> None:
    """The text has the keys to paste, a row for each reading, what binds the choice and what it cannot know."""
    before = digest(home)
    done = cli(*ADVISE, "--target", "p99 wait 5 s", cwd=home)
    assert done.returncode == 0, done.stderr
    assert digest(home) == before
    assert done.stdout.startswith("Advice for p99 wait of at most 5 s: p99 wait 0.0 s, $1,440 a month")
    assert "  min_load = 1.5  # now 0.0\n" in done.stdout
    assert '  [groups.fast]\n  gpus = ["RTX 4090"]  # now ["RTX 4090", "L40S"]\n' in done.stdout
    rows = [line.split() for line in done.stdout.splitlines()]
    for reading in ("A", "B"):
        (row,) = [row for row in rows if row[:1] == [reading]]
        assert row[-3:] == ["2", "of", "2"]
    for title in ("If you knew the reading", "What binds the choice", "What this cannot know"):
        assert f"\n{title}\n- " in done.stdout
    assert "No file was changed." in done.stdout


def test_json_has_the_choice_its_range_and_the_doubts(home: Path) -> None:
    """The object has the settings, the results of each reading, what the file has now, and the doubts with codes."""
    done = cli(*ADVISE, "--target", "p99 wait 5 s", "--budget", "$2,000", "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["target"] == {"quantile": 0.99, "wait_s": 5, "usd_month": 2000}
    assert (found["reached"], found["platform"], found["gpus"]) == (True, "vast", ["RTX 4090"])
    advice = found["advice"]
    assert advice["settings"]["min_load"] == 1.5
    assert advice["usd_month"] == pytest.approx([1440, 1440], rel=0.01)
    assert advice["wait_s"] == [0, 0]
    assert advice["readings"]["A"]["seeds_that_keep"] == advice["readings"]["A"]["seeds"] == 2
    assert set(advice["readings"]["B"]["usd_month"]) == {"mean", "low", "high"}
    assert found["now"]["keeps_target"] is False
    assert [*found["known"]] == [*found["about"]] == ["A", "B"]
    assert found["within_budget"] is None
    assert "[endpoint]\n" in found["toml"]
    assert {"code", "message"} == set(found["doubts"][0])
    assert found["reasons"]
    assert found["runs"] > 20


def test_a_target_above_the_budget_exits_with_1(home: Path) -> None:
    """The text has the cheapest choice that keeps the target, and the shortest waits that the budget allows."""
    done = cli(*ADVISE, "--target", "p99 wait 5 s", "--budget", "800", cwd=home)
    assert done.returncode == 1
    assert done.stdout.startswith("Nothing keeps p99 wait of at most 5 s, at most $800 a month. The nearest: ")
    assert "\nWithin the budget\n- $7" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "status", "text"),
    [
        ((), "usage", 2, "there is no target"),
        (("--target", "fast"), "target_invalid", 2, "write a quantile, the word wait and a time"),
        (("--budget", "0"), "target_invalid", 2, "dollars a month above 0"),
        (("--budget", "9", "--platform", "moon"), "usage", 2, "'moon' cannot be simulated"),
        (("--budget", "9", "--gpu", "Voodoo 2"), "usage", 2, "no GPU whose speed is known"),
        (("--budget", "9", "--gpu", "L40S"), "price_unknown", 1, "no price of 'L40S'"),
        (("--budget", "9", "--trace", "vast.toml"), "trace_invalid", 1, "vast.toml is no trace"),
    ],
)
def test_an_error_has_a_code_and_the_next_step(
    home: Path, arguments: tuple[str, ...], code: str, status: int, text: str
) -> None:
    """Each wrong argument is one structured error."""
    done = cli(*ADVISE, *arguments, "--json", cwd=home)
    assert done.returncode == status
    error = json.loads(done.stdout)["error"]
    assert error["code"] == code
    assert text in error["message"]
    assert error["next"]
