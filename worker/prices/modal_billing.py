"""What Modal bills for a container, and for volumes.

Source: modal.com/pricing (2026-07-01) and modal.com/docs/guide/resources. A container is billed by the second, without
rounding, from its start until its end: start-up, jobs, idle time (`scaledown_window`, `min_containers`,
`buffer_containers`) and drain. Failed starts are billed too.

GPU, CPU and memory are billed apart. CPU and memory count with the larger of what was requested and what was used. A
request for more than 512 GiB of disk raises the memory that is billed to a twentieth of it. Volumes are billed by the
day.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from worker.prices.bill import Bill, rounded_up
from worker.prices.figure import DAY_S, HOUR_S
from worker.prices.table import PriceTable
from worker.prices.worker_life import Resources, WorkerLife

FREE_DISK_GIB = 512.0
DISK_PER_MEMORY = 20.0
"""GiB of disk that cost as much as one GiB of memory."""
DAYS_AFTER_DELETION = 4.0
"""Days for which a deleted volume may still be billed."""


@dataclass(frozen=True, slots=True)
class ModalRates:
    """Prices in US dollars.

    `factor` multiplies the prices of GPU, CPU and memory: `[modal.extras]` has those of a chosen region.
    """

    gpu_usd_s: float
    core_usd_s: float
    gib_usd_s: float
    least_cores: float
    least_gib: float
    volume_usd_gib_s: float
    free_volume_gib: float
    factor: float = 1.0

    @classmethod
    def of(cls, table: PriceTable, gpu: str, factor: float = 1.0) -> Self:
        """Return the prices of a GPU. Raises UnknownPrice when the table has no price of it."""
        return cls(
            gpu_usd_s=table.gpu("modal", gpu).usd_second,
            core_usd_s=table.figure("modal", "cpu", "core").usd_second,
            gib_usd_s=table.figure("modal", "memory", "gib").usd_second,
            least_cores=table.figure("modal", "cpu", "least").amount,
            least_gib=table.figure("modal", "memory", "least").amount,
            volume_usd_gib_s=table.figure("modal", "volume", "gib").usd_second,
            free_volume_gib=table.figure("modal", "volume", "free").amount,
            factor=factor,
        )


def modal_bill(life: WorkerLife, use: Resources, rates: ModalRates) -> Bill:
    """Return what Modal bills for a container's life, without volumes.

    A request of 0 cores or 0 GiB of memory is Modal's default request.
    """
    seconds = 0.0
    for run in life.runs:
        seconds += run.stopped - run.load_start
    cores = max(use.cpu_cores, use.cpu_cores_used, rates.least_cores)
    gib = max(use.memory_gib, use.memory_gib_used, rates.least_gib)
    if use.disk_gb > FREE_DISK_GIB:
        gib = max(gib, use.disk_gb / DISK_PER_MEMORY)
    billed = seconds * rates.factor
    return Bill(
        gpu=use.gpus * billed * rates.gpu_usd_s,
        cpu=cores * billed * rates.core_usd_s,
        memory=gib * billed * rates.gib_usd_s,
    )


def modal_volume_bill(size_gib: float, hours: float, rates: ModalRates, *, deleted: bool = False) -> Bill:
    """Return what Modal bills for all volumes of a workspace, of this size together.

    A started day counts as a whole one. With `deleted`, it includes the days for which Modal may bill them after their
    deletion.
    """
    seconds = rounded_up(hours * HOUR_S, DAY_S) + (DAYS_AFTER_DELETION * DAY_S if deleted else 0.0)
    return Bill(storage=max(size_gib - rates.free_volume_gib, 0.0) * seconds * rates.volume_usd_gib_s)
