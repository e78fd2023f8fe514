"""The parameters of a class at Modal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from worker.fleet.advice.candidate import Candidate, Knob
from worker.fleet.advice.spaces.search_space import SearchSpace, counts, settings_of
from worker.fleet.simulation.policies.modal_pool import ModalParameters, ModalPool
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.study.case import study_cases, worker_gpu, worker_speed
from worker.prices.figure import HOUR_S, MONTH_S
from worker.prices.modal_billing import ModalRates, modal_volume_bill
from worker.prices.table import PriceTable

GIB_PER_GB = 1e9 / 2**30


class ModalSpace(SearchSpace):
    """Parameters of a class at Modal, by Modal's names."""

    __slots__ = ()
    platform = "modal"
    sizes = ("min_containers", "max_containers")

    @property
    def readings(self) -> Mapping[str, str]:
        """One reading: the documented pool."""
        return {"documented": "Modal's pool of containers as documented"}

    def knobs(self, gpu: str) -> list[Knob]:
        """Return the parameters, those with the largest effect first."""
        most = self.most_workers(gpu)
        return [
            Knob("min_containers", tuple(map(float, counts(most, first=0)))),
            Knob("scaledown_window", (2.0, 15.0, 60.0, 180.0, 600.0, 1200.0)),
            Knob("buffer_containers", (0.0, 1.0, 2.0)),
            Knob("max_containers", tuple(map(float, counts(most, first=1)))),
        ]

    def present(self) -> Candidate:
        """Return the assumed defaults, with the number of workers of the fleet file."""
        running = math.ceil(self.fleet.endpoint.min_load / worker_speed(self.fleet))
        defaults = ModalParameters()
        values = {
            "min_containers": running,
            "max_containers": self.fleet.endpoint.max_workers,
            "buffer_containers": defaults.buffer_containers,
            "scaledown_window": defaults.scaledown_window,
        }
        return Candidate(worker_gpu(self.fleet), settings_of(values))

    def starts(self, gpu: str) -> list[Candidate]:
        """Return containers that start when jobs come, and containers that always run."""
        most, peak = float(self.most_workers(gpu)), self.peak_workers(gpu)
        base = replace(self.present(), gpu=gpu).having(max_containers=most)
        return [base.having(min_containers=0.0), base.having(min_containers=float(peak + 1))]

    def scenario(self, candidate: Candidate, reading: str) -> FleetScenario:
        """Return the run of a class with these parameters."""
        values = {name: value if name == "scaledown_window" else int(value) for name, value in candidate.settings}
        parameters = ModalParameters(**values)  # type: ignore[arg-type]  # the names are those of its fields
        least = min(parameters.min_containers, parameters.max_containers)
        case = study_cases(self.fleet_with(candidate.gpu), self.jobs, "modal")[0]
        return replace(case.scenario, policy=partial(ModalPool, parameters), ready_at_start=least)

    def volume_usd_month(self, table: PriceTable, gpu: str) -> float:
        """Return the price of a volume with the models. Raises UnknownPrice."""
        size_gib = self.fleet.simulation.models_gb * GIB_PER_GB
        return modal_volume_bill(size_gib, MONTH_S / HOUR_S, ModalRates.of(table, gpu)).total
