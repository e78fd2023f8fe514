"""The candidates of a platform, and what they mean to the simulation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from worker.fleet.advice.candidate import Candidate, Knob
from worker.fleet.definition.fleet import Fleet
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.study.case import with_gpu, worker_gpu, worker_speed
from worker.fleet.simulation.trace import TraceJob
from worker.prices.table import PriceTable

SPARE_FACTOR = 2.0
"""The most workers that are tried, relative to the GPUs that are busy in the busiest quarter of an hour."""
QUARTER_S = 900.0


@dataclass(frozen=True, slots=True)
class SearchSpace(ABC):
    """The candidates of one platform.

    Attributes:
        fleet: The fleet file.
        jobs: The trace.
        platform: Name of the platform.
        sizes: Parameters that are numbers of workers.
    """

    fleet: Fleet
    jobs: Sequence[TraceJob]
    platform: ClassVar[str]
    sizes: ClassVar[tuple[str, ...]]

    @property
    @abstractmethod
    def readings(self) -> Mapping[str, str]:
        """What the platform may do, and nobody can choose: names, with what each does."""

    @abstractmethod
    def knobs(self, gpu: str) -> list[Knob]:
        """Return the parameters that are searched on workers with this GPU."""

    @abstractmethod
    def present(self) -> Candidate:
        """Return what the fleet file has now."""

    @abstractmethod
    def starts(self, gpu: str) -> list[Candidate]:
        """Return where searches start: workers that always run, and workers that start when jobs come."""

    @abstractmethod
    def scenario(self, candidate: Candidate, reading: str) -> FleetScenario:
        """Return the run of a candidate in one reading."""

    def volume_usd_month(self, table: PriceTable, gpu: str) -> float:
        """Return the dollars a month for storage that does not belong to a worker: a volume with the models."""
        return 0.0

    def tidy(self, candidate: Candidate) -> Candidate:
        """Return a candidate that means the same, without values that have no effect."""
        return candidate

    def moved(self, candidate: Candidate, gpu: str) -> Candidate:
        """Return the candidate with another GPU in as many workers."""
        return replace(candidate, gpu=gpu)

    def fleet_with(self, gpu: str) -> Fleet:
        """Return the fleet with a GPU. That of the file keeps the file's own speed and price."""
        return self.fleet if gpu == worker_gpu(self.fleet) else with_gpu(self.fleet, gpu)

    def peak_workers(self, gpu: str) -> int:
        """Return the workers with this GPU that the busiest quarter of an hour keeps busy, at least 1."""
        work: dict[int, float] = {}
        for job in self.jobs:
            quarter = int(job.at_s // QUARTER_S)
            work[quarter] = work.get(quarter, 0.0) + job.seconds
        busy = max(work.values(), default=0.0) / QUARTER_S
        return max(1, math.ceil(busy / worker_speed(self.fleet_with(gpu))))

    def most_workers(self, gpu: str) -> int:
        """Return the largest number of workers that is tried."""
        return max(self.fleet.endpoint.max_workers, math.ceil(SPARE_FACTOR * self.peak_workers(gpu)) + 2)


def counts(most: int, first: int) -> list[int]:
    """Return numbers of workers from `first` to `most`: each of the small ones, and steps of a quarter above."""
    counts, count = [], first
    while count < most:
        counts.append(count)
        count += max(1, count // 4)
    return [*counts, most]


def settings_of(values: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    """Return the settings of a candidate."""
    return tuple((name, float(value)) for name, value in values.items())
