"""The parameters of an endpoint at RunPod."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from worker.fleet.advice.candidate import Candidate, Knob
from worker.fleet.advice.spaces.search_space import SearchSpace, counts, settings_of
from worker.fleet.simulation.policies.runpod_scalers import RunpodParameters, RunpodQueueDelay, RunpodRequestCount
from worker.fleet.simulation.scenario import FleetScenario
from worker.fleet.simulation.study.case import study_cases, worker_gpu, worker_speed
from worker.prices.figure import HOUR_S, MONTH_S
from worker.prices.runpod_billing import RunpodRates, runpod_volume_bill
from worker.prices.table import PriceTable

SCALERS = ("QUEUE_DELAY", "REQUEST_COUNT")
"""RunPod's scalers by the value of the parameter `scaler`."""


class RunpodSpace(SearchSpace):
    """Parameters of an endpoint at RunPod, by RunPod's names. The scaler is one of them."""

    __slots__ = ()
    platform = "runpod"
    sizes = ("workersMin", "workersMax")

    @property
    def readings(self) -> Mapping[str, str]:
        """One reading: the documented scalers."""
        return {"documented": "RunPod's scalers as documented"}

    def knobs(self, gpu: str) -> list[Knob]:
        """Return the parameters, those with the largest effect first."""
        most = self.most_workers(gpu)
        return [
            Knob("workersMin", tuple(map(float, counts(most, first=0)))),
            Knob("idleTimeout", (1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0)),
            Knob("scaler", (0.0, 1.0)),
            Knob("workersMax", tuple(map(float, counts(most, first=1)))),
            Knob("queueDelay", (1.0, 4.0, 15.0, 30.0)),
            Knob("requestCount", (1.0, 2.0, 4.0, 8.0)),
        ]

    def present(self) -> Candidate:
        """Return RunPod's defaults, with the number of workers of the fleet file."""
        running = math.ceil(self.fleet.endpoint.min_load / worker_speed(self.fleet))
        defaults = RunpodParameters()
        values = {
            "workersMin": running,
            "workersMax": self.fleet.endpoint.max_workers,
            "idleTimeout": defaults.idleTimeout,
            "scaler": 0,
            "queueDelay": defaults.queueDelay,
            "requestCount": defaults.requestCount,
        }
        return Candidate(worker_gpu(self.fleet), settings_of(values))

    def starts(self, gpu: str) -> list[Candidate]:
        """Return workers that start when jobs come, and workers that always run."""
        most, peak = float(self.most_workers(gpu)), self.peak_workers(gpu)
        base = replace(self.present(), gpu=gpu).having(workersMax=most, idleTimeout=60.0)
        return [base.having(workersMin=0.0), base.having(workersMin=float(peak + 1))]

    def scenario(self, candidate: Candidate, reading: str) -> FleetScenario:
        """Return the run of an endpoint with these parameters. All its workers exist at the start."""
        value = candidate.value
        least, most = min(int(value("workersMin")), int(value("workersMax"))), int(value("workersMax"))
        parameters = RunpodParameters(
            least, most, value("idleTimeout"), value("queueDelay"), int(value("requestCount"))
        )
        scaler = (RunpodQueueDelay, RunpodRequestCount)[int(value("scaler"))]
        case = study_cases(self.fleet_with(candidate.gpu), self.jobs, "runpod")[0]
        policy = partial(scaler, parameters)
        return replace(case.scenario, policy=policy, ready_at_start=least, inactive_at_start=most - least)

    def volume_usd_month(self, table: PriceTable, gpu: str) -> float:
        """Return the price of a network volume with the models. Raises UnknownPrice."""
        size_gb = self.fleet.simulation.models_gb
        return runpod_volume_bill(size_gb, MONTH_S / HOUR_S, RunpodRates.of(table, gpu)).total
