"""Everything that one run of the simulation depends on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from worker.fleet.simulation.load_report import LoadReport
from worker.fleet.simulation.platform import VAST, SimulatedPlatform
from worker.fleet.simulation.policy import ScalingPolicy
from worker.fleet.simulation.trace import TraceJob


@dataclass(frozen=True, slots=True)
class QueueTimeRouting:
    """Vast's router: the ready worker with the shortest queue time, `cur_load / max_perf`, gets the job.

    If even that is above `max_queue_time` seconds, jobs wait in the router, first come, first served.
    """

    max_queue_time: float = 30.0


@dataclass(frozen=True, slots=True)
class PoolRouting:
    """One queue for all workers, as on RunPod and Modal. A worker takes up to `concurrency` jobs, and runs one."""

    concurrency: int = 1


@dataclass(frozen=True, slots=True)
class WaitTarget:
    """A goal: the share `quantile` of the jobs waits for at most `seconds`."""

    seconds: float = 60.0
    quantile: float = 0.95


@dataclass(frozen=True, slots=True)
class FleetScenario:
    """One run.

    Attributes:
        jobs: The trace, in the order of arrival.
        policy: Returns a new autoscaler.
        platform: Where the workers run.
        routing: How jobs reach workers.
        report: What workers report of them. Only readings of Vast's autoscaler depend on it.
        speed: Speed of the workers, relative to an RTX 4090.
        speed_spread: Standard deviation of the logarithm of a worker's speed.
        duration_spread: Standard deviation of the logarithm of a job's duration. The mean stays as in the trace.
        ready_at_start: Workers that are ready at the start.
        inactive_at_start: Further workers that exist, but are stopped.
        length_s: The fleet is billed until then, or until the last job is done. None means the last arrival.
        patience_s: Seconds after the last arrival at which jobs that are not done count as failed.
        give_up: The run ends as soon as it is sure to miss this goal.
        seed: Seed of all random numbers.
    """

    jobs: Sequence[TraceJob]
    policy: Callable[[], ScalingPolicy]
    platform: SimulatedPlatform = VAST
    routing: QueueTimeRouting | PoolRouting = field(default_factory=QueueTimeRouting)
    report: LoadReport = field(default_factory=LoadReport)
    speed: float = 1.0
    speed_spread: float = 0.0
    duration_spread: float = 0.0
    ready_at_start: int = 0
    inactive_at_start: int = 0
    length_s: float | None = None
    patience_s: float = 6 * 3600.0
    give_up: WaitTarget | None = None
    seed: int = 1
