"""The bill of a simulated run: the lives of its workers by the platform's billing rule and the price table."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from worker.errors import UnknownPrice
from worker.fleet.definition.fleet import Fleet
from worker.fleet.simulation.life import LifeInterval, LifeState, SimulatedLife
from worker.fleet.simulation.study.case import worker_gpu
from worker.prices.bill import Bill
from worker.prices.fields import GPU, RATES, FigureKey
from worker.prices.figure import Figure, Unit
from worker.prices.gpu_names import price_class
from worker.prices.modal_billing import ModalRates, modal_bill
from worker.prices.runpod_billing import RunpodRates, runpod_bill
from worker.prices.table import PriceTable
from worker.prices.vast_billing import VastRates, vast_bill
from worker.prices.worker_life import Resources, WorkerLife, WorkerRun

FILE_PRICE = "usd_hour of the fleet file"

LifeBill = Callable[[WorkerLife], Bill]


@dataclass(frozen=True, slots=True)
class StudyPrices:
    """What a worker costs on one platform.

    Attributes:
        gpu: Name of the GPU.
        figure: Price of the GPU, None if none is known. Then nothing is billed.
        bill: Returns the bill of a worker's life.
        problem: Why there is no price, or empty.
    """

    gpu: str
    figure: Figure | None
    bill: LifeBill | None
    problem: str = ""

    def total(self, lives: Iterable[SimulatedLife], billed: Collection[LifeState]) -> Bill | None:
        """Return the bill of all workers, None without a price. `billed` are the states in which a GPU is billed."""
        if self.bill is None:
            return None
        total = Bill()
        for life in lives:
            total += self.bill(billed_life(life, billed))
        return total


def study_prices(fleet: Fleet, platform: str, table: PriceTable, today: datetime.date) -> StudyPrices:
    """Return the prices of a fleet's workers on a platform: of its file if that has one, else of the table."""
    gpu = worker_gpu(fleet)
    if fleet.simulation.usd_hour is not None:
        key = FigureKey(platform, GPU, RATES[platform][0], price_class(gpu, platform) or gpu)
        table = table.merged({key: Figure(fleet.simulation.usd_hour, Unit.GPU_HOUR, FILE_PRICE, today.isoformat())})
    use = Resources(disk_gb=fleet.template.disk_gb)
    try:
        return StudyPrices(gpu, table.gpu(platform, gpu), _BILLS[platform](table, gpu, use))
    except UnknownPrice as error:
        return StudyPrices(gpu, None, None, f"{error} Or set usd_hour in [simulation].")


def billed_life(life: SimulatedLife, billed: Collection[LifeState]) -> WorkerLife:
    """Return a worker's life in the terms of the billing rules.

    A run is billed from its first interval in one of the states `billed`.
    """
    first, last = life.intervals[0], life.intervals[-1]
    return WorkerLife(first.start_s, tuple(_run(run, billed) for run in _runs(life.intervals)), last.end_s)


def _runs(intervals: Sequence[LifeInterval]) -> Iterator[list[LifeInterval]]:
    """Yield the intervals of each time that a worker was awake."""
    run: list[LifeInterval] = []
    for interval in intervals:
        if interval.state in (LifeState.CREATING, LifeState.INACTIVE):
            if run:
                yield run
            run = []
        else:
            run.append(interval)
    if run:
        yield run


def _run(run: Sequence[LifeInterval], billed: Collection[LifeState]) -> WorkerRun:
    """Return a run in the terms of the billing rules."""
    end_s = run[-1].end_s
    load_start = next((interval.start_s for interval in run if interval.state in billed), end_s)
    serving = (LifeState.READY, LifeState.DRAINING)
    ready = next((interval.start_s for interval in run if interval.state in serving), end_s)
    return WorkerRun(pull_start=run[0].start_s, load_start=load_start, ready=ready, stopped=end_s)


def _vast(table: PriceTable, gpu: str, use: Resources) -> LifeBill:
    return partial(vast_bill, use=use, rates=VastRates.of(table, gpu))


def _runpod(table: PriceTable, gpu: str, use: Resources) -> LifeBill:
    return partial(runpod_bill, use=use, rates=RunpodRates.of(table, gpu))


def _modal(table: PriceTable, gpu: str, use: Resources) -> LifeBill:
    return partial(modal_bill, use=use, rates=ModalRates.of(table, gpu))


_BILLS: Mapping[str, Callable[[PriceTable, str, Resources], LifeBill]] = {
    "vast": _vast,
    "runpod": _runpod,
    "modal": _modal,
}
"""By the name of the platform. Each raises UnknownPrice."""
