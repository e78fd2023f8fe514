"""The GPUs that are compared."""

from __future__ import annotations

from worker.errors import UnknownPrice
from worker.fleet.definition.fleet import Fleet
from worker.fleet.simulation.study.case import worker_gpu
from worker.prices.table import PriceTable


def gpus_to_compare(fleet: Fleet, platform: str, table: PriceTable) -> list[str]:
    """Return the GPU of `[simulation]`, or else those of all groups, the file's own first.

    If none of them has a price on the platform, such as an RTX 4090 at Modal, all GPUs with a price there are returned.
    """
    if fleet.simulation.gpu or fleet.simulation.usd_hour is not None:
        return [worker_gpu(fleet)]
    names = [worker_gpu(fleet), *(gpu for group in fleet.groups.values() for gpu in group.gpus)]
    names = list(dict.fromkeys(names))
    return names if any(_has_price(table, platform, name) for name in names) else list(table.gpus(platform))


def _has_price(table: PriceTable, platform: str, gpu: str) -> bool:
    """Return whether a GPU has a price on a platform."""
    try:
        table.gpu(platform, gpu)
    except UnknownPrice:
        return False
    return True
