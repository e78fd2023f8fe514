"""What Vast bills for a worker of a serverless endpoint.

Source: docs.vast.ai/documentation/serverless/pricing. Every state is billed by the second, without rounding, a minimum
or a surcharge for serverless:

| State | GPU | storage |
|---|---|---|
| Creating | no | yes |
| Loading (pull of the image and load of the models), Starting, Ready | yes | yes |
| Inactive | no | yes, perhaps at a higher price |
| Error | no | yes |

Traffic is billed per GB in both directions, at the prices of the host.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from worker.prices.bill import Bill
from worker.prices.figure import Figure
from worker.prices.table import PriceTable
from worker.prices.worker_life import Resources, WorkerLife


@dataclass(frozen=True, slots=True)
class VastRates:
    """Prices in US dollars. None is a price that is not known, because each host sets its own."""

    gpu_usd_s: float
    storage_usd_gb_s: float | None = None
    stopped_usd_gb_s: float | None = None
    """Price of the storage of an inactive worker."""
    download_usd_gb: float | None = None
    upload_usd_gb: float | None = None

    @classmethod
    def of(cls, table: PriceTable, gpu: str, rate: str = "on_demand") -> Self:
        """Return the prices of a GPU. Without a price for stopped workers, it is that for running ones.

        Raises UnknownPrice when the table has no price of the GPU at this rate.
        """
        running = table.find("vast", "storage", "running")
        return cls(
            gpu_usd_s=table.gpu("vast", gpu, rate).usd_second,
            storage_usd_gb_s=_usd_second(running),
            stopped_usd_gb_s=_usd_second(table.find("vast", "storage", "stopped") or running),
            download_usd_gb=_amount(table.find("vast", "traffic", "download")),
            upload_usd_gb=_amount(table.find("vast", "traffic", "upload")),
        )


def vast_bill(life: WorkerLife, use: Resources, rates: VastRates) -> Bill:
    """Return what Vast bills for a worker's life. `Bill.unpriced` can have `storage`, `download` and `upload`."""
    awake_s = gpu_s = 0.0
    for run in life.runs:
        run_s = run.stopped - run.pull_start
        awake_s += run_s
        gpu_s += run_s - run.error_s if run.errors else run_s
    first_stop = life.runs[0].stopped if life.runs else life.removed
    first_awake_s = first_stop - life.runs[0].pull_start if life.runs else 0.0
    inactive_s = life.removed - first_stop - (awake_s - first_awake_s)
    running_s = life.removed - life.created - inactive_s
    unpriced: list[str] = []
    storage = _storage(use.disk_gb, running_s, inactive_s, rates)
    if storage is None:
        unpriced.append("storage")
    traffic = 0.0
    for name, size_gb, price in (
        ("download", use.download_gb, rates.download_usd_gb),
        ("upload", use.upload_gb, rates.upload_usd_gb),
    ):
        if price is not None:
            traffic += size_gb * price
        elif size_gb:
            unpriced.append(name)
    return Bill(gpu=use.gpus * gpu_s * rates.gpu_usd_s, storage=storage or 0.0, other=traffic, unpriced=tuple(unpriced))


def _storage(disk_gb: float, running_s: float, inactive_s: float, rates: VastRates) -> float | None:
    """Return the price of a disk for its time in a running and in an inactive worker, or None if it is not known."""
    if not disk_gb:
        return 0.0
    running, stopped = rates.storage_usd_gb_s, rates.stopped_usd_gb_s
    if running is None or (stopped is None and inactive_s > 0):
        return None
    return disk_gb * (running_s * running + inactive_s * (stopped or 0.0))


def _usd_second(figure: Figure | None) -> float | None:
    """Return the price of a second, or None for a price that is not known."""
    return None if figure is None else figure.usd_second


def _amount(figure: Figure | None) -> float | None:
    """Return the amount of a figure, or None for one that is not known."""
    return None if figure is None else figure.amount
