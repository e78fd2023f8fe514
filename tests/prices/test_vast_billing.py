"""Vast's bill for the life of a worker, against sums that were worked by hand."""

from __future__ import annotations

import pytest

from worker.prices.figure import MONTH_S
from worker.prices.price_file import load_prices
from worker.prices.vast_billing import VastRates, vast_bill
from worker.prices.worker_life import Resources, WorkerLife, WorkerRun

HOUR = 3600.0
RATES = VastRates(
    gpu_usd_s=0.45 / HOUR,
    storage_usd_gb_s=0.15 / MONTH_S,
    stopped_usd_gb_s=0.30 / MONTH_S,
    download_usd_gb=0.003,
    upload_usd_gb=0.002,
)
GPU_ONLY = VastRates(gpu_usd_s=0.45 / HOUR)


def test_loading_and_ready_are_billed_and_creating_is_not() -> None:
    """The GPU is billed from the pull of the image until the stop.

    Creating 0-60 s, pull 60-240 s, load 240-360 s, ready 360-1,860 s with 600 s of jobs, then removed.
    Billed: 180 + 120 + 1,500 = 1,800 s. At $0.45 an hour: 0.5 h x 0.45 = $0.225.
    """
    run = WorkerRun(60, 240, 360, 1860, busy=((400, 700), (900, 1200)))
    bill = vast_bill(WorkerLife(0, (run,), 1860), Resources(), GPU_ONLY)
    assert bill.gpu == pytest.approx(0.225)
    assert bill.total == bill.gpu
    assert (run.busy_s, run.idle_s) == (600, 900)


def test_a_second_is_not_rounded() -> None:
    """Vast bills by the second, and no rounding or minimum is documented.

    A run of 1.5 s at $0.45 an hour: 1.5 / 3,600 x 0.45 = $0.0001875.
    """
    bill = vast_bill(WorkerLife(0, (WorkerRun(0, 0, 1.5, 1.5),), 1.5), Resources(), GPU_ONLY)
    assert bill.gpu == pytest.approx(0.0001875)


def test_a_wake_up_is_billed_and_the_time_between_is_not() -> None:
    """Starting is billed, and Inactive is not.

    First run 0-1,000 s. Inactive 1,000-10,000 s. Second run: starting 10,000-10,045 s, ready until 10,800 s.
    Billed: 1,000 + 800 = 1,800 s = 0.5 h, at $0.45: $0.225.
    """
    runs = (WorkerRun(0, 300, 400, 1000), WorkerRun(10_000, 10_000, 10_045, 10_800))
    assert vast_bill(WorkerLife(0, runs, 20_000), Resources(), GPU_ONLY).gpu == pytest.approx(0.225)


def test_an_error_is_not_billed() -> None:
    """The GPU is free while the worker is in the state Error.

    A run of 3,600 s, of which 900 s in error: 2,700 s = 0.75 h, at $0.45: $0.3375.
    """
    life = WorkerLife(0, (WorkerRun(0, 0, 100, 3600, errors=((2000, 2900),)),), 3600)
    assert vast_bill(life, Resources(), GPU_ONLY).gpu == pytest.approx(0.3375)


def test_storage_is_billed_from_creation_to_removal() -> None:
    """The disk is billed in each state, and at another price while the worker is inactive.

    100 GB for 30 days of 24 h: created at 0, awake 1-241 h, inactive for the other 479 h of 720 h.
    Running price, 241 h: 100 x 0.15 x 241 / 720 = $5.0208. Inactive, 479 h: 100 x 0.30 x 479 / 720 = $19.9583.
    Together $24.9792. GPU: 240 h x 0.45 = $108.
    """
    life = WorkerLife(0, (WorkerRun(1 * HOUR, 1 * HOUR, 2 * HOUR, 241 * HOUR),), 720 * HOUR)
    bill = vast_bill(life, Resources(disk_gb=100), RATES)
    assert bill.storage == pytest.approx(24.9792, abs=1e-4)
    assert bill.gpu == pytest.approx(108)
    assert bill.total == pytest.approx(132.9792, abs=1e-4)


def test_a_disk_is_billed_between_two_runs() -> None:
    """The time between two runs counts as inactive, and that before the first run does not.

    10 GB. Created at 0, awake 10-20 h, inactive 20-50 h, awake 50-60 h, inactive 60-72 h, removed at 72 h.
    Running price, 10 + 10 + 10 = 30 h: 10 x 0.15 x 30 / 720 = $0.0625. Inactive, 30 + 12 = 42 h: 10 x 0.30 x 42 / 720 =
    $0.175. Together $0.2375.
    """
    runs = (
        WorkerRun(10 * HOUR, 10 * HOUR, 11 * HOUR, 20 * HOUR),
        WorkerRun(50 * HOUR, 50 * HOUR, 50 * HOUR, 60 * HOUR),
    )
    bill = vast_bill(WorkerLife(0, runs, 72 * HOUR), Resources(disk_gb=10), RATES)
    assert bill.storage == pytest.approx(0.2375)


def test_a_worker_that_never_starts_costs_its_disk() -> None:
    """A worker that is only created costs storage, and no GPU.

    50 GB for 72 h: 50 x 0.15 x 72 / 720 = $0.75.
    """
    bill = vast_bill(WorkerLife(0, (), 72 * HOUR), Resources(disk_gb=50), RATES)
    assert (bill.gpu, bill.storage) == (0.0, pytest.approx(0.75))


def test_traffic_is_billed_in_both_directions() -> None:
    """Traffic costs the host's price per GB.

    20 GB in at $0.003 and 5 GB out at $0.002: 0.06 + 0.01 = $0.07.
    """
    bill = vast_bill(WorkerLife(0, (), 0), Resources(download_gb=20, upload_gb=5), RATES)
    assert bill.other == pytest.approx(0.07)


def test_each_gpu_is_billed() -> None:
    """A worker with two GPUs costs twice the price of one: 2 x 1 h x 0.45 = $0.90."""
    life = WorkerLife(0, (WorkerRun(0, 0, 0, HOUR),), HOUR)
    assert vast_bill(life, Resources(gpus=2), GPU_ONLY).gpu == pytest.approx(0.9)


def test_items_without_a_price_are_named() -> None:
    """Storage and traffic whose prices are not known are not in the total, and the bill names them."""
    life = WorkerLife(0, (WorkerRun(0, 0, 0, HOUR),), HOUR)
    use = Resources(disk_gb=40, download_gb=10, upload_gb=1)
    bill = vast_bill(life, use, GPU_ONLY)
    assert bill.total == pytest.approx(0.45)
    assert bill.unpriced == ("storage", "download", "upload")
    assert vast_bill(life, Resources(), GPU_ONLY).unpriced == ()
    assert vast_bill(life, use, RATES).unpriced == ()


def test_the_shipped_table_has_no_prices_of_storage() -> None:
    """Hosts set the prices of storage and traffic, and no typical one is published."""
    rates = VastRates.of(load_prices(), "H100")
    assert rates.gpu_usd_s == pytest.approx(2.40 / HOUR)
    assert (rates.storage_usd_gb_s, rates.stopped_usd_gb_s, rates.download_usd_gb) == (None, None, None)


def test_a_thousand_pictures_cost_what_the_comparison_says() -> None:
    """1,000 SDXL pictures on a 4090 that is busy all the time cost $0.33 to $0.67, as computed on 2026-11-28.

    Source: the comparison of prices of 2026-11-28 (docs/prices.md). 2.76 s each are 2,760 s = 0.7667 h. At $0.43 an
    hour $0.3297, and at $0.88 $0.6747.
    """
    low, high = load_prices().gpu_range("vast", "RTX 4090")
    life = WorkerLife(0, (WorkerRun(0, 0, 0, 2760),), 2760)
    prices = [vast_bill(life, Resources(), VastRates(figure.usd_second)).total for figure in (low, high)]
    assert prices == [pytest.approx(0.3297, abs=1e-4), pytest.approx(0.6747, abs=1e-4)]
