"""The cases of a study: what a fleet file means to the simulation, on each platform and in each reading."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from worker.fleet.definition.fleet import EndpointSpec, Fleet
from worker.fleet.definition.simulation_table import SimulationTable
from worker.fleet.simulation.load_report import LoadReport
from worker.fleet.simulation.platform import MODAL, RUNPOD, VAST, BootTimes, SimulatedPlatform
from worker.fleet.simulation.policies.modal_pool import ModalParameters, ModalPool
from worker.fleet.simulation.policies.runpod_scalers import RunpodParameters, RunpodQueueDelay, RunpodRequestCount
from worker.fleet.simulation.policies.vast_parameters import VastParameters
from worker.fleet.simulation.policies.vast_readings import VastReading
from worker.fleet.simulation.policy import ScalingPolicy
from worker.fleet.simulation.scenario import FleetScenario, PoolRouting, QueueTimeRouting
from worker.fleet.simulation.trace import TraceJob
from worker.load.gpu_classes import REFERENCE, gpu_class
from worker.platforms.vast.settings import RunningJobs, VastSettings
from worker.settings import parse

READINGS: Mapping[str, tuple[VastReading, str]] = {
    "A": (VastReading.UTILISATION, "follows the arriving load"),
    "B": (VastReading.QUEUE, "also drains the work that waits and runs"),
    "B'": (VastReading.QUEUE_AGE, "also grows when requests wait in the router"),
    "C": (VastReading.FORECAST, "prepares for the busiest of several horizons"),
}
"""The readings of Vast's closed autoscaler by the letters of docs/fleet.md."""
DOWNLOAD_MBPS = 500.0
"""Rate of a download where neither the fleet file nor its groups have one. An assumption."""
MBIT_PER_GB = 8000.0


@dataclass(frozen=True, slots=True)
class StudyCase:
    """One policy. `name` is a letter for Vast's readings, and the name of the scaler elsewhere."""

    name: str
    about: str
    platform: str
    scenario: FleetScenario


def study_cases(
    fleet: Fleet, jobs: Sequence[TraceJob], platform: str = "vast", readings: Sequence[str] = ()
) -> list[StudyCase]:
    """Return the cases of a platform. `readings` are those of Vast to study, by default those of the fleet file.

    RunPod's and Modal's own parameters have their defaults: the fleet file has none. `max_workers` and `min_load` mean
    the same there. Raises KeyError for an unknown platform or reading, and StartupError for an invalid value in
    `[template.env]`.
    """
    return list(_CASES[platform](fleet, jobs, readings or fleet.simulation.readings))


def platform_names() -> tuple[str, ...]:
    """Return the names of the platforms that can be simulated."""
    return tuple(_CASES)


def with_gpu(fleet: Fleet, gpu: str) -> Fleet:
    """Return the fleet with another GPU in its workers, at that GPU's own speed and price."""
    table = fleet.simulation.model_copy(update={"gpu": gpu, "speed": None, "usd_hour": None})
    return fleet.model_copy(update={"simulation": table})


def worker_gpu(fleet: Fleet) -> str:
    """Return the GPU that the workers have in a study."""
    named = (group.gpus[0] for group in fleet.groups.values() if group.gpus)
    return fleet.simulation.gpu or next(named, REFERENCE.name)


def worker_speed(fleet: Fleet) -> float:
    """Return the speed of a worker relative to an RTX 4090."""
    return fleet.simulation.speed or gpu_class(worker_gpu(fleet)).tflops / REFERENCE.tflops


def download_mbps(fleet: Fleet) -> float:
    """Return the rate in Mbit/s at which a new worker downloads its models."""
    bounds = [group.min_download_mbps for group in fleet.groups.values() if group.min_download_mbps]
    return fleet.simulation.download_mbps or min(bounds, default=DOWNLOAD_MBPS)


def download_s(fleet: Fleet) -> float:
    """Return the seconds for which a new worker at Vast downloads its models, beyond those that `pull_s` includes."""
    return fleet.simulation.models_gb * MBIT_PER_GB / download_mbps(fleet)


def vast_parameters(endpoint: EndpointSpec) -> VastParameters:
    """Return the parameters of an endpoint, which the fleet file has under the same names."""
    names = VastParameters.__dataclass_fields__
    return VastParameters(**{name: getattr(endpoint, name) for name in names})


def load_report(fleet: Fleet) -> LoadReport:
    """Return how the workers report their load, by the variables of the template. Raises StartupError."""
    env, default = fleet.template.env, VastSettings()
    running, metering = env.get("WORKER_VAST_RUNNING"), env.get("WORKER_VAST_METERING")
    return LoadReport(
        running=parse(RunningJobs, "WORKER_VAST_RUNNING", running) if running else default.running,
        metering=parse(bool, "WORKER_VAST_METERING", metering) if metering else default.metering,
    )


def _vast_cases(fleet: Fleet, jobs: Sequence[TraceJob], readings: Sequence[str]) -> Iterator[StudyCase]:
    """Yield one case for each reading of Vast's autoscaler."""
    parameters, endpoint = vast_parameters(fleet.endpoint), fleet.endpoint
    for letter in readings:
        reading, about = READINGS[letter]
        scenario = _scenario(fleet, jobs, VAST, partial(reading.policy, parameters))
        scenario = replace(
            scenario,
            platform=_with_download(scenario.platform, fleet),
            routing=QueueTimeRouting(endpoint.max_queue_time),
            report=load_report(fleet),
            inactive_at_start=min(endpoint.cold_workers, endpoint.max_workers),
        )
        yield StudyCase(letter, about, "vast", scenario)


def _runpod_cases(fleet: Fleet, jobs: Sequence[TraceJob], _: Sequence[str]) -> Iterator[StudyCase]:
    """Yield one case for each of RunPod's scalers."""
    most, least = fleet.endpoint.max_workers, _least_workers(fleet)
    parameters = RunpodParameters(workersMin=least, workersMax=most)
    scalers: tuple[tuple[str, str, type[RunpodQueueDelay | RunpodRequestCount]], ...] = (
        ("QUEUE_DELAY", "adds workers while a request waits too long", RunpodQueueDelay),
        ("REQUEST_COUNT", "wants one worker for each request", RunpodRequestCount),
    )
    for name, about, scaler in scalers:
        scenario = replace(
            _scenario(fleet, jobs, RUNPOD, partial(scaler, parameters)),
            routing=PoolRouting(),
            ready_at_start=least,
            inactive_at_start=most - least,
        )
        yield StudyCase(name, about, "runpod", scenario)


def _modal_cases(fleet: Fleet, jobs: Sequence[TraceJob], _: Sequence[str]) -> Iterator[StudyCase]:
    """Yield the case of Modal's pool of containers."""
    least = _least_workers(fleet)
    parameters = ModalParameters(min_containers=least, max_containers=fleet.endpoint.max_workers)
    scenario = replace(
        _scenario(fleet, jobs, MODAL, partial(ModalPool, parameters)),
        routing=PoolRouting(parameters.concurrency),
        ready_at_start=least,
    )
    yield StudyCase("pool", "wants one container for each request", "modal", scenario)


def _least_workers(fleet: Fleet) -> int:
    """Return the number of workers that always run."""
    return min(math.ceil(fleet.endpoint.min_load / worker_speed(fleet)), fleet.endpoint.max_workers)


def _scenario(
    fleet: Fleet, jobs: Sequence[TraceJob], platform: SimulatedPlatform, policy: Callable[[], ScalingPolicy]
) -> FleetScenario:
    """Return a scenario with what the fleet file says of the workers."""
    table = fleet.simulation
    return FleetScenario(
        jobs=jobs,
        policy=policy,
        platform=replace(
            platform,
            boot=boot_times(table, platform.boot),
            failures_per_hour=table.machine_failures,
            model_load_s=table.model_load_s,
            kind_load_s={"": 0.0, **table.model_loads},
        ),
        speed=worker_speed(fleet),
        speed_spread=table.speed_spread,
    )


def _with_download(platform: SimulatedPlatform, fleet: Fleet) -> SimulatedPlatform:
    """Return the platform whose new workers also download the models of the fleet."""
    boot = platform.boot
    return replace(platform, boot=replace(boot, loading_s=boot.loading_s + download_s(fleet)))


def boot_times(table: SimulationTable, default: BootTimes) -> BootTimes:
    """Return the times of a fleet file, with those of a platform in the place of missing ones."""
    given = {
        "creating_s": table.create_s,
        "loading_s": table.pull_s,
        "starting_s": table.wake_s,
        "spread": table.spread,
        "slow_share": table.slow_share,
        "slow_s": table.slow_s,
        "fail_share": table.failure_share,
    }
    return replace(default, **{name: value for name, value in given.items() if value is not None})


_CASES: Mapping[str, Callable[[Fleet, Sequence[TraceJob], Sequence[str]], Iterator[StudyCase]]] = {
    "vast": _vast_cases,
    "runpod": _runpod_cases,
    "modal": _modal_cases,
}
"""By the name of the platform."""
