"""RunPod's bill for the life of a worker, against sums that were worked by hand."""

from __future__ import annotations

import pytest

from worker.prices.price_file import load_prices
from worker.prices.runpod_billing import RunpodRates, runpod_bill, runpod_volume_bill
from worker.prices.worker_life import Resources, WorkerLife, WorkerRun

HOUR = 3600.0
RATES = RunpodRates.of(load_prices(), "RTX 4090")
"""$0.00031 a second, disk $0.10 and volume $0.07 per GB and month, $0.05 beyond 1 TB (2026-08-20)."""


def once(*times: float) -> WorkerLife:
    """Return a life with one run from its beginning to its end."""
    run = WorkerRun(*times)
    return WorkerLife(run.pull_start, (run,), run.stopped)


def test_start_load_jobs_and_idle_timeout_are_billed() -> None:
    """A worker is billed from its wake-up until the end of the idle timeout, and not for the pull of its image.

    Initializing (pull) 0-90 s, container start and load 90-110 s, jobs 110-140 s, idle timeout of 5 s until 145 s.
    Billed: 20 + 30 + 5 = 55 s. At $0.00031: $0.01705.
    """
    bill = runpod_bill(once(0, 90, 110, 145), Resources(), RATES)
    assert bill.gpu == pytest.approx(0.01705)
    assert bill.total == bill.gpu


def test_each_run_is_rounded_up_to_a_second() -> None:
    """Each wake-up is rounded up separately.

    Runs of 10.2 s and of 4.01 s are billed as 11 + 5 = 16 s. At $0.00031: $0.00496. 14.21 s would be $0.00465.
    """
    runs = (WorkerRun(0, 0, 3, 10.2), WorkerRun(100, 100, 101, 104.01))
    assert runpod_bill(WorkerLife(0, runs, 104.01), Resources(), RATES).gpu == pytest.approx(0.00496)


def test_whole_seconds_are_not_rounded_up() -> None:
    """An error of floating-point numbers starts no further second.

    1.1 + 2.2 - 0.3 is a little more than 3. It is billed as 3 s: $0.00093.
    """
    assert 1.1 + 2.2 - 0.3 > 3
    assert runpod_bill(once(0.3, 0.3, 0.3, 1.1 + 2.2), Resources(), RATES).gpu == pytest.approx(0.00093)


def test_an_unhealthy_worker_is_free() -> None:
    """The state Unhealthy is not billed.

    A run of 100 s, of which 40 s unhealthy: 60 s x 0.00031 = $0.0186.
    """
    run = WorkerRun(0, 0, 10, 100, errors=((60, 100),))
    assert runpod_bill(WorkerLife(0, (run,), 100), Resources(), RATES).gpu == pytest.approx(0.0186)


def test_a_worker_that_waits_at_zero_is_free() -> None:
    """A worker that is initialized and never woken costs nothing."""
    assert runpod_bill(WorkerLife(0, (), 24 * HOUR), Resources(disk_gb=50), RATES).total == 0.0


def test_the_disk_is_billed_in_steps_of_five_minutes() -> None:
    """The container's disk is billed while the worker runs, in steps of 300 s.

    50 GB for runs of 301 s and 299 s: 600 + 300 = 900 s = 0.25 h. 50 x 0.10 x 0.25 / 720 = $0.0017361.
    GPU: 301 + 299 = 600 s x 0.00031 = $0.186.
    """
    runs = (WorkerRun(0, 0, 10, 301), WorkerRun(1000, 1000, 1001, 1299))
    bill = runpod_bill(WorkerLife(0, runs, 1299), Resources(disk_gb=50), RATES)
    assert bill.storage == pytest.approx(0.0017361, abs=1e-7)
    assert bill.gpu == pytest.approx(0.186)


def test_memory_and_cpu_are_part_of_the_price() -> None:
    """Memory and CPU above any request change nothing."""
    use = Resources(cpu_cores=4, cpu_cores_used=16, memory_gib=16, memory_gib_used=64)
    bill = runpod_bill(once(0, 0, 10, 100), use, RATES)
    assert (bill.cpu, bill.memory, bill.total) == (0.0, 0.0, pytest.approx(0.031))


def test_a_volume_is_billed_by_the_hour() -> None:
    """A started hour counts as a whole one.

    200 GB for 71.2 h count as 72 h: 200 x 0.07 x 72 / 720 = $1.40.
    """
    assert runpod_volume_bill(200, 71.2, RATES).storage == pytest.approx(1.40)


def test_a_large_volume_is_cheaper_beyond_a_terabyte() -> None:
    """The first 1,000 GB cost $0.07, and those beyond $0.05.

    1,500 GB for 720 h: 1,000 x 0.07 + 500 x 0.05 = 70 + 25 = $95.
    """
    assert runpod_volume_bill(1500, 720, RATES).storage == pytest.approx(95.0)


def test_an_hour_costs_what_the_docs_say() -> None:
    """An hour of a 4090, an L40S and an H100 costs $1.116, $1.908 and $4.176.

    Source: RunPod's serverless pricing table of 2026-06-08, as prices per hour. 3,600 x 0.00031 = 1.116, 3,600 x
    0.00053 = 1.908, 3,600 x 0.00116 = 4.176.
    """
    for gpu, usd in (("RTX 4090", 1.116), ("L40S", 1.908), ("H100", 4.176)):
        bill = runpod_bill(once(0, 0, 0, HOUR), Resources(), RunpodRates.of(load_prices(), gpu))
        assert bill.total == pytest.approx(usd)


def test_a_thousand_pictures_cost_what_the_comparison_says() -> None:
    """1,000 SDXL pictures cost $0.86 on a 4090 and $1.73 on an A100, as computed on 2026-11-28.

    Source: the comparison of prices of 2026-11-28 (docs/prices.md). 2,760 s x 0.00031 = $0.8556; 2,280 s x 0.00076 =
    $1.7328.
    """
    for gpu, seconds, usd in (("RTX 4090", 2760, 0.8556), ("A100", 2280, 1.7328)):
        bill = runpod_bill(once(0, 0, 0, seconds), Resources(), RunpodRates.of(load_prices(), gpu))
        assert bill.total == pytest.approx(usd)


def test_active_workers_have_their_own_price() -> None:
    """An active 4090 costs 3,600 x 0.00021 = $0.756 an hour, by an older page."""
    rates = RunpodRates.of(load_prices(), "RTX 4090", "active")
    assert runpod_bill(once(0, 0, 0, HOUR), Resources(), rates).gpu == pytest.approx(0.756)
