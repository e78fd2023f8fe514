"""What RunPod bills for a serverless worker, and for a network volume.

Source: docs.runpod.io/serverless/pricing (2026-08-20). A worker is billed from its wake-up until it has fully stopped,
rounded up to a second: start of the container, load of the models, jobs and the idle timeout. A worker that initializes
(pulls its image), waits at zero, is throttled or is unhealthy is free. CPU and memory are part of the price of the GPU.

The container's disk is billed while the worker runs, in steps of 5 minutes. A network volume is billed by the hour,
whether workers run or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from worker.prices.bill import Bill, rounded_up
from worker.prices.figure import HOUR_S
from worker.prices.table import PriceTable
from worker.prices.worker_life import Resources, WorkerLife

GPU_STEP_S = 1.0
DISK_STEP_S = 300.0


@dataclass(frozen=True, slots=True)
class RunpodRates:
    """Prices in US dollars. A network volume has one price up to `volume_first_gb`, and another for what exceeds it."""

    gpu_usd_s: float
    disk_usd_gb_s: float
    volume_usd_gb_s: float
    volume_first_gb: float
    volume_beyond_usd_gb_s: float

    @classmethod
    def of(cls, table: PriceTable, gpu: str, rate: str = "flex") -> Self:
        """Return the prices of a GPU. Raises UnknownPrice when the table has no price of it at this rate."""
        return cls(
            gpu_usd_s=table.gpu("runpod", gpu, rate).usd_second,
            disk_usd_gb_s=table.figure("runpod", "disk", "container").usd_second,
            volume_usd_gb_s=table.figure("runpod", "volume", "first").usd_second,
            volume_first_gb=table.figure("runpod", "volume", "first_size").amount,
            volume_beyond_usd_gb_s=table.figure("runpod", "volume", "beyond").usd_second,
        )


def runpod_bill(life: WorkerLife, use: Resources, rates: RunpodRates) -> Bill:
    """Return what RunPod bills for a worker's life, without network volumes. Each run is rounded up separately."""
    gpu_s = disk_s = 0.0
    for run in life.runs:
        run_s = run.stopped - run.load_start
        disk_s += rounded_up(run_s, DISK_STEP_S)
        gpu_s += rounded_up(run_s - run.error_s if run.errors else run_s, GPU_STEP_S)
    return Bill(gpu=use.gpus * gpu_s * rates.gpu_usd_s, storage=use.disk_gb * disk_s * rates.disk_usd_gb_s)


def runpod_volume_bill(size_gb: float, hours: float, rates: RunpodRates) -> Bill:
    """Return what RunPod bills for a network volume of this size. A started hour counts as a whole one."""
    seconds = rounded_up(hours * HOUR_S, HOUR_S)
    first_gb = min(size_gb, rates.volume_first_gb)
    beyond_gb = size_gb - first_gb
    return Bill(storage=seconds * (first_gb * rates.volume_usd_gb_s + beyond_gb * rates.volume_beyond_usd_gb_s))
