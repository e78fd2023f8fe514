"""`comfy-worker fleet simulate`: its table, its JSON, its plots and its errors."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from tests.cli.terminal import cli, environment
from tests.fleet.wishes import FLEET, FLEET_ID
from worker.fleet.simulation.arrivals import Demand, steady
from worker.fleet.simulation.recorded_trace import RecordedTrace, write_trace

SIMULATE = ("fleet", "simulate", "--trace", "trace.csv")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with a fleet file that was never deployed, and a trace of an hour."""
    (tmp_path / "vast.toml").write_text(FLEET.replace(f'id = "{FLEET_ID}"', ""), "utf-8")
    write_trace(tmp_path / "trace.csv", RecordedTrace(steady(Demand(2000, 1 / 24))))
    return tmp_path


def simulated(home: Path, *arguments: object) -> Any:
    done = cli(*SIMULATE, "--seeds", "2", *arguments, "--json", cwd=home)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_table_has_a_column_for_each_reading(home: Path) -> None:
    """The table has the figures of A, B and C with intervals, the price with its age, and the differences."""
    done = cli(*SIMULATE, "--seeds", "2", cwd=home)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert any(line.split() == ["A", "B", "C"] for line in lines)
    rows = {line[:20].strip(): line[20:] for line in lines}
    assert rows["wait, p95"].count(" s") == 3
    assert rows["cost"].count("$") == 3
    assert rows["failed jobs"].split() == ["0", "0", "0"]
    assert "mean and 95 % interval of 2 seeds" in done.stdout
    assert "over 90 days old" in done.stdout
    assert "A, B, C " in done.stdout


def test_json_has_all_figures(home: Path) -> None:
    """The object has figures with intervals, the price with source and age, and what has no price."""
    found = simulated(home, "--reading", "all")
    assert [case["name"] for case in found["cases"]] == ["A", "B", "B'", "C"]
    assert found["price"]["stale"] is True
    assert found["price"]["source"]
    assert found["unpriced"] == ["storage"]
    for case in found["cases"]:
        usd, hours = case["figures"]["usd"], case["figures"]["gpu_hours"]
        assert usd["mean"] == pytest.approx(hours["mean"] * found["price"]["usd_hour"])
        assert usd["low"] <= usd["mean"] <= usd["high"]


def test_the_fleet_file_decides(home: Path) -> None:
    """Readings, price and boot times of [simulation] change the result."""
    text = (home / "vast.toml").read_text("utf-8")
    slow = '[simulation]\nreadings = ["A"]\nusd_hour = 1.0\nwake_s = 900\nfailure_share = 0.0\nspread = 0.0\n'
    (home / "slow.toml").write_text(text + slow, "utf-8")
    found = simulated(home, "--fleet", "slow.toml")
    (case,) = found["cases"]
    assert (case["name"], found["price"]["usd_hour"], found["price"]["stale"]) == ("A", 1.0, False)
    usual = simulated(home, "--reading", "A")["cases"][0]
    assert case["figures"]["wait_p99_s"]["mean"] > 2 * usual["figures"]["wait_p99_s"]["mean"]


@pytest.mark.parametrize(("platform", "names"), [("runpod", ["QUEUE_DELAY", "REQUEST_COUNT"]), ("modal", ["pool"])])
def test_other_platforms(home: Path, platform: str, names: list[str]) -> None:
    """RunPod and Modal have their own policies and prices."""
    found = simulated(home, "--platform", platform, "--gpu", "L40S")
    assert [case["name"] for case in found["cases"]] == names
    assert found["gpu"] == "L40S"
    assert found["price"]["usd_hour"] > 1
    assert all(case["figures"]["usd"]["mean"] > 0 for case in found["cases"])


def test_own_prices(home: Path) -> None:
    """A price file replaces the price of the GPU. A GPU without a price has no cost, and the reason is printed."""
    price = '{ amount = 0.5, unit = "USD/GPU-hour", source = "me", date = "2099-01-01" }'
    gpu = simulated(home, "--reading", "A")["gpu"]
    (home / "prices.toml").write_text(f'[vast.gpu."{gpu}"]\non_demand = {price}\n')
    assert simulated(home, "--reading", "A", "--prices", "prices.toml")["price"]["usd_hour"] == 0.5
    done = cli(*SIMULATE, "--seeds", "1", "--platform", "modal", "--gpu", "RTX 4090", cwd=home)
    assert done.returncode == 0
    assert "There is no cost: modal has no price of 'RTX 4090'" in done.stdout


@pytest.mark.timeout(60)
def test_plots_are_pictures(home: Path) -> None:
    """`--plot` writes a valid SVG or PNG."""
    assert simulated(home, "--reading", "A", "--plot", "waits.svg")["plot"] == "waits.svg"
    svg = ElementTree.parse(home / "waits.svg").getroot()  # noqa: S314 - our own
    assert svg.tag == "{http://www.w3.org/2000/svg}svg"
    simulated(home, "--reading", "A", "--plot", "waits.png")
    assert Image.open(io.BytesIO((home / "waits.png").read_bytes())).format == "PNG"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("--trace", "none.csv"), 1, "none.csv: no such file or directory  [file_unreadable]"),
        (("--fleet", "none.toml"), 1, "none.toml: no such file or directory  [file_unreadable]"),
        (("--reading", "D"), 2, "--reading: 'D' is no reading"),
        (("--platform", "aws"), 2, "--platform: 'aws' cannot be simulated"),
        (("--gpu", "RTX 9999"), 2, "--gpu: 'RTX 9999' is no GPU whose speed is known"),
        (("--plot", "waits.pdf"), 2, "--plot: waits.pdf is neither .svg nor .png"),
        (("--plot", "no/waits.svg", "--seeds", "1", "--reading", "A"), 1, "no/waits.svg cannot be written"),
        (("--prices", "vast.toml"), 1, "vast.toml is not valid  [prices_invalid]"),
        (("--fleet", "bad.toml"), 1, "[simulation] wake: unknown key. Did you mean 'wake_s'?"),
    ],
)
def test_errors_say_what_to_do(home: Path, arguments: tuple[str, ...], code: int, said: str) -> None:
    """Each error has a sentence and the next step."""
    (home / "bad.toml").write_text((home / "vast.toml").read_text("utf-8") + "[simulation]\nwake = 1\n")
    done = cli(*SIMULATE, *arguments, cwd=home)
    assert done.returncode == code, done.stdout
    assert said in done.stderr
    assert "→" in done.stderr


def test_without_matplotlib_the_error_names_the_extra(home: Path) -> None:
    """Without matplotlib, `--plot` fails before the simulation with the command that installs it."""
    program = (
        "import sys; sys.modules['matplotlib'] = None; from worker.cli import main; "
        f"sys.argv = ['comfy-worker', *{[*SIMULATE, '--plot', 'waits.svg']!r}]; main()"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=home, env=environment(), capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert "the package matplotlib is not installed" in done.stderr
    assert "pip install 'comfy-worker[plots]'" in done.stderr
