"""Modal's bill for the life of a container, against sums that were worked by hand."""

from __future__ import annotations

import pytest

from worker.prices.modal_billing import ModalRates, modal_bill, modal_volume_bill
from worker.prices.price_file import load_prices
from worker.prices.worker_life import Resources, WorkerLife, WorkerRun

HOUR = 3600.0
RATES = ModalRates.of(load_prices(), "L40S")
"""$0.000542 a second, a core $0.0000131, a GiB $0.00000222, volumes $0.09 per GiB and month (2026-07-01)."""
USE = Resources(cpu_cores=2, memory_gib=16)


def once(*times: float) -> WorkerLife:
    """Return a life with one run from its beginning to its end."""
    run = WorkerRun(*times)
    return WorkerLife(run.pull_start, (run,), run.stopped)


def test_start_load_jobs_and_idle_are_billed() -> None:
    """A container is billed from its start to its end, for GPU, CPU and memory.

    Container start at 30 s, ready at 75 s, jobs until 315 s, scaledown window of 60 s until 375 s, drain until 380 s:
    350 s. GPU: 350 x 0.000542 = $0.1897. CPU: 2 x 350 x 0.0000131 = $0.00917. Memory: 16 x 350 x 0.00000222 =
    $0.012432. Together $0.211302.
    """
    bill = modal_bill(once(0, 30, 75, 380), USE, RATES)
    assert bill.gpu == pytest.approx(0.1897)
    assert bill.cpu == pytest.approx(0.00917)
    assert bill.memory == pytest.approx(0.012432)
    assert bill.total == pytest.approx(0.211302)


def test_a_second_is_not_rounded() -> None:
    """A container of 0.5 s costs half a second: 0.5 x 0.000542 = $0.000271."""
    assert modal_bill(once(0, 0, 0.5, 0.5), USE, RATES).gpu == pytest.approx(0.000271)


def test_use_above_the_request_is_billed() -> None:
    """CPU and memory count with the larger of request and use.

    1,000 s with 16 GiB requested and 40 GiB used: 40 x 1,000 x 0.00000222 = $0.0888. 2 cores requested, 0.5 used: 2 x
    1,000 x 0.0000131 = $0.0262.
    """
    use = Resources(cpu_cores=2, cpu_cores_used=0.5, memory_gib=16, memory_gib_used=40)
    bill = modal_bill(once(0, 0, 10, 1000), use, RATES)
    assert bill.memory == pytest.approx(0.0888)
    assert bill.cpu == pytest.approx(0.0262)


def test_a_request_above_the_use_is_billed() -> None:
    """What was requested and not used is billed: 64 GiB for 1,000 s are 64 x 1,000 x 0.00000222 = $0.14208."""
    use = Resources(memory_gib=64, memory_gib_used=10)
    assert modal_bill(once(0, 0, 10, 1000), use, RATES).memory == pytest.approx(0.14208)


def test_the_default_request_is_the_least() -> None:
    """Without a request, Modal requests 0.125 cores and 128 MiB.

    1,000 s: 0.125 x 1,000 x 0.0000131 = $0.0016375, and 0.125 x 1,000 x 0.00000222 = $0.0002775.
    """
    bill = modal_bill(once(0, 0, 10, 1000), Resources(), RATES)
    assert (bill.cpu, bill.memory) == (pytest.approx(0.0016375), pytest.approx(0.0002775))


def test_a_large_disk_raises_the_memory() -> None:
    """A request for more than 512 GiB of disk is billed as a twentieth of it in memory, if that is more.

    1,000 GiB: 50 GiB of memory. For 1,000 s: 50 x 1,000 x 0.00000222 = $0.111. 512 GiB change nothing: 16 GiB of memory
    are $0.03552.
    """
    life = once(0, 0, 10, 1000)
    assert modal_bill(life, Resources(memory_gib=16, disk_gb=1000), RATES).memory == pytest.approx(0.111)
    assert modal_bill(life, Resources(memory_gib=16, disk_gb=512), RATES).memory == pytest.approx(0.03552)
    assert modal_bill(life, Resources(memory_gib=16, disk_gb=1000), RATES).storage == 0.0


def test_failed_starts_are_billed() -> None:
    """A container that fails to start is billed like any other: 20 s x 0.000542 = $0.01084."""
    run = WorkerRun(0, 0, 20, 20, errors=((0, 20),))
    assert modal_bill(WorkerLife(0, (run,), 20), USE, RATES).gpu == pytest.approx(0.01084)


def test_a_region_multiplies_gpu_cpu_and_memory() -> None:
    """A factor of 1.5 multiplies the three prices.

    1,000 s: GPU 1.5 x 0.542 = $0.813, CPU 1.5 x 0.0262 = $0.0393, memory 1.5 x 0.03552 = $0.05328.
    """
    factor = load_prices().figure("modal", "extras", "region_low").amount
    bill = modal_bill(once(0, 0, 0, 1000), USE, ModalRates.of(load_prices(), "L40S", factor))
    assert (bill.gpu, bill.cpu, bill.memory) == (
        pytest.approx(0.813),
        pytest.approx(0.0393),
        pytest.approx(0.05328),
    )


def test_a_tebibyte_of_volumes_is_free() -> None:
    """The first 1,024 GiB of volumes cost nothing, and further ones $0.09 a month.

    1,524 GiB for 30 days: 500 x 0.09 = $45. 1,024 GiB: nothing.
    """
    assert modal_volume_bill(1524, 720, RATES).storage == pytest.approx(45.0)
    assert modal_volume_bill(1024, 720, RATES).total == 0.0


def test_volumes_are_billed_by_the_day() -> None:
    """A started day counts as a whole one, and a deleted volume may cost 4 days more.

    1,124 GiB for 50 h count as 3 days: 100 x 0.09 x 3 / 30 = $0.90. With the 4 days after the deletion: 100 x 0.09 x
    7 / 30 = $2.10.
    """
    assert modal_volume_bill(1124, 50, RATES).storage == pytest.approx(0.90)
    assert modal_volume_bill(1124, 50, RATES, deleted=True).storage == pytest.approx(2.10)


def test_an_hour_costs_what_the_page_says() -> None:
    """The GPU alone costs $1.951 an hour for an L40S, $2.498 for an A100 80GB and $3.949 for an H100.

    Source: a page of 2026-05-07. 3,600 x 0.000542 = 1.9512, 3,600 x 0.000694 = 2.4984, 3,600 x 0.001097 = 3.9492.
    """
    for gpu, usd in (("L40S", 1.951), ("A100-80GB", 2.498), ("H100", 3.949)):
        bill = modal_bill(once(0, 0, 0, HOUR), Resources(), ModalRates.of(load_prices(), gpu))
        assert bill.gpu == pytest.approx(usd, abs=5e-4)


def test_a_container_that_is_always_there_costs_about_1400_a_month() -> None:
    """`min_containers=1` on an L40S is known to cost about $1,400 a month: 720 h x 1.9512 = $1,404.86 for the GPU."""
    bill = modal_bill(once(0, 0, 0, 720 * HOUR), Resources(), RATES)
    assert bill.gpu == pytest.approx(1404.86, abs=0.01)


def test_a_thousand_pictures_cost_what_the_comparison_says() -> None:
    """1,000 SDXL pictures on an A100 80GB cost $1.58, as computed on 2026-11-28 for the GPU.

    Source: the comparison of prices of 2026-11-28 (docs/prices.md). 2,280 s x 0.000694 = $1.58232.
    """
    bill = modal_bill(once(0, 0, 0, 2280), Resources(), ModalRates.of(load_prices(), "A100-80GB"))
    assert bill.gpu == pytest.approx(1.58232)
