"""The parameters of an endpoint at Vast."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from worker.fleet.advice.candidate import Candidate, Knob
from worker.fleet.advice.spaces.search_space import SearchSpace, counts
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.study.case import READINGS, study_cases, worker_gpu, worker_speed

HALF = 0.5
"""min_load = 1.5 keeps two workers of speed 1, and still does if they are a little slower or faster than expected."""
FRACTIONS = frozenset({"min_load", "target_util", "cold_mult", "inactivity_timeout", "target_queue_time"})
"""Parameters that are no whole numbers."""


class VastSpace(SearchSpace):
    """Parameters of an endpoint at Vast, by the names of the fleet file."""

    __slots__ = ()
    platform = "vast"
    sizes = ("min_load", "cold_workers", "max_workers")

    NAMES = (
        *("min_load", "cold_workers", "max_workers", "target_util"),
        *("inactivity_timeout", "target_queue_time", "cold_mult"),
    )

    @property
    def readings(self) -> Mapping[str, str]:
        """The readings of the fleet file."""
        return {letter: READINGS[letter][1] for letter in self.fleet.simulation.readings}

    def knobs(self, gpu: str) -> list[Knob]:
        """Return the parameters, those with the largest effect first."""
        most = self.most_workers(gpu)
        return [
            Knob("min_load", tuple(self._min_load(gpu, count) for count in counts(most, first=0))),
            Knob("inactivity_timeout", (60.0, 180.0, 600.0, 1800.0, 3600.0, -1.0), zero_is_never=True),
            Knob("cold_mult", (1.0, 1.5, 2.5)),
            Knob("cold_workers", tuple(map(float, counts(most, first=0)))),
            Knob("max_workers", tuple(map(float, counts(most, first=1)))),
            Knob("target_util", (0.2, 0.35, 0.5, 0.7, 0.9, 1.0)),
            Knob("target_queue_time", (5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 240.0)),
        ]

    def present(self) -> Candidate:
        """Return the values of the fleet file."""
        endpoint = self.fleet.endpoint
        return Candidate(worker_gpu(self.fleet), tuple((name, float(getattr(endpoint, name))) for name in self.NAMES))

    def starts(self, gpu: str) -> list[Candidate]:
        """Return the file's values, changed to workers that start when jobs come, and to a fixed number of them."""
        most, peak = self.most_workers(gpu), self.peak_workers(gpu)
        file = self.moved(self.present(), gpu).having(cold_mult=1.0)
        on_demand = file.having(min_load=0.0, max_workers=most, cold_workers=peak + 1, target_util=0.5)
        fixed = [
            file.having(min_load=self._min_load(gpu, count), max_workers=count, cold_workers=count)
            for count in (peak, peak + 1)
        ]
        return [on_demand, *fixed]

    def tidy(self, candidate: Candidate) -> Candidate:
        """Return the candidate with no more kept workers than there can be."""
        return candidate.having(cold_workers=min(candidate.value("cold_workers"), candidate.value("max_workers")))

    def moved(self, candidate: Candidate, gpu: str) -> Candidate:
        """Return the candidate with another GPU, and min_load for as many workers with it."""
        factor = worker_speed(self.fleet_with(gpu)) / worker_speed(self.fleet_with(candidate.gpu))
        min_load = round(candidate.value("min_load") * factor, 2)
        return replace(candidate, gpu=gpu).having(min_load=min_load)

    def scenario(self, candidate: Candidate, reading: str) -> FleetScenario:
        """Return the run of an endpoint with these parameters. It starts with the workers that it always keeps."""
        values = {name: value if name in FRACTIONS else int(value) for name, value in candidate.settings}
        fleet = self.fleet_with(candidate.gpu)
        fleet = fleet.model_copy(update={"endpoint": fleet.endpoint.model_copy(update=values)})
        (case,) = study_cases(fleet, self.jobs, "vast", [reading])
        most = int(candidate.value("max_workers"))
        running = min(math.ceil(candidate.value("min_load") / worker_speed(fleet)), most)
        kept = min(int(candidate.value("cold_workers")), most)
        return replace(case.scenario, ready_at_start=running, inactive_at_start=max(kept - running, 0))

    def _min_load(self, gpu: str, workers: int) -> float:
        """Return the min_load that keeps this many workers running."""
        return round(max(workers - HALF, 0.0) * worker_speed(self.fleet_with(gpu)), 2)
