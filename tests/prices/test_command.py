"""`comfy-worker prices`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import cli
from tests.prices.market import OFFERS
from worker.prices.price_file import load_prices
from worker.simulators.vast_account import LocalAccount, run_in_thread

FRESH = '[modal.gpu.L40S]\nlist = { amount = 1.8, unit = "USD/GPU-hour", source = "our contract", date = "2999-01-01" }'


@pytest.fixture
def local() -> Iterator[LocalAccount]:
    """An account at a market with a few offers."""
    with run_in_thread() as local:
        local.holdings.offers += OFFERS
        yield local


def line(output: str, *starts: str) -> str:
    """Return the line with these words at its beginning."""
    (found,) = [row for row in output.splitlines() if row.split()[: len(starts)] == [*starts]]
    return " ".join(found.split())


def test_each_figure_has_its_source_and_date(tmp_path: Path) -> None:
    """Each figure is one line with amount, date, unit, price an hour and source, and old ones are marked."""
    done = cli("prices", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    wanted = "runpod RTX 4090, flex 0.00031 (2026-08-20, over 90 days old) USD/GPU-second 1.116 docs.runpod.io"
    assert line(done.stdout, "runpod", "RTX", "4090,", "flex").startswith(wanted)
    assert "(date unknown)" in line(done.stdout, "vast", "RTX", "3090,", "interruptible")
    assert line(done.stdout, "modal", "cpu,", "core").startswith("modal cpu, core 0.0000131 (2026-07-01")
    assert len(done.stdout.splitlines()) == 1 + len(load_prices().figures) + 1
    assert done.stdout.splitlines()[-1].endswith("are over 90 days old or have no date: check them before use.")


def test_a_file_replaces_figures(tmp_path: Path) -> None:
    """A figure of the file is shown in the place of the worker's, without a mark if it is new."""
    (tmp_path / "own.toml").write_text(FRESH)
    done = cli("prices", "--file", "own.toml", cwd=tmp_path)
    wanted = "modal L40S, list 1.8 (2999-01-01) USD/GPU-hour 1.800 our contract"
    assert line(done.stdout, "modal", "L40S,") == wanted


def test_json_has_every_figure(tmp_path: Path) -> None:
    """`--json` has each figure with its mark, and no offers without `--live`."""
    (tmp_path / "own.toml").write_text(FRESH)
    body = json.loads(cli("prices", "--json", "--file", "own.toml", cwd=tmp_path).stdout)
    assert body["offers"] is None
    rows = {(row["platform"], row["gpu"] or row["table"], row["name"]): row for row in body["figures"]}
    assert len(rows) == len(load_prices().figures)
    assert rows["modal", "L40S", "list"] == {
        **{"platform": "modal", "table": "gpu", "gpu": "L40S", "name": "list", "amount": 1.8},
        **{"unit": "USD/GPU-hour", "usd_hour": 1.8, "source": "our contract", "date": "2999-01-01", "stale": False},
    }
    old = rows["vast", "RTX 3090", "interruptible"]
    assert (old["date"], old["stale"]) == (None, True)
    assert (rows["modal", "cpu", "core"]["usd_hour"], rows["modal", "cpu", "core"]["stale"]) == (None, True)


def test_live_shows_the_offers(local: LocalAccount, tmp_path: Path) -> None:
    """`--live` shows number, median and quartiles of Vast's offers for each GPU."""
    done = cli("prices", "--live", "--server-url", local.url, cwd=tmp_path, VAST_API_KEY=local.api_key)
    assert done.returncode == 0, done.stderr
    _, _, offers = done.stdout.partition("Vast's offers of machines with one GPU now")
    assert line(offers, "RTX", "4090") == "RTX 4090 5 0.400 0.500 0.600 0.1500 0.0030 0.0020"
    assert line(offers, "H100").startswith("H100 1 2.400 2.400 2.400")


def test_live_offers_as_json(local: LocalAccount, tmp_path: Path) -> None:
    """`--live --json` has an object for each GPU."""
    done = cli("prices", "--live", "--json", "--server-url", local.url, cwd=tmp_path, VAST_API_KEY=local.api_key)
    offers = json.loads(done.stdout)["offers"]
    assert [row["gpu"] for row in offers] == ["RTX 4090", "A100 40GB", "A100 80GB", "H100", "Quantum 9"]
    assert offers[0] == {
        **{"gpu": "RTX 4090", "count": 5, "lower_quartile": 0.4, "median": 0.5, "upper_quartile": 0.6},
        **{"storage_usd_gb_month": 0.15, "download_usd_gb": 0.003, "upload_usd_gb": 0.002},
    }


def test_a_market_without_offers_says_so(tmp_path: Path) -> None:
    """An empty market is no error."""
    with run_in_thread() as local:
        done = cli("prices", "--live", "--server-url", local.url, cwd=tmp_path, VAST_API_KEY=local.api_key)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == "Vast has no offers of machines with one GPU."


def test_live_needs_a_key(local: LocalAccount, tmp_path: Path) -> None:
    """Without a key, and with a wrong one, the error says what to set."""
    done = cli("prices", "--live", cwd=tmp_path)
    assert done.returncode == 1
    assert "VAST_API_KEY is not set" in done.stderr
    done = cli("prices", "--live", "--server-url", local.url, cwd=tmp_path, VAST_API_KEY="wrong")
    assert done.returncode == 1
    assert "invalid user key" in done.stderr
    assert "vast_key_refused" in done.stderr


def test_a_wrong_file_lists_its_problems(tmp_path: Path) -> None:
    """Each problem of a file is printed with its table, its field and the cure."""
    (tmp_path / "own.toml").write_text("[vast.gpu.L4]\non_demnd = 1\n[modal.cpu]\ncore = 2\n")
    done = cli("prices", "--file", "own.toml", cwd=tmp_path)
    assert done.returncode == 1
    assert "own.toml is not a valid price file" in done.stderr
    assert "[vast.gpu.L4] on_demnd: unknown figure. Did you mean 'on_demand'?" in done.stderr
    assert "[modal.cpu] core: has to be a figure: core = { amount = " in done.stderr
